"""Masked reconstruction: images as patches, some of them removed, and what putting them back costs.

He et al. 2022 (MAE). Patches are numbered row by row; L is how many an image has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Layout = Literal["row_column_channel", "channel_row_column"]
STANDARDISED_EPS = 1e-6


@dataclass(frozen=True)
class Masking:
    """Which patches of each image stay.

    Attributes:
        kept: (N, K) numbers of the patches that stay, in the order in which an encoder gets them.
        restore: (N, L) where each patch stands among the kept ones, then the removed ones.
        removed: (N, L) bool.
    """

    kept: Tensor
    restore: Tensor
    removed: Tensor


def patchify(images: Tensor, patch: int, *, layout: Layout = "row_column_channel") -> Tensor:
    """Images (N, C, H, W) as (N, L, patch * patch * C), L = H W / patch^2.

    Args:
        patch: side in pixels, a divisor of H and W.
        layout: of the values in a patch; MAE has the channel last, CROMA (Fuller et al. 2023)
            first, and weights trained on one are wrong on the other.

    Raises: ValueError: ``patch`` does not divide the sides.
    """
    count, channels, height, width = images.shape
    if patch < 1 or height % patch or width % patch:
        raise ValueError(f"patches of {patch} px do not tile images of {height} x {width}")
    rows, columns = height // patch, width // patch
    cut = images.reshape(count, channels, rows, patch, columns, patch)
    order = (0, 2, 4, 3, 5, 1) if layout == "row_column_channel" else (0, 2, 4, 1, 3, 5)
    return cut.permute(order).reshape(count, rows * columns, channels * patch * patch)


def unpatchify(
    patches: Tensor,
    patch: int,
    *,
    rows: int | None = None,
    layout: Layout = "row_column_channel",
) -> Tensor:
    """The images (N, C, H, W) that :func:`patchify` made ``patches`` of.

    Args:
        rows: of patches; None: as many as columns.

    Raises: ValueError: the patches do not fill such rows, or their values such patches.
    """
    count, number, values = patches.shape
    columns = math.isqrt(number) if rows is None else number // max(rows, 1)
    rows = columns if rows is None else rows
    channels = values // patch**2
    if rows * columns != number or channels * patch**2 != values:
        raise ValueError(
            f"{number} patches of {values} values: not {rows} x {columns} of {patch} x {patch} px"
        )
    if layout == "row_column_channel":
        cut = patches.reshape(count, rows, columns, patch, patch, channels)
        cut = cut.permute(0, 5, 1, 3, 2, 4)
    else:
        cut = patches.reshape(count, rows, columns, channels, patch, patch)
        cut = cut.permute(0, 3, 1, 4, 2, 5)
    return cut.reshape(count, channels, rows * patch, columns * patch)


def masking(noise: Tensor, ratio: float) -> Masking:
    """Keep the patches with the least noise; as many of every image.

    MAE, sec. 3; K is L (1 - ratio), rounded down.

    Args:
        noise: (N, L), from a generator of the caller's.
        ratio: share that is removed, 0..1.

    Raises: ValueError: ``ratio`` leaves no patch, or removes none.
    """
    number = noise.shape[1]
    # As published: 20 * (1 - .8) is 3.9999999999999996, of which 3 stay.
    count = int(number * (1 - ratio))
    if not 0 < count < number:
        raise ValueError(
            f"ratio {ratio} keeps {count} of {number} patches; some must stay, not all"
        )
    order = noise.argsort(dim=1, stable=True)
    restore = order.argsort(dim=1, stable=True)
    return Masking(kept=order[:, :count], restore=restore, removed=restore >= count)


def kept_tokens(tokens: Tensor, masked: Masking) -> Tensor:
    """Of tokens (N, L, D) those that stay, (N, K, D)."""
    return tokens.gather(1, masked.kept[..., None].expand(-1, -1, tokens.shape[2]))


def filled_tokens(tokens: Tensor, filler: Tensor, masked: Masking) -> Tensor:
    """Kept tokens (N, K, D) at their places, the filler (D,) at the others; (N, L, D)."""
    count, kept, width = tokens.shape
    fillers = filler.expand(count, masked.restore.shape[1] - kept, width)
    whole = torch.cat([tokens, fillers], dim=1)
    return whole.gather(1, masked.restore[..., None].expand(-1, -1, width))


def masked_reconstruction(
    prediction: Tensor, patches: Tensor, removed: Tensor, *, standardised: bool = False
) -> Tensor:
    """Mean over removed patches of the mean squared difference of their values.

    MAE, sec. 3.

    Args:
        prediction, patches: (N, L, V).
        removed: (N, L) bool.
        standardised: predict each patch less its mean, over its deviation (``norm_pix_loss``); the
            variance is unbiased. A patch of one value, as water may be, is then mostly its noise.

    Returns: a scalar >= 0; about 1 for a prediction of zeros where patches are standardised.
    Raises: ValueError: no patch is removed.
    """
    if not removed.any():
        raise ValueError("no patch is removed: there is nothing to reconstruct")
    target = patches
    if standardised:
        variance, mean = torch.var_mean(patches, dim=2, keepdim=True)
        target = (patches - mean) / (variance + STANDARDISED_EPS).sqrt()
    of_patch = (prediction - target).square().mean(dim=2)
    return of_patch.masked_fill(~removed, 0).sum() / removed.sum()


def reconstruction_of_views(
    predictions: Sequence[Tensor], images: Sequence[Tensor], masks: Sequence[Masking], patch: int
) -> Tensor:
    """Sum over views of the masked mean squared error of their standardised patches.

    Fuller et al. 2023 (CROMA), sec. 3.1: the sensors' errors weigh the same. A view's patch is
    standardised over its own values alone, MAE's ``norm_pix_loss``.

    Args:
        predictions: (N, L, patch * patch * C) of each view, C its bands.
        images: (N, C, H, W) of each view.
        masks: of each view; what it removed is what is compared.
        patch: side in pixels, a divisor of H and W.

    Returns: a scalar >= 0; about the number of views for predictions of zeros.
    Raises: ValueError: ``patch`` does not divide the sides, or no patch is removed.
    """
    errors = [
        masked_reconstruction(prediction, patchify(image, patch), masked.removed, standardised=True)
        for prediction, image, masked in zip(predictions, images, masks, strict=True)
    ]
    return torch.stack(errors).sum()
