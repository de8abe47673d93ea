"""Which web-map tiles a raster covers, and at which zooms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as transform_points

from eo_contrast.errors import InputError
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.tile_names import (
    DEEPEST_ZOOM,
    EQUATOR_M,
    Tile,
)

WEB_MERCATOR = CRS.from_epsg(3857)

# Sag of a curved edge between two of these falls with their square: at 128, a raster as wide
# as a UTM zone is missed by less than a metre.
POINTS_ALONG_A_SIDE = 129
# The border itself may lie on the antimeridian, where its longitude has two values.
INSIDE = 1e-6
# Beyond this share of the equator a raster is taken to go round the Earth.
WHOLE_CIRCLE = 350 / 360
LARGEST_GDAL_SIDE = 2**31 - 1


@dataclass(frozen=True)
class _Extent:
    """Where a raster lies, in sides of the world's square, from its north-western corner.

    ``left`` and ``right`` may lie outside 0 .. 1 where the raster crosses the antimeridian;
    ``pixel`` is the square root of the central pixel's area, ``steps`` are the lengths of a
    step from it to the next column and to the next row.
    """

    left: float
    top: float
    right: float
    bottom: float
    pixel: float
    steps: tuple[float, float]


@dataclass(frozen=True)
class TilePlan:
    """The tiles that a raster may touch at ``deepest``, and the zooms to write.

    ``columns`` run eastward and may pass ``2 ** deepest``; a tile's x is that, modulo. A
    raster that goes round the Earth may begin and end in different parts of one column,
    which then is there twice.
    """

    extent: _Extent
    side: int
    minzoom: int
    maxzoom: int
    deepest: int
    columns: range
    rows: range

    def roots(self) -> list[Tile]:
        """The tiles of ``minzoom`` that hold all others."""
        z, shift = self.minzoom, self.deepest - self.minzoom
        columns = {x % 2**z for x in _parents(self.columns, shift)}
        return [Tile(z, x, y) for y in _parents(self.rows, shift) for x in sorted(columns)]

    def touches(self, tile: Tile) -> bool:
        """Whether a tile at ``deepest`` lies in or below ``tile``."""
        shift = self.deepest - tile.z
        first, past = tile.y << shift, (tile.y + 1) << shift
        if past <= self.rows.start or first >= self.rows.stop:
            return False
        # On a circle two arcs meet where one begins in the other.
        from_west, to_west = self.column(tile.x << shift), -self.column(tile.x << shift)
        return from_west < len(self.columns) or to_west % (1 << self.deepest) < 1 << shift

    def column(self, x: int) -> int:
        """How many columns east of the first the column ``x`` lies."""
        return (x - self.columns.start) % (1 << self.deepest)


def plan_tiles(raster: Path, meta: RasterMeta, *, zoom: int | None, tile_side: int) -> TilePlan:
    """Which tiles of which zooms a raster is cut into.

    Args:
        zoom: the deepest that is written; None: the one nearest to the raster's pixels.
        tile_side: in pixels.

    Raises:
        InputError: a zoom out of range, no position, or more tiles than GDAL can address.
        ValueError: ``tile_side`` is not an even number of 2 or more.
    """
    if tile_side < 2 or tile_side % 2:
        raise ValueError(f"tile_side {tile_side} is not an even number")
    if zoom is not None and not 0 <= zoom <= DEEPEST_ZOOM:
        raise InputError(f"zoom {zoom} is outside 0 .. {DEEPEST_ZOOM}")
    _refuse_unplaced(raster, meta)
    extent = _extent(raster, meta)
    own = min(max(round(-math.log2(extent.pixel * tile_side)), 0), DEEPEST_ZOOM)
    maxzoom = own if zoom is None else zoom
    deepest = max(own, maxzoom)
    # One pixel more, for what a curved border hides between the points that were looked at.
    columns, rows = _covering(extent, deepest, margin=1 / (tile_side * 2**deepest))
    if max(len(columns), len(rows)) * tile_side > LARGEST_GDAL_SIDE:
        raise InputError(
            f"{raster}: is {len(columns)} tiles wide and {len(rows)} high at zoom {deepest}, too "
            "many for GDAL; choose a shallower zoom"
        )
    return TilePlan(
        extent=extent,
        side=tile_side,
        minzoom=_smallest_zoom(extent, maxzoom),
        maxzoom=maxzoom,
        deepest=deepest,
        columns=columns,
        rows=rows,
    )


def _covering(extent: _Extent, zoom: int, *, margin: float = 0) -> tuple[range, range]:
    """Columns and rows of the tiles that meet ``extent``, which is widened by ``margin``."""
    count = 2**zoom
    first = math.floor((extent.left - margin) * count)
    last = math.floor((extent.right + margin) * count)
    last = min(last, first + count)
    top = max(math.floor((extent.top - margin) * count), 0)
    bottom = min(math.floor((extent.bottom + margin) * count), count - 1)
    return range(first, last + 1), range(top, bottom + 1)


def _smallest_zoom(extent: _Extent, zoom: int) -> int:
    for z in range(zoom, 0, -1):
        columns, rows = _covering(extent, z)
        if len(columns) == len(rows) == 1:
            return z
    return 0


def _parents(indexes: range, shift: int) -> range:
    return range(indexes[0] >> shift, (indexes[-1] >> shift) + 1)


def _refuse_unplaced(raster: Path, meta: RasterMeta) -> None:
    if meta.transform is None and meta.gcps:
        raise InputError(
            f"{raster}: is placed by ground control points only; warp it to a grid first, as "
            "with gdalwarp, to write web tiles"
        )
    missing = "CRS" if meta.crs is None else "transform" if meta.transform is None else None
    if missing:
        raise InputError(
            f"{raster}: has no {missing}, so its place on a web map is unknown; set it, as with "
            "rio edit-info, or write a PNG"
        )


def _extent(raster: Path, meta: RasterMeta) -> _Extent:
    along = np.linspace(INSIDE, 1 - INSIDE, POINTS_ALONG_A_SIDE)
    columns, rows = (grid.ravel() for grid in np.meshgrid(along * meta.width, along * meta.height))
    x, y = _world_position(raster, meta, columns, rows)
    shown = np.isfinite(x) & (y >= 0) & (y <= 1)
    if not shown.any():
        raise InputError(
            f"{raster}: no part lies within 85.05 degrees of the equator, where web tiles are"
        )
    from_centre = np.hypot(columns / meta.width - 0.5, rows / meta.height - 0.5)
    central = int(np.argmin(np.where(shown, from_centre, np.inf)))
    if meta.crs != WEB_MERCATOR:
        x = x[central] + _around(x - x[central])
    left, right = float(np.nanmin(x)), float(np.nanmax(x))
    if right - left > WHOLE_CIRCLE:
        right = left + 1
    pixel, steps = _pixel_size(raster, meta, columns[central], rows[central])
    top, bottom = np.clip([np.nanmin(y), np.nanmax(y)], 0, 1).tolist()
    return _Extent(left=left, top=top, right=right, bottom=bottom, pixel=pixel, steps=steps)


def _pixel_size(
    raster: Path, meta: RasterMeta, column: float, row: float
) -> tuple[float, tuple[float, float]]:
    """``pixel`` and ``steps`` of :class:`_Extent`."""
    columns = column + np.array([-0.5, 0.5, 0, 0])
    rows = row + np.array([0, 0, -0.5, 0.5])
    x, y = _world_position(raster, meta, columns, rows)
    (ax, ay), (dx, dy) = (_around(x[1] - x[0]), y[1] - y[0]), (_around(x[3] - x[2]), y[3] - y[2])
    area = abs(ax * dy - ay * dx)
    if not area > 0:
        raise InputError(f"{raster}: its pixels have no size on a web map; check its transform")
    return math.sqrt(area), (math.hypot(ax, ay), math.hypot(dx, dy))


def _around(turns: Any) -> Any:
    """The same direction, between half a turn west and half a turn east."""
    return (turns + 0.5) % 1 - 0.5


def _world_position(
    raster: Path, meta: RasterMeta, columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions of pixels in sides of the world from its north-west; NaN where there is none."""
    a, b, c, d, e, f = (meta.transform or Affine.identity())[:6]
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    if meta.crs == WEB_MERCATOR:
        # Not by longitude, which starts anew where a raster goes on beyond 180 degrees.
        return x / EQUATOR_M + 0.5, 0.5 - y / EQUATOR_M
    try:
        longitudes, latitudes = _longitudes_latitudes(meta.crs, x, y)
    except (CRSError, RasterioError, rasterio._err.CPLE_BaseError) as error:
        raise InputError(
            f"{raster}: its CRS cannot be tied to longitudes and latitudes; give it another"
        ) from error
    known = np.isfinite(longitudes) & np.isfinite(latitudes)
    longitudes, latitudes = (np.where(known, part, np.nan) for part in (longitudes, latitudes))
    northing = np.arcsinh(np.tan(np.radians(np.clip(latitudes, -90, 90))))
    return longitudes / 360 + 0.5, 0.5 - northing / (2 * np.pi)


def _longitudes_latitudes(
    crs: CRS, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        longitudes, latitudes = transform_points(crs, "OGC:CRS84", x, y)
    except rasterio._err.CPLE_AppDefinedError:
        # Some points are off the Earth, as in the corners of a satellite's full disk; GDAL then
        # gives none, and does not say which.
        if len(x) == 1:
            return np.array([np.nan]), np.array([np.nan])
        middle = len(x) // 2
        parts = [
            _longitudes_latitudes(crs, x[at], y[at]) for at in (slice(middle), slice(middle, None))
        ]
        longitudes, latitudes = map(np.concatenate, zip(*parts, strict=True))
    return np.asarray(longitudes), np.asarray(latitudes)
