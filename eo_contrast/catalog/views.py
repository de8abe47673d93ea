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
from rasterio.warp import transform as warp_points

from eo_contrast.bands import decibel, positions
from eo_contrast.catalog.resampling import Axis, bilinear
from eo_contrast.catalog.resampling import nearest as nearest_of
from eo_contrast.errors import InputError
from eo_contrast.raster.reader import RasterSource, open_raster

Row = Mapping[str, Any]
"""A row of the catalogue as a dict, by column."""

CLASSES = np.dtype(np.uint16)
REFERENCES = ("s2-l2a", "s2-l1c", "rgb", "s1-rtc", "s1-grd", "map", "label")
"""Which image's grid the others of a place are brought to: the first of these that it has."""

PARALLEL = 1e-9
MARGIN = 2
"""Pixels read around what a grid covers, besides those of one of its own."""


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
    values = np.stack(
        [_on_grid(part, onto, nearest=nearest) for part in _stored(row, places, onto)]
    )
    valid: NDArray[np.bool_] = np.all(np.isfinite(values), axis=0)
    filled = np.where(valid, values, 0)
    return View(wanted, filled.astype(CLASSES) if nearest else filled, valid)


@dataclass(frozen=True)
class _Stored:
    """One band as it lies on disk: values in the product's unit, NaN where there is no data."""

    values: NDArray[np.float32]
    crs: CRS | None
    transform: Affine


def _stored(row: Row, places: Sequence[int], onto: Grid) -> Iterator[_Stored]:
    if not row["files"]:
        yield from _of_file(row, Path(row["href"]), [place + 1 for place in places], onto)
        return
    for place in places:
        yield from _of_file(row, Path(row["href"], row["files"][place]), [1], onto)


def _of_file(row: Row, path: Path, indexes: Sequence[int], onto: Grid) -> Iterator[_Stored]:
    with open_raster(path) as (dataset, meta):
        placed = meta.crs is not None and meta.transform is not None
        if placed != (onto.crs is not None):
            what = "a position, the grid wanted has none" if placed else "no position"
            raise InputError(f"{path}: has {what}, and cannot be brought to the grid")
        if max(indexes) > meta.count:
            raise InputError(f"{path}: has {meta.count} bands; was it changed since ingest?")
        transform = meta.transform if placed else Affine.identity()
        assert transform is not None  # placed
        whole = Grid(meta.crs if placed else None, transform, meta.height, meta.width)
        top, bottom, left, right = _part_under(onto, whole)
        pixels = RasterSource(dataset, meta, indexes).read(top, bottom, left, right)
    part = whole.window(top, left, bottom - top, right - left)
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
        yield _Stored(known, part.crs, part.transform)


def _part_under(onto: Grid, whole: Grid) -> tuple[int, int, int, int]:
    """Rows and columns (top, bottom, left, right) of ``whole`` that ``onto`` needs.

    With a margin for what resampling looks at; at least one pixel.
    """
    if onto.crs is None or whole.crs is None:
        corners = [(0.0, 0.0), (float(onto.width), float(onto.height))]
    else:
        box = _outline(onto)
        if onto.crs != whole.crs:
            box = tuple(np.array(each) for each in warp_points(onto.crs, whole.crs, *box))
        corners = [~whole.transform @ (float(x), float(y)) for x, y in zip(*box, strict=True)]
    columns, rows = zip(*corners, strict=True)
    left, right = _clipped(min(columns), max(columns), onto.width, whole.width)
    top, bottom = _clipped(min(rows), max(rows), onto.height, whole.height)
    return top, bottom, left, right


def _outline(grid: Grid, points: int = 9) -> tuple[NDArray[np.float64], ...]:
    """x and y along the sides of a grid, in its CRS."""
    along = np.linspace(0, 1, points)
    columns = np.concatenate([along, along, along * 0, along * 0 + 1]) * grid.width
    rows = np.concatenate([along * 0, along * 0 + 1, along, along]) * grid.height
    x, y = grid.transform @ (columns, rows)
    return np.asarray(x), np.asarray(y)


def _clipped(first: float, last: float, pixels: int, length: int) -> tuple[int, int]:
    """First and one past the last of ``length`` pixels, with what interpolation looks at."""
    margin = int(np.ceil((last - first) / pixels)) + MARGIN
    begin = min(max(int(np.floor(first)) - margin, 0), length - 1)
    end = min(max(int(np.ceil(last)) + margin, begin + 1), length)
    return begin, end


def _on_grid(stored: _Stored, grid: Grid, *, nearest: bool) -> NDArray[np.float32]:
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
        src_transform=stored.transform,
        src_crs=stored.crs,
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


def _parallel_axes(stored: _Stored, grid: Grid) -> tuple[Axis, Axis] | None:
    """Rows and columns of the grid on those of what is stored; None: one is turned, or warped."""
    if stored.crs != grid.crs:
        return None
    onto = ~stored.transform @ grid.transform
    if abs(onto.b) + abs(onto.d) > PARALLEL:
        return None
    height, width = stored.values.shape
    rows = Axis(grid.height, float(onto.e), float(onto.f), height)
    return rows, Axis(grid.width, float(onto.a), float(onto.c), width)


def _shrinking(stored: _Stored, grid: Grid) -> tuple[float, float]:
    """Pixels of the grid for one that is stored, across and down, at most 1."""
    middle = grid.transform @ (grid.width / 2, grid.height / 2)
    steps = [grid.transform @ (grid.width / 2 + k, grid.height / 2 + 1 - k) for k in (1, 0)]
    xs, ys = zip(middle, *steps, strict=True)
    if stored.crs != grid.crs:
        xs, ys = warp_points(grid.crs, stored.crs, xs, ys)
    (column, row), *ends = [~stored.transform @ (x, y) for x, y in zip(xs, ys, strict=True)]
    across, down = (float(np.hypot(end[0] - column, end[1] - row)) for end in ends)
    return min(1.0, 1 / across), min(1.0, 1 / down)


def _whole_pixels(stored: _Stored, grid: Grid) -> tuple[int, int] | None:
    """Row and column of ``stored`` on the grid; None: their pixels are not the same ones."""
    if stored.crs != grid.crs:
        return None
    away = ~grid.transform @ stored.transform
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
