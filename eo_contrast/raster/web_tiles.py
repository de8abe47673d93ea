"""Web-mercator tiles made of a finished raster.

Tiles are numbered as in XYZ: zoom, column from the west, row from the north. A raster is read
once, at its *deepest* zoom, tile by tile; every tile above is made of its four children while
these are at hand, so that memory does not grow with the raster.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from eo_contrast.errors import InputError
from eo_contrast.progress import Advance
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.picture import PNG_LEVEL, Look, Picture, look_of
from eo_contrast.raster.reader import open_raster
from eo_contrast.raster.tile_names import (
    Tile,
    tile_transform,
)
from eo_contrast.raster.tile_plan import WEB_MERCATOR, TilePlan, plan_tiles

TILE_SIDE = 256
# GDAL's usual eighth of a pixel depends on where blocks begin, and shows along tile borders.
WARP_TOLERANCE_PX = 0.001


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

    return write_tiles(raster, put, zoom=zoom, tile_side=tile_side, advance=advance)


def count_tiles(raster: Path, *, zoom: int | None = None, tile_side: int = TILE_SIDE) -> int:
    """How many tiles are read from the raster: what ``advance`` of the writers counts to.

    Raises: InputError: the raster cannot be written as tiles; see :func:`write_xyz`.
    """
    with open_raster(raster) as (_, meta):
        look_of(raster, meta)
        plan = plan_tiles(raster, meta, zoom=zoom, tile_side=tile_side)
    return min(len(plan.columns), 1 << plan.deepest) * len(plan.rows)


@contextmanager
def _on_tile_grid(
    dataset: Any, meta: RasterMeta, plan: TilePlan, look: Look
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


def write_tiles(
    raster: Path,
    put: Callable[[Tile, bytes], None],
    *,
    zoom: int | None,
    tile_side: int,
    advance: Advance | None,
) -> TileSummary:
    """Cut a raster into web-map tiles of all zooms, each handed over once, children first.

    Args:
        put: gets each tile that has a valid pixel, as PNG.
        zoom: the deepest; None: the one nearest to the raster's pixels.
        tile_side: in pixels, even.

    Raises: InputError: the raster makes no picture, has no position, needs too many tiles, or
        has no valid pixel.
    """
    with open_raster(raster) as (dataset, meta):
        look = look_of(raster, meta)
        plan = plan_tiles(raster, meta, zoom=zoom, tile_side=tile_side)
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
        plan: TilePlan,
        look: Look,
        put: Callable[[Tile, bytes], None],
        advance: Advance,
    ) -> None:
        self._raster = raster
        self._views = views
        self.plan_tiles = plan
        self.look_of = look
        self._put = put
        self._advance = advance
        self._indexes = [*look.colours, look.alpha or views[0].count]
        self._halved = _halved_colours if look.palette is None else _halved_classes
        self._read_tiles = 0
        self.zooms: Counter[int] = Counter()
        self.opaque = True

    def visit(self, tile: Tile) -> Picture | None:
        """Put ``tile`` and all below; returns its pixels, None where none is valid."""
        below = tile.z < self.plan_tiles.deepest
        picture = self._from_children(tile) if below else self._read(tile)
        if picture is not None and tile.z <= self.plan_tiles.maxzoom:
            rgba = _as_rgba(picture, self.look_of.palette)
            if rgba[..., 3].any():
                opaque = bool((rgba[..., 3] == 255).all())
                self._put(tile, _png_bytes(rgba[..., :3] if opaque else rgba))
                self.zooms[tile.z] += 1
                self.opaque &= opaque
        return picture

    def _from_children(self, tile: Tile) -> Picture | None:
        side = self.plan_tiles.side
        quad: Picture | None = None
        for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
            child = Tile(tile.z + 1, 2 * tile.x + across, 2 * tile.y + down)
            picture = self.visit(child) if self.plan_tiles.touches(child) else None
            if picture is None:
                continue
            if quad is None:
                quad = np.zeros((len(self._indexes), 2 * side, 2 * side), np.uint8)
            rows, columns = (slice(at * side, (at + 1) * side) for at in (down, across))
            quad[:, rows, columns] = picture
        return None if quad is None else self._halved(quad)

    def _read(self, tile: Tile) -> Picture | None:
        plan, picture = self.plan_tiles, None
        for column in range(plan.column(tile.x), len(plan.columns), 2**plan.deepest):
            for view in self._views:
                part = self._read_window(view, column, tile.y - plan.rows.start)
                picture = part if picture is None else np.where(picture[-1] > 0, picture, part)
        self._read_tiles += 1
        self._advance(self._read_tiles)
        return picture if picture is not None and picture[-1].any() else None

    def _read_window(self, view: Any, column: int, row: int) -> Picture:
        side = self.plan_tiles.side
        window = Window(column * side, row * side, side, side)
        try:
            pixels: Picture = view.read(self._indexes, window=window)
        except (RasterioError, rasterio._err.CPLE_BaseError) as error:
            cause = " ".join(str(error.__cause__ or error).split())
            raise InputError(
                f"{self._raster}: pixels cannot be read ({cause}); check the file"
            ) from error
        return pixels


def _silent(_done: int, _note: str = "") -> None:
    return None


def _halved_colours(quad: Picture) -> Picture:
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


def _halved_classes(quad: Picture) -> Picture:
    """The class that most of 2 x 2 valid pixels have, the first of equals; two make it valid."""
    corners = [quad[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    values = np.stack([corner[0] for corner in corners])
    valid = np.stack([corner[1] > 0 for corner in corners])
    votes = [((values == value) & valid).sum(axis=0) for value in values]
    winner = np.argmax(np.where(valid, votes, 0), axis=0)
    chosen = np.take_along_axis(values, winner[None], axis=0)[0]
    shown = valid.sum(axis=0) >= 2
    return np.stack([np.where(shown, chosen, 0), shown * np.uint8(255)]).astype(np.uint8)


def _as_rgba(picture: Picture, palette: Picture | None) -> Picture:
    """(side, side, 4), contiguous; 0 where transparent."""
    alpha = picture[-1]
    if palette is not None:
        rgba: Picture = palette[picture[0]]
        rgba[alpha == 0] = 0
    else:
        colours = np.broadcast_to(picture[:-1], (3, *alpha.shape))
        rgba = np.ascontiguousarray(np.concatenate([colours, alpha[None]]).transpose(1, 2, 0))
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def _png_bytes(pixels: Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def _summary(plan: TilePlan, walk: _Walk) -> TileSummary:
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
