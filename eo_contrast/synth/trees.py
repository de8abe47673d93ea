"""Tree crowns: one hashed disc in each cell of a fine grid, where trees are dense enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.noise import hash_bits, hash_units, stream
from eo_contrast.synth.world import LandCover

CELL_M = 6.5
LEAST_RADIUS_M = 2.0
WIDEST_RADIUS_M = 5.0
TRUNK_M = 3.0
TALLEST_M = TRUNK_M + 1.3 * WIDEST_RADIUS_M


@dataclass(frozen=True)
class Crowns:
    """The topmost crown over each pixel; arrays (height, width) float32.

    Attributes:
        coverage: share of the pixel under leaves, 0..1.
        height_m: of the leaves above ground, 0 without a tree.
        tone: random number of the tree, 0..1.
        east, north: position within the crown in radii, about -1..1.
    """

    coverage: NDArray[np.float32]
    height_m: NDArray[np.float32]
    tone: NDArray[np.float32]
    east: NDArray[np.float32]
    north: NDArray[np.float32]


@dataclass(frozen=True)
class _Trees:
    """The trees of a rectangle of cells; arrays (rows, columns). Radius 0: no tree."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius_m: NDArray[np.float64]
    tone: NDArray[np.float32]


def crowns_over(cover: LandCover, density: NDArray[np.float32]) -> Crowns:
    """Grow trees where ``density`` at the trunk allows.

    Right at least a crown's radius inside the arrays; nearer the rim, crowns whose
    trunk lies outside are missing.

    Args:
        density: chance of a tree a cell, (height, width) of the cover's arrays, 0..1.
    """
    x, y = cover.x, cover.y
    column, row = (np.floor(axis / CELL_M).astype(np.int64) for axis in (x[0], y[:, 0]))
    trees = _trees(cover, density, row, column)
    shape = density.shape
    pixel_m = np.float32(cover.world.ground_resolution)
    best = Crowns(*(np.zeros(shape, dtype=np.float32) for _ in range(5)))
    for up in (-1, 0, 1):
        for right in (-1, 0, 1):
            place = np.ix_(row - row.min() + 1 + up, column - column.min() + 1 + right)
            best = _higher(best, trees, place, x, y, pixel_m)
    return best


def _trees(
    cover: LandCover,
    density: NDArray[np.float32],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
) -> _Trees:
    seed, size = cover.world.seed, cover.world.ground_resolution
    rows = np.arange(row.min() - 1, row.max() + 2)[:, None]
    columns = np.arange(column.min() - 1, column.max() + 2)[None, :]
    x = (columns + hash_units(stream(seed, "tree east"), rows, columns)) * CELL_M
    y = (rows + hash_units(stream(seed, "tree north"), rows, columns)) * CELL_M
    grown = cover.extent.grown(cover.halo)
    trunk_column = np.floor(x / size).astype(np.int64) - grown.column
    trunk_row = np.floor(-y / size).astype(np.int64) - grown.row
    height, width = density.shape
    inside = (trunk_row >= 0) & (trunk_row < height) & (trunk_column >= 0) & (trunk_column < width)
    chance = density[np.clip(trunk_row, 0, height - 1), np.clip(trunk_column, 0, width - 1)]
    bits = hash_bits(stream(seed, "tree"), rows, columns)
    grows = inside & (hash_units(stream(seed, "tree grows"), rows, columns) < chance)
    spread = hash_units(stream(seed, "crown"), bits) ** 2
    radius = LEAST_RADIUS_M + (WIDEST_RADIUS_M - LEAST_RADIUS_M) * spread
    tone = hash_units(stream(seed, "tree tone"), bits).astype(np.float32)
    return _Trees(x=x, y=y, radius_m=np.where(grows, radius, 0.0), tone=tone)


def _higher(
    best: Crowns,
    trees: _Trees,
    place: tuple[NDArray[np.int64], ...],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    pixel_m: np.float32,
) -> Crowns:
    """The higher, pixel by pixel, of the crowns so far and one more tree a pixel."""
    radius = trees.radius_m[place].astype(np.float32)
    east = (x - trees.x[place]).astype(np.float32)
    north = (y - trees.y[place]).astype(np.float32)
    distance = np.sqrt(east * east + north * north)
    share = np.clip(np.float32(0.5) + (radius - distance) / pixel_m, 0, 1)
    dome = np.sqrt(np.maximum(radius * radius - distance * distance, 0))
    height = np.where(radius > 0, np.float32(TRUNK_M) + np.float32(1.3) * dome, 0) * (share > 0)
    share = np.where(radius > 0, share, 0)
    higher = height > best.height_m
    per_radius = np.float32(1) / np.maximum(radius, np.float32(1))
    return Crowns(
        coverage=np.maximum(best.coverage, share),
        height_m=np.where(higher, height, best.height_m),
        tone=np.where(higher, trees.tone[place], best.tone),
        east=np.where(higher, east * per_radius, best.east),
        north=np.where(higher, north * per_radius, best.north),
    )
