"""An image of a catalogue as values a model may see: named bands on a chosen grid.

Counts become reflectance, decibel or classes by what the row says; no data is a mask, never a
value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject
from rasterio.warp import transform as warp_points

from eo_contrast.bands import positions
from eo_contrast.catalog.grids import Grid, Row, grid_of
from eo_contrast.catalog.layouts import LAYOUTS
from eo_contrast.catalog.reading import Stored
from eo_contrast.catalog.resampling import Axis, bilinear
from eo_contrast.catalog.resampling import nearest as nearest_of
from eo_contrast.errors import InputError

CLASSES = np.dtype(np.uint16)

PARALLEL = 1e-9


@dataclass(frozen=True)
class View:
    """One image on one grid.

    Attributes:
        values: float32 (bands, rows, columns) in the product's unit, not clipped; 0 where
            invalid. Labels: uint16.
        valid: (rows, columns), True where every band has data.
    """

    bands: tuple[str, ...]
    values: NDArray[Any]
    valid: NDArray[np.bool_]


def read_view(row: Row, *, grid: Grid | None = None, bands: Sequence[str] | None = None) -> View:
    """Read an image on a grid: bilinear for images, nearest for labels.

    Args:
        grid: None: that of the image's finest band.
        bands: names, in the order wanted; None: all, in the row's order.

    Only what lies under the grid is read of the files.

    Raises: InputError: a band that the image does not have, a file that is gone or damaged, or
        an image without a position that is to be brought to another's grid.
    """
    wanted = tuple(bands) if bands is not None else tuple(row["bands"])
    try:
        places = positions(row["bands"], wanted)
    except InputError as error:
        raise InputError(f"{row['id']}: {error}") from error
    onto = grid if grid is not None else grid_of(row)
    nearest = row["product"] == "label"
    # One for all files of an image: each open would make and undo one of its own.
    with rasterio.Env():
        stored = LAYOUTS[row["layout"]].read(row, places, onto)
        values = np.stack([on_grid(part, onto, nearest=nearest) for part in stored])
    valid: NDArray[np.bool_] = np.all(np.isfinite(values), axis=0)
    filled = np.where(valid, values, 0)
    return View(wanted, filled.astype(CLASSES) if nearest else filled, valid)


def on_grid(stored: Stored, grid: Grid, *, nearest: bool = False) -> NDArray[np.float32]:
    """Pixels on another grid, bilinear or of the nearest one; NaN where there is no data.

    Pixels that are the same ones on both grids are copied.
    """
    shape = (grid.height, grid.width)
    onto = np.full(shape, np.nan, np.float32)
    moved = _whole_pixels(stored, grid)
    if moved is not None:
        _lay(stored.values, onto, *moved)
        return onto
    axes = _parallel_axes(stored, grid)
    if axes is not None:
        return (nearest_of if nearest else bilinear)(stored.values, *axes)
    across, down = _shrinking(stored, grid)
    reproject(
        stored.values,
        onto,
        src_transform=stored.grid.transform,
        src_crs=stored.grid.crs,
        src_nodata=np.nan,
        dst_transform=grid.transform,
        dst_crs=grid.crs,
        dst_nodata=np.nan,
        resampling=Resampling.nearest if nearest else Resampling.bilinear,
        tolerance=0,
        # Else guessed from the sizes of what is read, and a part would differ from the whole.
        XSCALE=across,
        YSCALE=down,
    )
    return onto


def _parallel_axes(stored: Stored, grid: Grid) -> tuple[Axis, Axis] | None:
    """Rows and columns of the grid on those of what is stored; None: one is turned, or warped."""
    if stored.grid.crs != grid.crs:
        return None
    onto = ~stored.grid.transform @ grid.transform
    if abs(onto.b) + abs(onto.d) > PARALLEL:
        return None
    height, width = stored.values.shape
    rows = Axis(grid.height, float(onto.e), float(onto.f), height)
    return rows, Axis(grid.width, float(onto.a), float(onto.c), width)


def _shrinking(stored: Stored, grid: Grid) -> tuple[float, float]:
    """Pixels of the grid for one that is stored, across and down, at most 1."""
    middle = grid.transform @ (grid.width / 2, grid.height / 2)
    steps = [grid.transform @ (grid.width / 2 + k, grid.height / 2 + 1 - k) for k in (1, 0)]
    xs, ys = zip(middle, *steps, strict=True)
    if stored.grid.crs != grid.crs:
        xs, ys = warp_points(grid.crs, stored.grid.crs, xs, ys)
    (column, row), *ends = [~stored.grid.transform @ (x, y) for x, y in zip(xs, ys, strict=True)]
    across, down = (float(np.hypot(end[0] - column, end[1] - row)) for end in ends)
    return min(1.0, 1 / across), min(1.0, 1 / down)


def _whole_pixels(stored: Stored, grid: Grid) -> tuple[int, int] | None:
    """Row and column of ``stored`` on the grid; None: their pixels are not the same ones."""
    if stored.grid.crs != grid.crs:
        return None
    away = ~grid.transform @ stored.grid.transform
    column, row = round(away.c), round(away.f)
    same = away.almost_equals(Affine.translation(column, row), precision=1e-6)
    return (row, column) if same else None


def _lay(values: NDArray[np.float32], onto: NDArray[np.float32], row: int, column: int) -> None:
    """Copy ``values`` to a place of ``onto``, as far as they overlap."""
    height, width = onto.shape
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + values.shape[0], height), min(column + values.shape[1], width)
    if top < bottom and left < right:
        onto[top:bottom, left:right] = values[
            top - row : bottom - row, left - column : right - column
        ]
