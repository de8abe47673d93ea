"""Web-mercator tiles made of a finished raster, pictures of it, and tiles read as one raster.

Tiles are numbered as in XYZ: zoom, column from the west, row from the north. A raster is read
once, at its *deepest* zoom, tile by tile; every tile above is made of its four children while
these are at hand, so that memory does not grow with the raster.
"""

from __future__ import annotations

import io
import math
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from eo_contrast.errors import InputError, WorldError
from eo_contrast.progress import Advance
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import open_raster, unplaced_silently
from eo_contrast.raster.tile_names import (
    DEEPEST_ZOOM,
    EQUATOR_M,
    Tile,
    tile_transform,
    tiles_from_names,
)
from eo_contrast.raster.writer import gdal_failures_named

WEB_MERCATOR = CRS.from_epsg(3857)
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
TILE_SIDE = 256

# Sag of a curved edge between two of these falls with their square: at 128, a raster as wide
# as a UTM zone is missed by less than a metre.
POINTS_ALONG_A_SIDE = 129
# The border itself may lie on the antimeridian, where its longitude has two values.
INSIDE = 1e-6
# Beyond this share of the equator a raster is taken to go round the Earth.
WHOLE_CIRCLE = 350 / 360
# GDAL's usual eighth of a pixel depends on where blocks begin, and shows along tile borders.
WARP_TOLERANCE_PX = 0.001

TILE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
TILE_SIDES = (256, 512)
LARGEST_GDAL_SIDE = 2**31 - 1

MBTILES_APPLICATION = 0x4D504258  # 'MPBX'
PNG_LEVEL = 6

_Picture = NDArray[np.uint8]
"""(bands + 1, side, side): colours, or classes, and alpha last."""


@dataclass(frozen=True)
class TileSummary:
    """What was written.

    ``bounds`` are west, south, east and north in degrees; those of a raster that crosses the
    antimeridian go round the Earth, since readers of tiles know no other way. ``center`` is
    longitude, latitude, and a zoom at which the raster fills about a screen.
    """

    tiles: int
    minzoom: int
    maxzoom: int
    bounds: tuple[float, float, float, float]
    center: tuple[float, float, int]
    opaque: bool


def write_xyz(
    raster: Path,
    folder: Path,
    *,
    zoom: int | None = None,
    tile_side: int = TILE_SIDE,
    advance: Advance | None = None,
) -> TileSummary:
    """Write a raster as ``folder/z/x/y.png``.

    Pixels are RGB where a whole tile is valid, else RGBA; tiles without a valid pixel are not
    written. The same raster gives the same bytes.

    Args:
        raster: 8-bit bands: grey, a colour table, RGB, or more, of which red, green and blue
            are taken; with alpha, a mask or nodata; in any CRS.
        folder: may exist.
        zoom: the deepest written; None for the one whose pixels are nearest in size to the
            raster's central one. All zooms up to it are written, from the deepest at which
            one tile holds the raster.
        tile_side: in pixels, even.
        advance: told how many of :func:`count_tiles` are done.

    Raises:
        InputError: the raster has no CRS or transform, lies beyond web mercator, is not of
            bytes, or has no valid pixel; ``zoom`` is out of range.
        ValueError: ``tile_side`` is odd.
    """

    def put(tile: Tile, png: bytes) -> None:
        column = folder / str(tile.z) / str(tile.x)
        column.mkdir(parents=True, exist_ok=True)
        (column / f"{tile.y}.png").write_bytes(png)

    return _write_tiles(raster, put, zoom=zoom, tile_side=tile_side, advance=advance)


def write_mbtiles(
    raster: Path,
    path: Path,
    *,
    zoom: int | None = None,
    tile_side: int = TILE_SIDE,
    name: str | None = None,
    attribution: str | None = None,
    advance: Advance | None = None,
) -> TileSummary:
    """Write a raster as MBTiles 1.3, an SQLite file; tiles and errors as in :func:`write_xyz`.

    The same raster gives the same bytes with one version of SQLite, which writes its own
    number into the file.

    Args:
        path: is replaced if it exists.
        name: shown to people; None for the raster's file name.
        attribution: shown beside the map, may be HTML.

    Raises:
        WorldError: SQLite cannot write, as on a full disk.
    """
    path.unlink(missing_ok=True)
    with _tile_database(path) as database:

        def put(tile: Tile, png: bytes) -> None:
            row = (tile.z, tile.x, tms_row(tile), png)
            database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", row)

        summary = _write_tiles(raster, put, zoom=zoom, tile_side=tile_side, advance=advance)
        about = _about(summary, name or raster.stem, attribution)
        places = {
            "bounds": ",".join(f"{degrees:.7f}" for degrees in summary.bounds),
            "center": "{:.7f},{:.7f},{}".format(*summary.center),
            "minzoom": str(summary.minzoom),
            "maxzoom": str(summary.maxzoom),
        }
        lines = sorted({**about, **places}.items())
        database.executemany("INSERT INTO metadata VALUES (?, ?)", lines)
    return summary


def write_pmtiles(
    raster: Path,
    path: Path,
    *,
    zoom: int | None = None,
    tile_side: int = TILE_SIDE,
    name: str | None = None,
    attribution: str | None = None,
    advance: Advance | None = None,
) -> TileSummary:
    """Write a raster as a clustered PMTiles 3 archive; arguments as in :func:`write_mbtiles`.

    Needs thrice the archive's size on the disk of ``path``, and some hundred bytes of memory
    a tile for its directory.

    Raises:
        InputError: as in :func:`write_xyz`, or the package ``pmtiles`` is not installed.
    """
    library = _pmtiles_library()
    with _scratch_file(path) as spool, _scratch_file(path) as sorted_tiles:
        index: list[tuple[int, int, int]] = []

        def put(tile: Tile, png: bytes) -> None:
            tile_id = library.zxy_to_tileid(tile.z, tile.x, tile.y)
            index.append((tile_id, spool.tell(), len(png)))
            spool.write(png)

        summary = _write_tiles(raster, put, zoom=zoom, tile_side=tile_side, advance=advance)
        with path.open("wb") as file:
            archive = library.Writer(file)
            # The package's own scratch file lies in /tmp, which is often memory.
            archive.tile_f.close()
            archive.tile_f = sorted_tiles
            for tile_id, offset, length in sorted(index):
                spool.seek(offset)
                archive.write_tile(tile_id, spool.read(length))
            about = _about(summary, name or raster.stem, attribution)
            archive.finalize(_pmtiles_header(summary, library), about)
    return summary


def count_tiles(raster: Path, *, zoom: int | None = None, tile_side: int = TILE_SIDE) -> int:
    """How many tiles are read from the raster: what ``advance`` of the writers counts to.

    Raises: InputError: the raster cannot be written as tiles; see :func:`write_xyz`.
    """
    with open_raster(raster) as (_, meta):
        _look(raster, meta)
        plan = _plan(raster, meta, zoom=zoom, tile_side=tile_side)
    return min(len(plan.columns), 1 << plan.deepest) * len(plan.rows)


def tms_row(tile: Tile) -> int:
    """Row of ``tile`` counted from the south, as MBTiles does."""
    return (1 << tile.z) - 1 - tile.y


def write_png(raster: Path, out: Path) -> tuple[Path, ...]:
    """Write a raster as one PNG on its own grid, with all that says where it lies.

    The raster's mask becomes alpha. PNG holds no CRS, so GDAL's ``.png.aux.xml`` stays beside
    it where the raster has one; a ``.pgw`` holds the transform where there is one.

    Returns: the files written: ``out``, then those beside it. A caller that renames ``out``
        renames these too.
    Raises:
        InputError: not of bytes, or the bands are not those of a picture.
        WorldError: the disk is full or failing.
    """
    world, position = out.with_suffix(".pgw"), out.with_name(f"{out.name}.aux.xml")
    for path in (out, world, position):
        path.unlink(missing_ok=True)
    with open_raster(raster) as (dataset, meta), unplaced_silently():
        _refuse_wide_samples(raster, meta)
        with gdal_failures_named(out), _picture_view(raster, dataset, meta) as view:
            rasterio.shutil.copy(view, str(out), driver="PNG", ZLEVEL=PNG_LEVEL)
    if meta.crs is None and meta.gcps_crs is None:
        position.unlink(missing_ok=True)
    if meta.transform is not None:
        world.write_text(_world_file(meta.transform))
    return tuple(path for path in (out, world, position) if path.exists())


def tile_folder_mosaic(folder: Path, out_vrt: Path) -> Path:
    """Make of a folder of tiles one raster: a VRT of three bands and a mask, in EPSG:3857.

    Tiles are named ``z/x/y`` (rows from the north), ``z_x_y`` or by quadkey, and may be grey,
    RGB, RGBA or with a colour table, each as it likes. Of several zooms the deepest counts.
    Absent tiles and transparent pixels are invalid. Tiles on both sides of the antimeridian
    stay together: the raster then goes on beyond 180 degrees.

    Args:
        out_vrt: is replaced if it exists; refers to the tiles by absolute paths.

    Returns: ``out_vrt``.
    Raises:
        InputError: a file's name is no tile address, two files are the same tile, or a tile
            is not readable, not of bytes, or not 256 or 512 pixels wide like the others.
    """
    placed = _deepest_tiles(folder)
    sources = [_tile_source(path, tile) for tile, path in sorted(placed.items())]
    side = sources[0].side
    for source in sources:
        if source.side != side:
            raise InputError(
                f"{source.path}: is {source.side} pixels wide, {sources[0].path.name} {side}; "
                "all tiles of a folder must be of one size"
            )
    zoom = sources[0].tile.z
    west, across = _shortest_arc([tile.x for tile in placed], 2**zoom)
    north = min(tile.y for tile in placed)
    down = max(tile.y for tile in placed) + 1 - north
    if max(across, down) * side > LARGEST_GDAL_SIDE:
        raise InputError(
            f"{folder}: tiles lie {across} columns and {down} rows apart at zoom {zoom}, too far "
            "for one raster; choose some of them"
        )
    with out_vrt.open("w", encoding="utf-8") as file:
        file.writelines(_vrt_lines(sources, Tile(zoom, west, north), (across, down)))
    return out_vrt


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
class _Plan:
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


def _plan(raster: Path, meta: RasterMeta, *, zoom: int | None, tile_side: int) -> _Plan:
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
    return _Plan(
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


@dataclass(frozen=True)
class _Look:
    """How bands are seen: 1-based ``colours`` (one or three), ``alpha`` None for a raster
    without, ``palette`` (256, 4) RGBA where the one band holds classes."""

    colours: tuple[int, ...]
    alpha: int | None
    palette: _Picture | None

    @property
    def resampling(self) -> Resampling:
        return Resampling.bilinear if self.palette is None else Resampling.nearest


def _look(raster: Path, meta: RasterMeta) -> _Look:
    _refuse_wide_samples(raster, meta)
    has_alpha = ColorInterp.alpha in meta.colorinterp
    alpha = 1 + meta.colorinterp.index(ColorInterp.alpha) if has_alpha else None
    others = tuple(band for band in range(1, meta.count + 1) if band != alpha)
    if set(RGB) <= set(meta.colorinterp):
        colours = tuple(1 + meta.colorinterp.index(colour) for colour in RGB)
    elif len(others) >= 3:
        colours = others[:3]
    elif len(others) == 1:
        colours = others
    else:
        raise InputError(f"{raster}: {len(others)} bands make no picture; 1 or 3 are needed")
    palette = None
    if meta.colormap is not None and len(colours) == 1:
        palette = np.zeros((256, 4), np.uint8)
        for value, colour in meta.colormap.items():
            palette[value] = colour
    return _Look(colours=colours, alpha=alpha, palette=palette)


def _refuse_wide_samples(raster: Path, meta: RasterMeta) -> None:
    wide = [dtype for dtype in meta.dtypes if dtype != "uint8"]
    if wide:
        raise InputError(
            f"{raster}: holds {wide[0]} values; pictures are of uint8, so write a GeoTIFF instead"
        )


@contextmanager
def _on_tile_grid(
    dataset: Any, meta: RasterMeta, plan: _Plan, look: _Look
) -> Iterator[tuple[Any, ...]]:
    """The raster in web mercator, on the pixels of the plan's tiles.

    Yields: several views for one in longitudes beyond 180 degrees, which GDAL does not take
        for those below: a pixel is in one of them.
    """
    corner = Tile(plan.deepest, plan.columns.start, plan.rows.start)
    nodata = meta.nodata[0] if meta.nodata else None
    across, down = (step * plan.side * 2**plan.deepest for step in plan.extent.steps)
    options = {
        "crs": WEB_MERCATOR,
        "transform": Affine(*tile_transform(corner, plan.side, plan.side)),
        "width": len(plan.columns) * plan.side,
        "height": len(plan.rows) * plan.side,
        "resampling": look.resampling,
        "tolerance": WARP_TOLERANCE_PX,
        # Left to itself GDAL guesses how far a pixel reaches from each block: tiles show.
        "XSCALE": min(across, 1),
        "YSCALE": min(down, 1),
        "add_alpha": look.alpha is None,
        "src_nodata": nodata if nodata is not None and 0 <= nodata <= 255 else None,
        # White roofs are no holes where nodata is 255: a pixel is invalid if all bands are.
        "UNIFIED_SRC_NODATA": "YES",
    }
    with ExitStack() as stack:
        placed = [options | place for place in _places_round_the_earth(meta)]
        yield tuple(stack.enter_context(WarpedVRT(dataset, **each)) for each in placed)


def _places_round_the_earth(meta: RasterMeta) -> list[dict[str, Affine]]:
    """Where to see the raster, so that all of it lies once between 180 degrees west and east."""
    crs, transform = meta.crs, meta.transform
    if crs is None or transform is None or not crs.is_geographic:
        return [{}]
    circle = 2 * math.pi / crs.units_factor[1]
    corners = [transform @ (x, y) for x in (0, meta.width) for y in (0, meta.height)]
    west, east = (chosen(x for x, _ in corners) / circle for chosen in (min, max))
    first, last = math.floor(west + 0.5 + 1e-9), math.ceil(east - 0.5 - 1e-9)
    if first == last == 0:
        return [{}]
    return [
        {"src_transform": Affine.translation(-turn * circle, 0) @ transform}
        for turn in range(first, last + 1)
    ]


def _write_tiles(
    raster: Path,
    put: Callable[[Tile, bytes], None],
    *,
    zoom: int | None,
    tile_side: int,
    advance: Advance | None,
) -> TileSummary:
    with open_raster(raster) as (dataset, meta):
        look = _look(raster, meta)
        plan = _plan(raster, meta, zoom=zoom, tile_side=tile_side)
        with _on_tile_grid(dataset, meta, plan, look) as views:
            walk = _Walk(raster, views, plan, look, put, advance or _silent)
            for root in plan.roots():
                walk.visit(root)
    if not walk.zooms:
        raise InputError(f"{raster}: no pixel is valid, so there is nothing to show")
    return _summary(plan, walk)


class _Walk:
    """Goes through the tiles depth first; a tile is put when its children are done."""

    def __init__(
        self,
        raster: Path,
        views: tuple[Any, ...],
        plan: _Plan,
        look: _Look,
        put: Callable[[Tile, bytes], None],
        advance: Advance,
    ) -> None:
        self._raster = raster
        self._views = views
        self._plan = plan
        self._look = look
        self._put = put
        self._advance = advance
        self._indexes = [*look.colours, look.alpha or views[0].count]
        self._halved = _halved_colours if look.palette is None else _halved_classes
        self._read_tiles = 0
        self.zooms: Counter[int] = Counter()
        self.opaque = True

    def visit(self, tile: Tile) -> _Picture | None:
        """Put ``tile`` and all below; returns its pixels, None where none is valid."""
        below = tile.z < self._plan.deepest
        picture = self._from_children(tile) if below else self._read(tile)
        if picture is not None and tile.z <= self._plan.maxzoom:
            rgba = _as_rgba(picture, self._look.palette)
            if rgba[..., 3].any():
                opaque = bool((rgba[..., 3] == 255).all())
                self._put(tile, _png_bytes(rgba[..., :3] if opaque else rgba))
                self.zooms[tile.z] += 1
                self.opaque &= opaque
        return picture

    def _from_children(self, tile: Tile) -> _Picture | None:
        side = self._plan.side
        quad: _Picture | None = None
        for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
            child = Tile(tile.z + 1, 2 * tile.x + across, 2 * tile.y + down)
            picture = self.visit(child) if self._plan.touches(child) else None
            if picture is None:
                continue
            if quad is None:
                quad = np.zeros((len(self._indexes), 2 * side, 2 * side), np.uint8)
            rows, columns = (slice(at * side, (at + 1) * side) for at in (down, across))
            quad[:, rows, columns] = picture
        return None if quad is None else self._halved(quad)

    def _read(self, tile: Tile) -> _Picture | None:
        plan, picture = self._plan, None
        for column in range(plan.column(tile.x), len(plan.columns), 2**plan.deepest):
            for view in self._views:
                part = self._read_window(view, column, tile.y - plan.rows.start)
                picture = part if picture is None else np.where(picture[-1] > 0, picture, part)
        self._read_tiles += 1
        self._advance(self._read_tiles)
        return picture if picture is not None and picture[-1].any() else None

    def _read_window(self, view: Any, column: int, row: int) -> _Picture:
        side = self._plan.side
        window = Window(column * side, row * side, side, side)
        try:
            pixels: _Picture = view.read(self._indexes, window=window)
        except (RasterioError, rasterio._err.CPLE_BaseError) as error:
            cause = " ".join(str(error.__cause__ or error).split())
            raise InputError(
                f"{self._raster}: pixels cannot be read ({cause}); check the file"
            ) from error
        return pixels


def _silent(_done: int, _note: str = "") -> None:
    return None


def _halved_colours(quad: _Picture) -> _Picture:
    """Mean of 2 x 2 pixels; colours weigh by their alpha, so that invalid ones do not count."""
    colours, alpha = quad[:-1].astype(np.float32), quad[-1].astype(np.float32)
    total = _sum_of_fours(alpha)
    mean = np.stack([*(_sum_of_fours(band * alpha) for band in colours), total])
    np.divide(mean[:-1], total, out=mean[:-1], where=total > 0)
    mean[-1] /= 4
    # Half to even: always up would brighten the map at every zoom.
    result = np.rint(mean).astype(np.uint8)
    result[:-1, result[-1] == 0] = 0
    return result


def _sum_of_fours(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = plane[0::2] + plane[1::2]
    return rows[:, 0::2] + rows[:, 1::2]


def _halved_classes(quad: _Picture) -> _Picture:
    """The class that most of 2 x 2 valid pixels have, the first of equals; two make it valid."""
    corners = [quad[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    values = np.stack([corner[0] for corner in corners])
    valid = np.stack([corner[1] > 0 for corner in corners])
    votes = [((values == value) & valid).sum(axis=0) for value in values]
    winner = np.argmax(np.where(valid, votes, 0), axis=0)
    chosen = np.take_along_axis(values, winner[None], axis=0)[0]
    shown = valid.sum(axis=0) >= 2
    return np.stack([np.where(shown, chosen, 0), shown * np.uint8(255)]).astype(np.uint8)


def _as_rgba(picture: _Picture, palette: _Picture | None) -> _Picture:
    """(side, side, 4), contiguous; 0 where transparent."""
    alpha = picture[-1]
    if palette is not None:
        rgba: _Picture = palette[picture[0]]
        rgba[alpha == 0] = 0
    else:
        colours = np.broadcast_to(picture[:-1], (3, *alpha.shape))
        rgba = np.ascontiguousarray(np.concatenate([colours, alpha[None]]).transpose(1, 2, 0))
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def _png_bytes(pixels: _Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def _summary(plan: _Plan, walk: _Walk) -> TileSummary:
    extent = plan.extent
    west, east = (360 * (x - 0.5) for x in (extent.left, extent.right))
    north, south = (_latitude(y) for y in (extent.top, extent.bottom))
    middle = (extent.left + extent.right) / 2 % 1
    span = max(extent.right - extent.left, extent.bottom - extent.top)
    # Two tiles are about a window's width.
    minzoom, maxzoom = min(walk.zooms), max(walk.zooms)
    zoom = min(max(math.floor(1 - math.log2(span)), minzoom), maxzoom)
    crosses = west < -180 - 1e-9 or east > 180 + 1e-9
    return TileSummary(
        tiles=walk.zooms.total(),
        minzoom=minzoom,
        maxzoom=maxzoom,
        bounds=(-180.0, south, 180.0, north) if crosses else (west, south, east, north),
        center=(360 * (middle - 0.5), _latitude((extent.top + extent.bottom) / 2), zoom),
        opaque=walk.opaque,
    )


def _latitude(y: float) -> float:
    return math.degrees(math.atan(math.sinh(2 * math.pi * (0.5 - y))))


def _about(summary: TileSummary, name: str, attribution: str | None) -> dict[str, str]:
    about = {
        "name": name,
        "format": "png",
        "type": "baselayer" if summary.opaque else "overlay",
        "version": "1",
    }
    return {**about, "attribution": attribution} if attribution else about


@contextmanager
def _tile_database(path: Path) -> Iterator[sqlite3.Connection]:
    """An MBTiles file to insert into; its index is made when the block ends well."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # No journal: after a failure the file is thrown away, not rolled back.
            for line in (
                "PRAGMA page_size = 4096",
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                f"PRAGMA application_id = {MBTILES_APPLICATION}",
                "BEGIN",
                "CREATE TABLE metadata (name TEXT, value TEXT)",
                "CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER,"
                " tile_row INTEGER, tile_data BLOB)",
            ):
                database.execute(line)
            yield database
            database.execute("CREATE UNIQUE INDEX metadata_index ON metadata (name)")
            database.execute(
                "CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)"
            )
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise WorldError(
            f"{path}: writing failed ({error}); free some space and run again"
        ) from error


@dataclass(frozen=True)
class _PmtilesLibrary:
    """The parts of the package ``pmtiles`` in use."""

    Writer: Any
    zxy_to_tileid: Callable[[int, int, int], int]
    tile_type: Any
    tile_compression: Any


def _pmtiles_library() -> _PmtilesLibrary:
    try:
        tile, writer = import_module("pmtiles.tile"), import_module("pmtiles.writer")
    except ImportError as error:
        raise InputError(
            "writing PMTiles needs the package pmtiles; install it by "
            "pip install 'eo-contrast[tiles]', or write mbtiles or xyz"
        ) from error
    return _PmtilesLibrary(
        Writer=writer.Writer,
        zxy_to_tileid=tile.zxy_to_tileid,
        tile_type=tile.TileType.PNG,
        tile_compression=tile.Compression.NONE,
    )


def _pmtiles_header(summary: TileSummary, library: _PmtilesLibrary) -> dict[str, Any]:
    west, south, east, north = (round(degrees * 1e7) for degrees in summary.bounds)
    longitude, latitude, zoom = summary.center
    return {
        "tile_type": library.tile_type,
        "tile_compression": library.tile_compression,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_lon_e7": round(longitude * 1e7),
        "center_lat_e7": round(latitude * 1e7),
        "center_zoom": zoom,
    }


def _scratch_file(path: Path) -> Any:
    """A nameless file on the disk of ``path``."""
    return tempfile.TemporaryFile(dir=path.parent)


@contextmanager
def _picture_view(raster: Path, dataset: Any, meta: RasterMeta) -> Iterator[Any]:
    """The raster with the bands of a PNG: colours, or a colour table, and alpha where invalid."""
    look = _look(raster, meta)
    bands = look.colours if look.alpha is None else (*look.colours, look.alpha)
    if not meta.masked and bands == tuple(range(1, meta.count + 1)):
        yield dataset
        return
    with tempfile.TemporaryDirectory() as folder:
        # GDAL's own VRT of it carries CRS, transform, GCPs and tags; only bands are changed.
        copied = Path(folder) / "view.vrt"
        rasterio.shutil.copy(dataset, str(copied), driver="VRT")
        tree = ElementTree.fromstring(copied.read_text())
    for name in tree.iter("SourceFilename"):
        name.text, name.attrib = str(raster.absolute()), {"relativeToVRT": "0"}
    _choose_bands(tree, meta, look)
    with rasterio.open(ElementTree.tostring(tree, encoding="unicode")) as view:
        yield view


def _choose_bands(tree: ElementTree.Element, meta: RasterMeta, look: _Look) -> None:
    bands = tree.findall("VRTRasterBand")
    mask = tree.find("MaskBand/VRTRasterBand")
    for element in (*bands, *tree.findall("MaskBand")):
        tree.remove(element)
    chosen = [bands[band - 1] for band in look.colours]
    if look.palette is not None and meta.masked:
        # PNG has no room for a colour table and alpha.
        chosen = [_colour_of_table(chosen[0], component) for component in (1, 2, 3)]
    if look.alpha is not None:
        chosen.append(bands[look.alpha - 1])
    elif mask is not None:
        ElementTree.SubElement(mask, "ColorInterp").text = "Alpha"
        chosen.append(mask)
    for number, element in enumerate(chosen, start=1):
        element.set("band", str(number))
        tree.append(element)


def _colour_of_table(band: ElementTree.Element, component: int) -> ElementTree.Element:
    colour = deepcopy(band)
    for table in colour.findall("ColorTable"):
        colour.remove(table)
    for interpretation in colour.findall("ColorInterp"):
        interpretation.text = ("Red", "Green", "Blue")[component - 1]
    for source in colour.findall("SimpleSource"):
        source.tag = "ComplexSource"
        ElementTree.SubElement(source, "ColorTableComponent").text = str(component)
    return colour


def _world_file(transform: Affine) -> str:
    """Six lines of an ESRI world file; the place is that of the first pixel's centre."""
    a, b, _, d, e, _ = transform[:6]
    x, y = transform @ (0.5, 0.5)
    return "".join(f"{number!r}\n" for number in (a, d, b, e, x, y))


@dataclass(frozen=True)
class _TileSource:
    """A tile on disk. ``parts`` are where red, green, blue and validity come from: the source
    band as VRT names it, and the component of its colour table, None for the value."""

    path: Path
    tile: Tile
    side: int
    parts: tuple[tuple[str, int | None], ...]


def _deepest_tiles(folder: Path) -> dict[Tile, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of tiles")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in TILE_SUFFIXES)
    names = [path.relative_to(folder).as_posix() for path in paths]
    # macOS leaves '._1.png' beside '1.png'.
    names = [name for name in names if not any(part[0] == "." for part in name.split("/"))]
    if not names:
        raise InputError(f"{folder}: holds no tiles ({', '.join(sorted(TILE_SUFFIXES))})")
    addresses = [tile for tile in tiles_from_names(names) if tile is not None]
    if not addresses:
        stray = next(name for name in names if tiles_from_names([name]) == [None])
        raise InputError(
            f"{folder / stray}: its name is no tile address; name tiles z/x/y, z_x_y or by a "
            "quadkey of 10 digits or more, and keep other pictures elsewhere"
        )
    deepest = max(tile.z for tile in addresses)
    placed: dict[Tile, Path] = {}
    for tile, name in zip(addresses, names, strict=True):
        if tile.z != deepest:
            continue
        if tile in placed:
            raise InputError(f"{folder / name}: is the same tile as {placed[tile]}; keep one")
        placed[tile] = folder / name
    return placed


def _tile_source(path: Path, tile: Tile) -> _TileSource:
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
    try:
        with rasterio.Env(**options), unplaced_silently(), rasterio.open(path) as dataset:
            shape = (dataset.width, dataset.height)
            dtypes, colours = set(dataset.dtypes), tuple(dataset.colorinterp)
            own_mask = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
    except (RasterioError, rasterio._err.CPLE_BaseError) as error:
        raise InputError(f"{path}: not readable as an image; replace or remove it") from error
    if shape[0] != shape[1] or shape[0] not in TILE_SIDES:
        raise InputError(f"{path}: is {shape[0]} x {shape[1]} pixels; tiles are 256 or 512 square")
    if dtypes != {"uint8"} or len(colours) > 4:
        raise InputError(
            f"{path}: holds {len(colours)} bands of {dtypes.pop()}; tiles are pictures of uint8"
        )
    return _TileSource(path=path, tile=tile, side=shape[0], parts=_tile_parts(colours, own_mask))


def _tile_parts(
    colours: Sequence[ColorInterp], own_mask: bool
) -> tuple[tuple[str, int | None], ...]:
    mask = ("mask,1", None)
    if colours[0] == ColorInterp.palette:
        return (("1", 1), ("1", 2), ("1", 3), mask if own_mask else ("1", 4))
    if len(colours) < 3:
        return (("1", None), ("1", None), ("1", None), mask)
    return (("1", None), ("2", None), ("3", None), mask)


def _shortest_arc(columns: Sequence[int], count: int) -> tuple[int, int]:
    """Westernmost column and number of columns of the shortest arc that holds ``columns``.

    Args:
        count: columns round the Earth.
    """
    xs = sorted(set(columns))
    gaps = [(xs[0] + count - xs[-1], 0)]
    gaps += [(east - west, at) for at, (west, east) in enumerate(pairwise(xs), start=1)]
    widest, at = max(gaps, key=lambda gap: (gap[0], -gap[1]))
    return xs[at], count - widest + 1


def _vrt_lines(
    sources: Sequence[_TileSource], corner: Tile, tiles: tuple[int, int]
) -> Iterator[str]:
    """A VRT, piece by piece: with many tiles it is too large for a tree in memory.

    Args:
        corner: the north-western tile.
        tiles: across and down.
    """
    side = sources[0].side
    a, b, c, d, e, f = tile_transform(corner, side, side)
    transform = ", ".join(repr(number) for number in (c, a, b, f, d, e))
    yield f'<VRTDataset rasterXSize="{tiles[0] * side}" rasterYSize="{tiles[1] * side}">\n'
    yield f"<SRS>EPSG:3857</SRS>\n<GeoTransform>{transform}</GeoTransform>\n"
    for part, colour in enumerate(("Red", "Green", "Blue")):
        yield f'<VRTRasterBand dataType="Byte" band="{part + 1}">\n'
        yield f"<ColorInterp>{colour}</ColorInterp>\n"
        yield from (_vrt_source(source, part, corner) for source in sources)
        yield "</VRTRasterBand>\n"
    yield '<MaskBand>\n<VRTRasterBand dataType="Byte">\n'
    yield from (_vrt_source(source, 3, corner) for source in sources)
    yield "</VRTRasterBand>\n</MaskBand>\n</VRTDataset>\n"


def _vrt_source(source: _TileSource, part: int, corner: Tile) -> str:
    band, component = source.parts[part]
    kind = "SimpleSource" if component is None else "ComplexSource"
    table = "" if component is None else f"<ColorTableComponent>{component}</ColorTableComponent>"
    side = source.side
    left = (source.tile.x - corner.x) % 2**corner.z * side
    top = (source.tile.y - corner.y) * side
    size = f'xSize="{side}" ySize="{side}"'
    return (
        f'<{kind}><SourceFilename relativeToVRT="0">{escape(str(source.path.absolute()))}'
        f"</SourceFilename><SourceBand>{band}</SourceBand>"
        f'<SourceProperties RasterXSize="{side}" RasterYSize="{side}" DataType="Byte"/>'
        f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="{left}" yOff="{top}" {size}/>'
        f"{table}</{kind}>\n"
    )
