"""An image of a catalogue as values a model may see: named bands on a chosen grid.

Counts become reflectance, decibel or classes by what the row says; no data is a mask, never a
value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from eo_contrast.bands import decibel, positions
from eo_contrast.errors import InputError
from eo_contrast.raster.reader import RasterSource, open_raster

Row = Mapping[str, Any]
"""A row of the catalogue as a dict, by column."""

CLASSES = np.dtype(np.uint16)


@dataclass(frozen=True)
class Grid:
    """Pixels on the ground: ``transform`` leads from (column, row) to ``crs``."""

    crs: CRS
    transform: Affine
    height: int
    width: int

    def window(self, top: int, left: int, height: int, width: int) -> Grid:
        """A part of it; it may reach beyond."""
        moved = self.transform @ Affine.translation(left, top)
        return Grid(self.crs, moved, height, width)


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


def grid_of(row: Row) -> Grid:
    """The grid of the image's finest band.

    Raises: InputError: the image has no position.
    """
    if not row["proj:transform"] or not row["proj:code"]:
        raise InputError(f"{row['id']}: has no position, so there is no grid to bring others to")
    height, width = row["proj:shape"]
    crs = CRS.from_user_input(row["proj:code"])
    return Grid(crs, Affine(*row["proj:transform"]), height, width)


def read_view(row: Row, *, grid: Grid | None = None, bands: Sequence[str] | None = None) -> View:
    """Read an image on a grid: bilinear for images, nearest for labels.

    Args:
        grid: None: that of the image's finest band.
        bands: names, in the order wanted; None: all, in the row's order.

    Raises: InputError: a band that the image does not have, a file that is gone or damaged, or
        an image without a position.
    """
    wanted = tuple(bands) if bands is not None else tuple(row["bands"])
    try:
        places = positions(row["bands"], wanted)
    except InputError as error:
        raise InputError(f"{row['id']}: {error}") from error
    onto = grid if grid is not None else grid_of(row)
    nearest = row["product"] == "label"
    values = np.stack([_on_grid(part, onto, nearest=nearest) for part in _stored(row, places)])
    valid: NDArray[np.bool_] = np.all(np.isfinite(values), axis=0)
    filled = np.where(valid, values, 0)
    return View(wanted, filled.astype(CLASSES) if nearest else filled, valid)


@dataclass(frozen=True)
class _Stored:
    """One band as it lies on disk: values in the product's unit, NaN where there is no data."""

    values: NDArray[np.float32]
    crs: CRS
    transform: Affine


def _stored(row: Row, places: Sequence[int]) -> Iterator[_Stored]:
    if not row["files"]:
        yield from _of_file(row, Path(row["href"]), [place + 1 for place in places])
        return
    for place in places:
        yield from _of_file(row, Path(row["href"], row["files"][place]), [1])


def _of_file(row: Row, path: Path, indexes: Sequence[int]) -> Iterator[_Stored]:
    with open_raster(path) as (dataset, meta):
        if meta.crs is None or meta.transform is None:
            raise InputError(f"{path}: has no position, and cannot be brought to a grid")
        if max(indexes) > meta.count:
            raise InputError(f"{path}: has {meta.count} bands; was it changed since ingest?")
        pixels = RasterSource(dataset, meta, indexes).read(0, meta.height, 0, meta.width)
    for counts in pixels.values:
        valid = pixels.valid & np.isfinite(counts)
        if row["nodata"] is not None:
            valid &= counts != row["nodata"]
        physical = (counts.astype(np.float32) + np.float32(row["offset"])) * np.float32(
            row["scale"]
        )
        if row["unit"] == "linear":
            physical, has_logarithm = decibel(physical)
            valid &= has_logarithm
        known = np.where(valid, physical, np.float32(np.nan))
        yield _Stored(known, meta.crs, meta.transform)


def _on_grid(stored: _Stored, grid: Grid, *, nearest: bool) -> NDArray[np.float32]:
    shape = (grid.height, grid.width)
    if (stored.crs, stored.transform, stored.values.shape) == (grid.crs, grid.transform, shape):
        return stored.values
    onto = np.full(shape, np.nan, np.float32)
    reproject(
        stored.values,
        onto,
        src_transform=stored.transform,
        src_crs=stored.crs,
        src_nodata=np.nan,
        dst_transform=grid.transform,
        dst_crs=grid.crs,
        dst_nodata=np.nan,
        resampling=Resampling.nearest if nearest else Resampling.bilinear,
    )
    return onto
