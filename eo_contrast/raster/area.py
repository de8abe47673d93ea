"""The area of interest: polygons of any vector file, as the pixels of a raster that lie inside."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from eo_contrast.errors import InputError
from eo_contrast.raster.meta import RasterMeta

Points = NDArray[np.float64]
"""Coordinates (N, 2), x before y."""

LON_LAT = CRS.from_user_input("OGC:CRS84")
STRAIGHT_PX = 0.25
"""Distance at a third of an edge from which on it is cut; between, it is at most an eighth more."""
MOST_CUTS = 12
GRID_POINTS = 33
PARTS_OF_EXTENT = 16
TRANSFORM_ERRORS = (CRSError, RasterioError, rasterio._err.CPLE_BaseError)
SURROUNDINGS = 0.1
"""How much of the ground around the raster is looked at, as a share of the raster's extent."""


@dataclass(frozen=True, eq=False)
class Area:
    """Which pixels of a raster lie in an area: those with their centre inside.

    ``top .. bottom`` and ``left .. right``, ends exclusive, just hold all of them. Row
    ``top + i`` is inside from each of ``begins[offsets[i] : offsets[i + 1]]`` up to the
    same of ``ends``, raster columns: what a window shows is looked up, never computed, so
    that a pixel is the same in each.
    """

    top: int
    bottom: int
    left: int
    right: int
    offsets: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    def inside(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """Which pixels of a window lie inside, (bottom - top, right - left).

        The window may reach over the raster's edges; beyond them nothing is inside.
        """
        height, width = bottom - top, right - left
        changes = np.zeros((height, width + 1), np.uint8)
        first, past = max(top, self.top), min(bottom, self.bottom)
        if first < past:
            offsets = self.offsets[first - self.top : past - self.top + 1]
            held = slice(offsets[0], offsets[-1])
            rows = np.repeat(np.arange(first - top, past - top), np.diff(offsets))
            for columns in (self.begins[held], self.ends[held]):
                places = rows * (width + 1) + np.clip(columns - left, 0, width)
                np.bitwise_xor.at(changes.ravel(), places, 1)
        return np.bitwise_xor.accumulate(changes, axis=1)[:, :width].astype(bool)


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a georeferenced raster lie."""

    height: int
    width: int
    crs: CRS
    transform: Affine


def load_area(path: Path, meta: RasterMeta, *, name: str) -> Area:
    """The polygons in a vector file, as an area of a raster.

    The first layer with polygons counts, with all its features together.

    Args:
        path: of any format that GDAL reads; GeoParquet with pyarrow.
        meta: of the raster.
        name: of the raster, for messages.

    Raises:
        InputError: ``path`` is no vector file, holds no polygon or has no CRS; the raster
            has no CRS or transform; or no pixel of the raster lies inside.
    """
    if meta.crs is None or meta.transform is None:
        lacks = "no CRS" if meta.crs is None else "no transform (only pixel coordinates)"
        raise InputError(f"{name}: has {lacks} with --aoi; georeference it, or leave --aoi out")
    grid = Grid(height=meta.height, width=meta.width, crs=meta.crs, transform=meta.transform)
    polygons, crs = _read_polygons(path)
    try:
        with _transforms_named(path, name):
            return _scanned(_pixel_lines(polygons, crs, grid), grid)
    except _NothingInside:
        raise InputError(_outside(path, polygons, crs, grid, name)) from None


class _NothingInside(Exception):
    """No pixel centre is in the area."""


def _read_polygons(path: Path) -> tuple[Any, CRS]:
    """What the first layer with polygons covers, valid and dissolved, and its CRS."""
    if not path.exists():
        raise InputError(f"{path}: no such file; give --aoi the path of a vector file")
    with _unreadable_named(path), warnings.catch_warnings():
        # Of layers without geometries and of details that GDAL could not make out.
        warnings.simplefilter("ignore")
        parquet = path.suffix.lower() in (".parquet", ".geoparquet")
        layers = _parquet_layer(path) if parquet else _gdal_layers(path)
        for geometries, crs in layers:
            polygons = _polygonal(geometries)
            if not polygons.is_empty:
                return polygons, _known_crs(path, crs)
    raise InputError(f"{path}: holds no polygon; --aoi needs areas, not points or lines")


def _gdal_layers(path: Path) -> Iterator[tuple[Any, str | None]]:
    """WKB of each layer that has geometries, and what it says of its CRS."""
    for layer, kind in pyogrio.list_layers(path):
        if kind is not None:
            meta, _, geometries, _ = pyogrio.raw.read(path, layer=layer, columns=[], force_2d=True)
            yield geometries, meta["crs"]


def _parquet_layer(path: Path) -> Iterator[tuple[Any, str | None]]:
    """As :func:`_gdal_layers`: GDAL's common builds do not read GeoParquet."""
    try:
        from pyarrow import lib, parquet
    except ImportError as error:
        raise InputError(
            f"{path}: GeoParquet needs the package pyarrow; install it, or give a .gpkg"
        ) from error
    try:
        geo = json.loads((parquet.read_schema(path).metadata or {})[b"geo"])
        name = geo["primary_column"]
        column = geo["columns"][name]
        if column["encoding"] != "WKB":
            raise InputError(
                f"{path}: its geometries are encoded as {column['encoding']}, of which only "
                "WKB is read; give a .gpkg"
            )
        geometries = parquet.read_table(path, columns=[name]).column(name)
    except (KeyError, lib.ArrowException) as error:
        raise InputError(f"{path}: is not a GeoParquet file that can be read ({error})") from error
    crs = column.get("crs", "OGC:CRS84")
    yield (
        geometries.to_numpy(zero_copy_only=False),
        crs and (crs if isinstance(crs, str) else json.dumps(crs)),
    )


def _polygonal(wkb: Any) -> Any:
    """The polygons among geometries, mended and dissolved; maybe empty."""
    parts = shapely.force_2d(shapely.from_wkb(wkb, on_invalid="fix"))
    # Collections may hold collections of polygons.
    while (shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
        parts = shapely.get_parts(parts)
    kinds = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
    polygons = parts[np.isin(shapely.get_type_id(parts), kinds)]
    return shapely.union_all(shapely.make_valid(polygons, method="structure", keep_collapsed=False))


def _known_crs(path: Path, text: str | None) -> CRS:
    try:
        if text:
            return CRS.from_user_input(text)
    except CRSError as error:
        raise InputError(f"{path}: its CRS is not understood ({error})") from error
    raise InputError(
        f"{path}: has no CRS (a shapefile needs its .prj beside it); give one that says "
        "where it lies"
    )


def _pixel_lines(polygons: Any, crs: CRS, grid: Grid) -> NDArray[np.float64]:
    """Edges of the polygons near the raster in its pixels, (N, 4): x, y, x, y.

    Straight edges are straight in the vector file's CRS, hence cut until they are bent so
    in the raster's.
    """
    same = crs == grid.crs
    near = polygons if same else _near_raster(polygons, crs, grid)
    if near.is_empty:
        raise _NothingInside
    if not same:
        # So short that a jump of longitude is told from a long edge.
        west, south, east, north = near.bounds
        near = shapely.segmentize(near, max(east - west, north - south) / PARTS_OF_EXTENT)
    points, ring = shapely.get_coordinates(
        shapely.get_rings(shapely.get_parts(near)), return_index=True
    )
    moved = points if same else _moved(points, crs, grid.crs)
    if not same and grid.crs.is_geographic:
        moved = _unwrapped(moved, ring, _turn(grid.crs))
    joined = np.flatnonzero(ring[1:] == ring[:-1])
    lines = np.hstack([moved[joined], moved[joined + 1]])
    if not same:
        originals = np.hstack([points[joined], points[joined + 1]])
        lines = _bent(originals, lines, crs, grid)
    if grid.crs.is_geographic:
        # Longitudes may be counted from -180 or from 0, and areas may cross either.
        turn = _turn(grid.crs)
        shift = np.array([turn, 0, turn, 0])
        lines = np.concatenate([lines - shift, lines, lines + shift])
    return np.hstack([_pixels(lines[:, :2], grid), _pixels(lines[:, 2:], grid)])


def _near_raster(polygons: Any, crs: CRS, grid: Grid) -> Any:
    """The part of the polygons around the raster: far away its CRS may not reach.

    Longitudes are brought to the turn that the raster's centre is counted in.
    """
    try:
        x, y = _moved(_samples(grid), grid.crs, crs).T
    except TRANSFORM_ERRORS:
        return polygons
    turn = _turn(crs) if crs.is_geographic else 0.0
    if turn:
        middle = x[len(x) // 2]
        x = middle + (x - middle + turn / 2) % turn - turn / 2
    pad_x, pad_y = SURROUNDINGS * np.ptp(x), SURROUNDINGS * np.ptp(y)
    left, right, low, high = x.min() - pad_x, x.max() + pad_x, y.min() - pad_y, y.max() + pad_y
    if turn and right - left > turn / 2:
        # The raster holds a pole, or most of the globe.
        left, right = -2 * turn, 2 * turn
        low, high = (low, turn / 4) if low + high > 0 else (-turn / 4, high)
        turn = 0.0
    shifts = (-turn, 0.0, turn) if turn else (0.0,)
    parts = [
        shapely.transform(
            shapely.intersection(polygons, shapely.box(left + by, low, right + by, high)),
            lambda points, by=by: points - np.array([by, 0]),
        )
        for by in shifts
    ]
    near = shapely.get_parts(parts)
    return shapely.union_all(near[shapely.get_dimensions(near) == 2])


def _bent(
    originals: NDArray[np.float64], lines: NDArray[np.float64], crs: CRS, grid: Grid
) -> NDArray[np.float64]:
    """Edges in the raster's CRS, cut in three where they would stray from the true line.

    Args:
        originals: the edges (N, 4) in the vector file's CRS ``crs``.
        lines: their ends in the raster's.
    """
    done = []
    for _ in range(MOST_CUTS):
        # At two points, since an S crosses its chord in the middle.
        cuts = [_cut(originals, share) for share in (1 / 3, 2 / 3)]
        straight = [_cut(lines, share) for share in (1 / 3, 2 / 3)]
        true = [_moved(points, crs, grid.crs) for points in cuts]
        if grid.crs.is_geographic:
            true = [_beside(*pair, _turn(grid.crs)) for pair in zip(true, straight, strict=True)]
        strays = [
            np.hypot(*(_pixels(a, grid) - _pixels(b, grid)).T)
            for a, b in zip(true, straight, strict=True)
        ]
        far = np.maximum(*strays) > STRAIGHT_PX
        done.append(lines[~far])
        if not far.any():
            break
        originals, lines = (
            np.concatenate(
                [
                    np.hstack([ends[far, :2], points[0][far]]),
                    np.hstack([points[0][far], points[1][far]]),
                    np.hstack([points[1][far], ends[far, 2:]]),
                ]
            )
            for ends, points in ((originals, cuts), (lines, true))
        )
    else:
        done.append(lines)
    return np.concatenate(done)


def _cut(lines: NDArray[np.float64], share: float) -> Points:
    return lines[:, :2] + share * (lines[:, 2:] - lines[:, :2])


def _scanned(lines: NDArray[np.float64], grid: Grid) -> Area:
    """Cut edges in pixels with the middle of every row, and see what lies between the cuts.

    Raises: _NothingInside: no pixel centre does.
    """
    x, y, x_end, y_end = lines.T
    # Always downwards, so that an edge gives the same cuts from either of its sides.
    down = y < y_end
    x, x_end = np.where(down, x, x_end), np.where(down, x_end, x)
    y, y_end = np.where(down, y, y_end), np.where(down, y_end, y)
    first = np.clip(np.ceil(y - 0.5), 0, grid.height).astype(np.int64)
    past = np.clip(np.ceil(y_end - 0.5), 0, grid.height).astype(np.int64)
    counts = past - first
    edge = np.repeat(np.arange(len(lines)), counts)
    starts = np.cumsum(counts) - counts
    rows = first[edge] + np.arange(len(edge)) - starts[edge]
    slope = (x_end - x)[edge] / (y_end - y)[edge]
    columns = np.ceil(x[edge] + (rows + 0.5 - y[edge]) * slope - 0.5)
    columns = np.clip(columns, 0, grid.width).astype(np.int64)

    order = np.lexsort((columns, rows))
    # Rings are closed: each row is cut an even number of times.
    rows, begins, ends = rows[order][::2], columns[order][::2], columns[order][1::2]
    held = begins < ends
    rows, begins, ends = rows[held], begins[held], ends[held]
    if not len(rows):
        raise _NothingInside
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    offsets = np.searchsorted(rows, np.arange(top, bottom + 1))
    return Area(
        top=top,
        bottom=bottom,
        left=int(begins.min()),
        right=int(ends.max()),
        offsets=offsets.astype(np.int64),
        begins=begins,
        ends=ends,
    )


def _outside(path: Path, polygons: Any, crs: CRS, grid: Grid, name: str) -> str:
    """The sentence that says where the area lies and where the raster."""
    corners = _moved(_samples(grid), grid.crs, grid.crs)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (
        f"{path}: no pixel of {name} has its centre in the area, which spans "
        f"{_span(crs, polygons.bounds)}; the raster spans {_span(grid.crs, (*low, *high))}. "
        "Check both positions, or give another area"
    )


def _span(crs: CRS, bounds: tuple[float, ...]) -> str:
    try:
        west, south, east, north = transform_bounds(crs, LON_LAT, *bounds)
    except TRANSFORM_ERRORS:
        return "unknown longitudes and latitudes"
    return f"longitude {west:.5f} to {east:.5f} and latitude {south:.5f} to {north:.5f}"


def _samples(grid: Grid) -> Points:
    """Points all over the raster, edges and corners too, in its CRS; the middle one is central."""
    columns = np.linspace(0, grid.width, GRID_POINTS)
    rows = np.linspace(0, grid.height, GRID_POINTS)
    x, y = (axis.ravel() for axis in np.meshgrid(columns, rows))
    a, b, c, d, e, f = grid.transform[:6]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def _pixels(points: Points, grid: Grid) -> Points:
    a, b, c, d, e, f = (~grid.transform)[:6]
    x, y = points.T
    # Not as a matrix product, whose rounding may differ from row to row.
    pixels: Points = np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
    return pixels


def _moved(points: Points, source: CRS, target: CRS) -> Points:
    """Points in another CRS.

    Raises: one of ``TRANSFORM_ERRORS``: some have no place there.
    """
    if source == target or not len(points):
        return points
    x, y = points.T
    moved = np.stack(transform_points(source, target, x.tolist(), y.tolist())[:2], axis=1)
    if not np.isfinite(moved).all():
        raise CRSError("points lie beyond where that CRS reaches")
    return moved


def _turn(crs: CRS) -> float:
    """A full turn in the units of a geographic CRS, such as 360."""
    factor = float(crs.units_factor[1])
    return 2 * math.pi / factor if factor else 360.0


def _unwrapped(points: Points, ring: NDArray[np.integer[Any]], turn: float) -> Points:
    """Longitudes and latitudes without jumps along each ring.

    Raises: CRSError: a ring goes around a pole, and its ends are a turn apart.
    """
    turns = np.cumsum(np.rint(np.diff(points[:, 0], prepend=points[:1, 0]) / turn))
    firsts = np.searchsorted(ring, np.arange(ring[-1] + 1))
    lasts = np.append(firsts[1:], len(ring)) - 1
    turns -= turns[firsts][ring]
    if turns[lasts].any():
        raise CRSError("the area goes around a pole, where longitudes have no end")
    unwrapped: Points = points - np.stack([turn * turns, 0 * turns], axis=1)
    return unwrapped


def _beside(points: Points, others: Points, turn: float) -> Points:
    """Points with longitudes counted in the turn that those of ``others`` are in."""
    turns = np.rint((points[:, 0] - others[:, 0]) / turn)
    return np.stack([points[:, 0] - turns * turn, points[:, 1]], axis=1)


@contextmanager
def _unreadable_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (DataSourceError, DataLayerError, shapely.GEOSException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is not a vector file that can be read ({reason})") from error


@contextmanager
def _transforms_named(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except TRANSFORM_ERRORS as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(
            f"{path}: cannot be brought to the CRS of {name} ({reason}); give it in another CRS"
        ) from error
