"""Pixels on the ground, and which of a file's pixels lie under them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform as warp_points

from eo_contrast.raster.ground_size import pixel_size_m

Row = Mapping[str, Any]
"""A row of the catalogue as a dict, by column."""

REFERENCES = ("s2-l2a", "s2-l1c", "rgb", "s1-rtc", "s1-grd", "map", "label")
"""Which image's grid the others of a place are brought to: the first of these that it has."""

MARGIN = 2
"""Pixels read around what a grid covers, besides those of one of its own."""

MEASURED_GRIDS = 100
"""So many of a data set's tell its ground resolution."""


@dataclass(frozen=True)
class Grid:
    """Pixels on the ground: ``transform`` leads from (column, row) to ``crs``.

    ``crs`` None: the pixels of an image without a position, which no other can be brought to.
    """

    crs: CRS | None
    transform: Affine
    height: int
    width: int

    def window(self, top: int, left: int, height: int, width: int) -> Grid:
        """A part of it; it may reach beyond."""
        moved = self.transform @ Affine.translation(left, top)
        return Grid(self.crs, moved, height, width)


def grid_of(row: Row) -> Grid:
    """The grid of the image's finest band; of an image without a position its bare pixels."""
    height, width = row["proj:shape"]
    if not row["proj:transform"] or not row["proj:code"]:
        return Grid(None, Affine.identity(), height, width)
    crs = CRS.from_user_input(row["proj:code"])
    return Grid(crs, Affine(*row["proj:transform"]), height, width)


def finest_grid(rows: Sequence[Row]) -> Grid:
    """The grid that a place's other images are brought to: that of its first optical one."""
    order = {product: rank for rank, product in enumerate(REFERENCES)}
    first = min(rows, key=lambda row: (order.get(row["product"], len(order)), row["id"]))
    return grid_of(first)


def ground_resolution_m(grids: Sequence[Grid]) -> float | None:
    """Metres on the ground a pixel, the median of grids evenly chosen, to three digits.

    Returns: None: fewer than half of them have a position.
    """
    chosen = grids[:: -(-len(grids) // MEASURED_GRIDS) or 1]
    sizes = [pixel_size_m(each.crs, each.transform, each.height, each.width) for each in chosen]
    known = [math.sqrt(down * across) for down, across in filter(None, sizes)]
    if not chosen or 2 * len(known) < len(chosen):
        return None
    return float(f"{median(known):.3g}")


def part_under(onto: Grid, whole: Grid) -> tuple[int, int, int, int]:
    """Rows and columns (top, bottom, left, right) of ``whole`` that ``onto`` needs.

    With a margin for what resampling looks at; at least one pixel.
    """
    if onto.crs is None or whole.crs is None:
        columns, rows = np.array([0.0, onto.width]), np.array([0.0, onto.height])
    else:
        x, y = outline_of(onto)
        if onto.crs != whole.crs:
            x, y = (np.array(each) for each in warp_points(onto.crs, whole.crs, x, y))
        columns, rows = (np.asarray(each) for each in ~whole.transform @ (x, y))
    left, right = clipped(columns.min(), columns.max(), onto.width, whole.width)
    top, bottom = clipped(rows.min(), rows.max(), onto.height, whole.height)
    return top, bottom, left, right


def outline_of(grid: Grid, points: int = 9) -> tuple[NDArray[np.float64], ...]:
    """x and y along the sides of a grid, in its CRS."""
    along = np.linspace(0, 1, points)
    columns = np.concatenate([along, along, along * 0, along * 0 + 1]) * grid.width
    rows = np.concatenate([along * 0, along * 0 + 1, along, along]) * grid.height
    x, y = grid.transform @ (columns, rows)
    return np.asarray(x), np.asarray(y)


def clipped(first: float, last: float, pixels: int, length: int) -> tuple[int, int]:
    """First and one past the last of ``length`` pixels, with what interpolation looks at."""
    margin = int(np.ceil((last - first) / pixels)) + MARGIN
    begin = min(max(int(np.floor(first)) - margin, 0), length - 1)
    end = min(max(int(np.ceil(last)) + margin, begin + 1), length)
    return begin, end
