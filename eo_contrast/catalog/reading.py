"""Bands as an archive's files hold them, in the product's unit: how most layouts are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from eo_contrast.bands import decibel
from eo_contrast.catalog.grids import Grid, Row, part_under
from eo_contrast.errors import InputError
from eo_contrast.raster.reader import RasterSource, open_raster


@dataclass(frozen=True)
class Stored:
    """One band, or a part of it, in its own pixels.

    Attributes:
        values: in the product's unit, NaN where there is no data.
        grid: where these pixels lie.
    """

    values: NDArray[np.float32]
    grid: Grid


Read = Callable[[Row, Sequence[int], Grid], Iterator[Stored]]
"""How a layout's images are read: row, which of its bands (from 0), and the grid wanted, of which
no more than what lies under it need be given."""


def read_rasters(row: Row, places: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """Read bands that are rasters of their own, or bands of one.

    Raises: InputError: a file is gone or damaged, or has a position where ``onto`` has none.
    """
    if not row["files"]:
        yield from read_bands(row, Path(row["href"]), [place + 1 for place in places], onto)
        return
    for place in places:
        yield from read_bands(row, Path(row["href"], row["files"][place]), [1], onto)


def physical(row: Row, counts: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Counts in the row's unit, decibel of what is linear; NaN where there is no data.

    Args:
        counts: (rows, columns), of whatever type is stored.
        valid: of the same shape; what is not finite or the row's nodata is not valid either.
    """
    known = valid & np.isfinite(counts)
    if row["nodata"] is not None:
        known &= counts != row["nodata"]
    values = (counts.astype(np.float32) + np.float32(row["offset"])) * np.float32(row["scale"])
    if row["unit"] == "linear":
        values, has_logarithm = decibel(values)
        known &= has_logarithm
    return np.where(known, values, np.float32(np.nan))


def refuse_unplaced(path: Path, whole: Grid, onto: Grid) -> None:
    """Raises: InputError: one of an image and the grid wanted has a position, the other none."""
    if (whole.crs is None) != (onto.crs is None):
        what = "a position, the grid wanted has none" if whole.crs is not None else "no position"
        raise InputError(f"{path}: has {what}, and cannot be brought to the grid")


def read_bands(row: Row, path: Path, indexes: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """Read bands of one raster by their numbers in it, from 1; else as :func:`read_rasters`."""
    with open_raster(path) as (dataset, meta):
        placed = meta.crs is not None and meta.transform is not None
        transform = meta.transform if placed and meta.transform is not None else Affine.identity()
        whole = Grid(meta.crs if placed else None, transform, meta.height, meta.width)
        refuse_unplaced(path, whole, onto)
        if max(indexes) > meta.count:
            raise InputError(f"{path}: has {meta.count} bands; was it changed since ingest?")
        top, bottom, left, right = part_under(onto, whole)
        pixels = RasterSource(dataset, meta, indexes).read(top, bottom, left, right)
    part = whole.window(top, left, bottom - top, right - left)
    for counts in pixels.values:
        yield Stored(physical(row, counts, pixels.valid), part)
