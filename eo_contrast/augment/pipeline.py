"""One call from a square of a place to a view of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eo_contrast.augment.config import AugmentConfig, for_unit
from eo_contrast.augment.draws import Key
from eo_contrast.augment.geometry import draw_geometry, warp
from eo_contrast.augment.photometry import recoloured


@torch.no_grad()
def augmented(
    values: Tensor,
    valid: Tensor | None,
    *,
    config: AugmentConfig,
    side: int,
    unit: str,
    groups: Sequence[Sequence[int]],
    keys: Sequence[Key],
    crop_keys: Sequence[Key],
) -> tuple[Tensor, Tensor | None]:
    """Cut, flip, turn and recolour N squares, each by its own keys alone.

    Args:
        values: float32 (N, bands, S, S) in ``unit``, 0 where not valid.
        valid: bool of the same shape; None: everywhere.
        config: choices that mean nothing in the unit are left out.
        side: of the result, pixels.
        unit: reflectance or 0..1, or dB.
        groups: positions of bands that are changed together.
        keys: of each sample, for what concerns its colours.
        crop_keys: of each sample, for its window, flips and turn; views of other sensors with the
            same keys show the same ground.

    Returns: (N, bands, side, side) of both; 0 where not valid. None: all is valid.
    """
    config = for_unit(config, unit)
    if valid is not None and bool(valid.all()):
        valid = None
    geometry = draw_geometry(config, crop_keys, values.shape[-1], side)
    values, valid = warp(values, valid, geometry, side)
    return recoloured(values, valid, config=config, unit=unit, groups=groups, keys=keys)
