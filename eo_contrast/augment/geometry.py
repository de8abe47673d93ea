"""Windows, flips and turns: each view is resampled once.

A window that is smaller than the result along both axes is interpolated between its four nearest
pixels. Any other goes through a matrix for rows and one for columns, which hold a triangle filter,
as wide as a pixel of the result is of the source, so that shrinking does not alias; a window of the
result's own size is copied exactly. Where both could do they are the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.augment.draws import Key, between, uniforms

ATTEMPTS = 10
"""Windows that are drawn until one fits into the square, as torchvision does."""


@dataclass(frozen=True)
class Geometry:
    """What is cut of each of N squares, and how it is laid.

    Attributes:
        top, left, height, width: (N,) of the windows, pixels of the source.
        mirrored, upside_down: (N,) of the result, before the turn.
        turns: (N,) quarters of a turn, 0..3.
    """

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    upside_down: NDArray[np.bool_]
    turns: NDArray[np.int64]

    def of(self, samples: NDArray[np.int64]) -> Geometry:
        """That of some of the squares."""
        return Geometry(*(getattr(self, each.name)[samples] for each in fields(self)))


def draw_geometry(
    config: AugmentConfig, keys: Sequence[Key], source_side: int, side: int
) -> Geometry:
    """Draw the windows of N samples.

    Without ``crop_area`` it is the middle square of ``side`` pixels, or the whole of a smaller
    one. Of samples of one key the windows are one, whatever sensor they are of.
    """
    drawn = uniforms(keys, 5 + 2 * ATTEMPTS)
    if config.crop_area is None:
        taken = min(source_side, side)
        height = width = np.full(len(keys), taken)
        top = left = np.full(len(keys), (source_side - taken) // 2)
    else:
        height, width = _window_sizes(config, drawn[:, 5:], source_side)
        top = (drawn[:, 0] * (source_side - height + 1)).astype(np.int64)
        left = (drawn[:, 1] * (source_side - width + 1)).astype(np.int64)
    quarter = (drawn[:, 4] * 4).astype(np.int64)
    return Geometry(
        top=top,
        left=left,
        height=height,
        width=width,
        mirrored=drawn[:, 2] < config.flip_horizontal,
        upside_down=drawn[:, 3] < config.flip_vertical,
        turns=quarter if config.quarter_turns else np.zeros_like(quarter),
    )


def warp(
    values: Tensor, valid: Tensor | None, geometry: Geometry, side: int
) -> tuple[Tensor, Tensor | None]:
    """The windows, resampled to ``side`` pixels, flipped and turned.

    Pixels without data have no weight; where more than half of the weight is without data there is
    none in the result.

    Args:
        values: float32 (N, bands, S, S), 0 where not valid.
        valid: bool of the same shape; None: everywhere.

    Returns: both, None again where everything is valid.
    """
    if _is_copy(geometry, values.shape[-1], side):
        return values, valid
    warped = _warped(values, geometry, side)
    if valid is None:
        return warped, None
    # A sample without holes is divided by 1, so that nothing in it hangs on the rest of the batch.
    whole = valid.flatten(1).all(1)[:, None, None, None]
    weight = _warped(valid.to(values.dtype), geometry, side).masked_fill(whole, 1)
    there = weight > 0.5
    return torch.where(there, warped / weight.clamp_min(1e-6), 0), there


def resampled(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Weighted means along both axes, by each sample's own two matrices.

    Args:
        images: (N, bands, S, S).
        rows, columns: (N, side, S).

    Returns: (N, bands, side, side).
    """
    count, bands, source_side, _ = images.shape
    side = rows.shape[1]
    # One product a band: broadcast over bands, each matrix would be copied for every one.
    upright = images.new_empty(count, bands, side, source_side)
    for band in range(bands):
        torch.bmm(rows, images[:, band], out=upright[:, band])
    flat = upright.view(count, bands * side, source_side) @ columns.mT
    return flat.view(count, bands, side, columns.shape[1])


def _window_sizes(
    config: AugmentConfig, drawn: NDArray[np.float64], source_side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Height and width of the first window of each row's attempts that fits; else the whole."""
    if config.crop_area is None:
        raise ValueError("windows are drawn only where crop_area is given")
    area = between(drawn[:, :ATTEMPTS], *config.crop_area) * source_side**2
    low, high = (math.log(aspect) for aspect in config.crop_aspect)
    aspect = np.exp(between(drawn[:, ATTEMPTS:], low, high))
    width = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    height = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (width >= 1) & (height >= 1) & (width <= source_side) & (height <= source_side)
    first = fits.argmax(axis=1)
    sample = np.arange(len(drawn))
    found = fits.any(axis=1)
    return (
        np.where(found, height[sample, first], source_side),
        np.where(found, width[sample, first], source_side),
    )


def _is_copy(geometry: Geometry, source_side: int, side: int) -> bool:
    whole = bool((geometry.height == source_side).all() and (geometry.width == source_side).all())
    moved = geometry.mirrored.any() or geometry.upside_down.any() or geometry.turns.any()
    return whole and source_side == side and not moved


def _warped(images: Tensor, geometry: Geometry, side: int) -> Tensor:
    """Each sample by what its own window needs, so that nothing hangs on the rest of a batch."""
    enlarged = (geometry.height < side) & (geometry.width < side)
    if enlarged.all():
        return _interpolated(images, geometry, side)
    if not enlarged.any():
        return _filtered(images, geometry, side)
    result = images.new_empty(*images.shape[:2], side, side)
    for chosen, work in ((enlarged, _interpolated), (~enlarged, _filtered)):
        samples = np.flatnonzero(chosen)
        at = torch.from_numpy(samples).to(images.device)
        result[at] = work(images[at], geometry.of(samples), side)
    return result


def _interpolated(images: Tensor, geometry: Geometry, side: int) -> Tensor:
    """Bilinear between pixels of the window, which is mirrored and turned as a grid of places."""
    source_side = images.shape[-1]
    rows, columns = (
        _places(start, length, backwards, side) * (2 / max(source_side - 1, 1)) - 1
        for start, length, backwards in (
            (geometry.top, geometry.height, geometry.upside_down),
            (geometry.left, geometry.width, geometry.mirrored),
        )
    )
    count = len(images)
    grid = torch.empty(count, 2, side, side)
    grid[:, 0] = columns[:, None, :]
    grid[:, 1] = rows[:, :, None]
    grid = _turned(grid, geometry.turns).movedim(1, -1).to(images.device)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=True)


def _places(
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    backwards: NDArray[np.bool_],
    side: int,
) -> Tensor:
    """(N, side) float64 places in the source of the result's pixels along one axis, in pixels.

    At the borders of the window, not beyond: what lies outside it has no weight.
    """
    begin, extent = (torch.from_numpy(each).double()[:, None] for each in (start, length))
    place = begin + (torch.arange(side)[None] + 0.5) * (extent / side) - 0.5
    place = torch.minimum(torch.maximum(place, begin), begin + extent - 1)
    return torch.where(torch.from_numpy(backwards)[:, None], place.flip(1), place)


def _filtered(images: Tensor, geometry: Geometry, side: int) -> Tensor:
    """By a triangle filter for rows and one for columns, then turned."""
    source_side = images.shape[-1]
    rows = _matrix(geometry.top, geometry.height, geometry.upside_down, source_side, side)
    columns = _matrix(geometry.left, geometry.width, geometry.mirrored, source_side, side)
    warped = resampled(images, rows.to(images.device), columns.to(images.device))
    return _turned(warped, geometry.turns)


def _matrix(
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    backwards: NDArray[np.bool_],
    source_side: int,
    side: int,
) -> Tensor:
    """(N, side, S) weights of the source's pixels in each of the result's along one axis."""
    begin, extent = (torch.from_numpy(each).double()[:, None, None] for each in (start, length))
    step = extent / side
    middle = begin + (torch.arange(side)[None, :, None] + 0.5) * step - 0.5
    pixel = torch.arange(source_side).double()[None, None]
    weight = (1 - (pixel - middle).abs() / step.clamp_min(1)).clamp_min(0)
    weight = weight * ((pixel >= begin) & (pixel < begin + extent))
    weight = weight / weight.sum(-1, keepdim=True)
    weight = torch.where(torch.from_numpy(backwards)[:, None, None], weight.flip(1), weight)
    return weight.float()


def _turned(images: Tensor, turns: NDArray[np.int64]) -> Tensor:
    if not turns.any():
        return images
    turned = images.clone()
    for quarter in (1, 2, 3):
        chosen = torch.from_numpy(np.flatnonzero(turns == quarter)).to(images.device)
        if len(chosen):
            turned[chosen] = torch.rot90(images[chosen], quarter, (2, 3))
    return turned
