"""Where a web-map tile lies: its address from a file name, its geotransform from the address."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

EQUATOR_M = 2 * math.pi * 6378137.0
"""Length of the equator on the sphere of EPSG:3857, in metres."""

DEEPEST_ZOOM = 30
# Shorter runs of 0..3 are everyday numbers: '100' and '1003' are file names of the maps set.
SHORTEST_QUADKEY = 10
# Of one file alone: 12_05_20 and 3_1_2 are no addresses.
SHALLOWEST_ALONE = 10
LARGEST_OF_A_DATE = 63

_JOINED = re.compile(r"(\d+)[_-](\d+)[_-](\d+)")


@dataclass(frozen=True, order=True)
class Tile:
    """Address of a web-mercator tile: zoom, column from the west, row from the north (XYZ)."""

    z: int
    x: int
    y: int


def tile_transform(
    tile: Tile, width: int, height: int
) -> tuple[float, float, float, float, float, float]:
    """Geotransform of an image that fills ``tile``, in metres of EPSG:3857.

    Args:
        tile: the address.
        width: pixels of the image from west to east, > 0.
        height: pixels from north to south, > 0.

    Returns: (a, b, c, d, e, f) with x = a column + b row + c and y = d column + e row + f,
        the order of ``rasterio.Affine``.
    """
    left, _, _, top = tile_bounds(tile)
    side = EQUATOR_M / 2**tile.z
    return (side / width, 0.0, left, 0.0, -side / height, top)


def tile_bounds(tile: Tile) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of ``tile`` in metres of EPSG:3857."""
    side = EQUATOR_M / 2**tile.z
    left = tile.x * side - EQUATOR_M / 2
    top = EQUATOR_M / 2 - tile.y * side
    return (left, top - side, left + side, top)


def tiles_from_names(names: Sequence[str]) -> list[Tile | None]:
    """Tile of each file, where the names of ALL files are tile addresses; else all None.

    One file alone may be named 1003 or 16/1/2 by chance; a whole folder is not.

    Args:
        names: paths relative to their folder, with ``/``: ``0212300211313121.jpg``
            (quadkey of at least 10 digits), ``16/10520/22834.png`` or ``16_10520_22834.png``.
    """
    tiles = [_tile_from_name(name) for name in names]
    return tiles if all(tile is not None for tile in tiles) else [None] * len(tiles)


def tile_of_file(name: str) -> Tile | None:
    """Tile of one file by its path: a long quadkey, ``16_10520_22834`` or ``16/10520/22834``.

    Never by a date: a day or a month in the place of x or y is below 64, where no map has land
    at such depth.
    """
    tile = _tile_from_name(name)
    if tile is None or (tile.z >= SHALLOWEST_ALONE and min(tile.x, tile.y) > LARGEST_OF_A_DATE):
        return tile
    return None


def _tile_from_name(name: str) -> Tile | None:
    path = PurePosixPath(name).with_suffix("")
    joined = _JOINED.fullmatch(path.name)
    if joined:
        return _checked_tile(*joined.groups())
    if len(path.name) >= SHORTEST_QUADKEY and set(path.name) <= set("0123"):
        return _tile_from_quadkey(path.name)
    if len(path.parts) >= 3 and all(part.isdecimal() for part in path.parts[-3:]):
        return _checked_tile(*path.parts[-3:])
    return None


def _checked_tile(z: str, x: str, y: str) -> Tile | None:
    tile = Tile(int(z), int(x), int(y))
    inside = tile.z <= DEEPEST_ZOOM and max(tile.x, tile.y) < 2**tile.z
    return tile if inside else None


def _tile_from_quadkey(quadkey: str) -> Tile | None:
    if len(quadkey) > DEEPEST_ZOOM:
        return None
    x = int("".join(str(int(digit) & 1) for digit in quadkey), 2)
    y = int("".join(str(int(digit) >> 1) for digit in quadkey), 2)
    return Tile(len(quadkey), x, y)
