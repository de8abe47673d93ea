"""The clean map of a land cover: flat colours, road casings, smooth edges, no labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.districts import Rank
from eo_contrast.synth.world import LandClass, LandCover

Colour = tuple[int, int, int]
Palette = dict[LandClass, Colour]

OSM16: Palette = {
    LandClass.BACKGROUND: (242, 239, 232),
    LandClass.RESIDENTIAL: (225, 225, 225),
    LandClass.GRASS: (207, 236, 169),
    LandClass.PARK: (205, 247, 201),
    LandClass.WOOD: (175, 209, 159),
    LandClass.WATER: (182, 208, 209),
    LandClass.ROAD_MINOR: (255, 255, 255),
    LandClass.ROAD_SECONDARY: (248, 214, 169),
    LandClass.ROAD_PRIMARY: (223, 159, 160),
    LandClass.MOTORWAY: (136, 164, 203),
    LandClass.BUILDING: (195, 177, 177),
}
"""OpenStreetMap's older Carto colours, as flat pixels of the osm16 tiles show them."""

CASINGS: dict[Rank, Colour] = {
    Rank.MINOR: (206, 203, 198),
    Rank.SECONDARY: (205, 170, 122),
    Rank.PRIMARY: (190, 122, 124),
    Rank.MOTORWAY: (92, 122, 168),
}

SYMBOL_HALF_WIDTH_M = {
    Rank.MINOR: 6.5,
    Rank.SECONDARY: 8.0,
    Rank.PRIMARY: 9.5,
    Rank.MOTORWAY: 14.0,
}
"""Half the width a road is drawn with: wider than it is, as maps do."""

CASING_M = 1.6
MATCH_DISTANCE = 18.0
"""RGB distance within which a map pixel counts as a class, as in the sat2map table."""


def render_map(cover: LandCover, palette: Palette = OSM16) -> NDArray[np.uint8]:
    """Draw the map of a land cover's extent, without its halo.

    Returns: (height, width, 3) uint8 RGB.
    """
    colours = np.array([palette[each] for each in LandClass], dtype=np.float32)
    pixels = colours[cover.ground]
    size = cover.world.ground_resolution
    pixels = _painted(pixels, cover.wood_m, palette[LandClass.WOOD], size)
    pixels = _painted(pixels, cover.water_m, palette[LandClass.WATER], size)
    pixels = _painted(pixels, cover.buildings.distance_m, palette[LandClass.BUILDING], size)
    for ranks in ((Rank.MINOR, Rank.SECONDARY, Rank.PRIMARY), (Rank.MOTORWAY,)):
        for rank in ranks:
            outside = cover.road_m[rank] - np.float32(SYMBOL_HALF_WIDTH_M[rank] + CASING_M)
            pixels = _painted(pixels, outside, CASINGS[rank], size)
        for rank in ranks:
            outside = cover.road_m[rank] - np.float32(SYMBOL_HALF_WIDTH_M[rank])
            colour = palette[LandClass(LandClass.ROAD_MINOR + rank)]
            pixels = _painted(pixels, outside, colour, size)
    return without_halo(np.rint(pixels).astype(np.uint8), cover.halo)


def without_halo(pixels: NDArray[np.uint8], halo: int) -> NDArray[np.uint8]:
    """The inner part of an image (H, W, ...) that was computed with ``halo`` pixels around."""
    inner = slice(halo, -halo or None)
    return np.ascontiguousarray(pixels[inner, inner])


def coverage(distance_m: NDArray[np.float32], pixel_m: float) -> NDArray[np.float32]:
    """Share of a pixel inside a shape, from the signed distance at the pixel's middle.

    Returns: float32 in 0..1, with a trailing axis of length 1 to multiply colours by.
    """
    share: NDArray[np.float32] = np.clip(np.float32(0.5) - distance_m / np.float32(pixel_m), 0, 1)
    return share[..., None]


def class_shares(pixels: NDArray[np.uint8], palette: Palette = OSM16) -> dict[LandClass, float]:
    """Share of a map's pixels in each class, by the nearest palette colour.

    Pixels further than :data:`MATCH_DISTANCE` from all colours count in none.

    Args:
        pixels: (height, width, 3) uint8.
    """
    colours = np.array([palette[each] for each in LandClass], dtype=np.int32)
    difference = pixels.reshape(-1, 1, 3).astype(np.int32) - colours
    square = (difference**2).sum(axis=2)
    nearest = square.argmin(axis=1)
    matched = square.min(axis=1) <= MATCH_DISTANCE**2
    counts = np.bincount(nearest[matched], minlength=len(colours))
    return {each: float(counts[each] / len(square)) for each in LandClass}


def _painted(
    pixels: NDArray[np.float32], distance_m: NDArray[np.float32], colour: Colour, pixel_m: float
) -> NDArray[np.float32]:
    share = coverage(distance_m, pixel_m)
    return pixels + share * (np.array(colour, dtype=np.float32) - pixels)
