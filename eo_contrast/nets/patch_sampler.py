"""Features at sampled positions, projected to the unit sphere: what PatchNCE compares."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from eo_contrast.config import Config

Positions = dict[str, Tensor]
"""Per tapped layer: int64 row-major positions, (patches,) or (batch, patches)."""

NORM_FLOOR = 1e-7


class PatchSamplerConfig(Config):
    """Where patches are taken and how they are projected; the defaults are CUT's."""

    layers: tuple[str, ...] = Field(
        ("stem.pad", "down1.conv", "down2.conv", "block1", "block5"),
        min_length=1,
        description="elements of the generator whose features are compared",
    )
    patches: int = Field(256, ge=2, description="positions a layer and image")
    projection: int = Field(256, ge=1, description="width of the projected features")


class PatchSampler(nn.Module):
    """One two-layer head a tapped layer: linear, ReLU, linear, then length one.

    Widths come from the generator's channel table, so every weight exists at construction:
    optimisers, checkpoints and processes see the same parameters from the first step.
    Source: Park et al. 2020 (CUT), section 3 and appendix C.1.
    """

    def __init__(self, config: PatchSamplerConfig, channels_of: Mapping[str, int]) -> None:
        super().__init__()
        unknown = [layer for layer in config.layers if layer not in channels_of]
        if unknown:
            raise ValueError(
                f"patch_sampler.layers: the generator has no {unknown[0]!r}; "
                f"it has {', '.join(channels_of)}"
            )
        self.config = config
        for number, layer in enumerate(config.layers):
            self.add_module(f"mlp{number}", _head(channels_of[layer], config.projection))

    def forward(self, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Project gathered features.

        Args:
            gathered: per layer (batch, patches, channels), from :func:`gather_patches`.

        Returns: per layer (batch, patches, projection), unit vectors.
        """
        return {
            layer: unit_length(self.get_submodule(f"mlp{number}")(gathered[layer]))
            for number, layer in enumerate(self.config.layers)
        }


def draw_positions(
    sizes: Mapping[str, tuple[int, int]], patches: int, generators: list[torch.Generator]
) -> Positions:
    """Draw positions without replacement, for each layer and image of its own.

    Args:
        sizes: per layer (height, width).
        patches: positions wanted; a smaller layer gives all that it has, permuted.
        generators: one CPU generator an image, so that an image's positions do not depend
            on who shares its batch.

    Returns: per layer (images, min(patches, height * width)).
    """
    # A whole permutation of 68,644 positions costs under a millisecond; the step, seconds.
    return {
        layer: torch.stack(
            [torch.randperm(height * width, generator=g)[:patches] for g in generators]
        )
        for layer, (height, width) in sizes.items()
    }


def gather_patches(
    features: Mapping[str, Tensor], positions: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Take the features at ``positions``: (B, C, H, W) -> (B, patches, C) a layer.

    Gathering happens on the contiguous map: a permutation to channels-last first would
    hand such a gradient to the generator's norms and copy the whole map.
    """
    return {layer: _gather(features[layer], ids) for layer, ids in positions.items()}


def unit_length(x: Tensor) -> Tensor:
    """x / (|x| + 1e-7) along the last axis, in float32 at least; zeros stay zeros.

    The norm is clamped before its root, since the root's gradient at zero is infinite.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    tiny = torch.finfo(x.dtype).tiny
    length = x.square().sum(dim=-1, keepdim=True).clamp_min(tiny).sqrt()
    return x / (length + NORM_FLOOR)


def _gather(feature: Tensor, ids: Tensor) -> Tensor:
    batch, channels = feature.shape[:2]
    rows = ids.to(feature.device).expand(batch, -1)
    index = rows[:, None, :].expand(-1, channels, -1)
    return feature.contiguous().flatten(2).gather(2, index).transpose(1, 2)


def _head(channels: int, projection: int) -> nn.Module:
    head = nn.Sequential()
    head.add_module("fc1", nn.Linear(channels, projection))
    head.add_module("activation", nn.ReLU())
    head.add_module("fc2", nn.Linear(projection, projection))
    return head
