"""A folder of web-map tiles as one raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError

from eo_contrast.errors import InputError
from eo_contrast.raster.reader import unplaced_silently
from eo_contrast.raster.tile_names import (
    Tile,
    tile_transform,
    tiles_from_names,
)
from eo_contrast.raster.tile_plan import LARGEST_GDAL_SIDE

TILE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
TILE_SIDES = (256, 512)


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
