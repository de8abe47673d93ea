"""Metres on the ground that a pixel of a web-map tile covers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from eo_contrast.data.image_pairs import ImageRef, read_image
from eo_contrast.raster.tile_names import EQUATOR_M, Tile


def tile_resolution_m(tile: Tile, width: int) -> float:
    """Metres on the ground a pixel, at the middle of a tile ``width`` pixels wide.

    Web mercator stretches lengths by 1 / cos(latitude); sinh of the northing gives it.
    """
    northing = math.pi * (1 - math.ldexp(2 * tile.y + 1, -tile.z))
    return math.ldexp(EQUATOR_M, -tile.z) / width / math.cosh(northing)


def median_ground_resolution_m(refs: Sequence[ImageRef]) -> float | None:
    """Of the pictures whose names are tile addresses; ``None`` where there are none.

    The first picture's width stands for all.
    """
    tiles = [ref.tile for ref in refs if ref.tile is not None]
    if not tiles:
        return None
    width = read_image(refs[0]).shape[1]
    return round(median(tile_resolution_m(tile, width) for tile in tiles), 3)
