"""Colours of the ground, of roads and of roofs, and where trees grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.cartography import coverage
from eo_contrast.synth.districts import Kind, Rank
from eo_contrast.synth.noise import fractal_noise, hash_bits, hash_units, smooth_noise, stream
from eo_contrast.synth.world import ROAD_HALF_WIDTH_M, LandClass, LandCover

Image = NDArray[np.float32]
Layer = NDArray[np.float32]

GROUND_COLOURS = {
    Kind.FIELDS: (128, 116, 88),
    Kind.WOODLAND: (92, 98, 64),
    Kind.MEADOW: (118, 120, 80),
    Kind.PARK: (94, 112, 66),
    Kind.SUBURB: (96, 100, 74),
    Kind.COMMERCIAL: (124, 121, 117),
    Kind.CITY: (128, 124, 117),
}
CROPS = (
    (142, 122, 96),
    (118, 122, 76),
    (166, 152, 112),
    (92, 106, 58),
    (150, 134, 104),
    (106, 112, 66),
    (128, 106, 82),
)
WOOD_FLOOR = (50, 56, 36)
DEEP_WATER = (30, 46, 52)
SHALLOW_WATER = (64, 78, 68)
SHORE = (140, 130, 106)
PAVEMENT = (160, 156, 149)
VERGE = (112, 112, 78)
LANE_PAINT = (214, 212, 204)
ROAD_SURFACES = {
    Rank.MINOR: (142, 140, 136),
    Rank.SECONDARY: (124, 123, 121),
    Rank.PRIMARY: (112, 111, 110),
    Rank.MOTORWAY: (134, 131, 126),
}
PITCHED_ROOFS = (
    (146, 106, 88),
    (118, 110, 104),
    (92, 88, 86),
    (160, 146, 130),
    (138, 124, 112),
    (128, 92, 78),
    (172, 164, 154),
)
FLAT_ROOFS = (
    (214, 212, 206),
    (176, 174, 170),
    (142, 138, 132),
    (192, 180, 160),
    (116, 114, 112),
    (228, 226, 222),
    (158, 140, 126),
)
LANE_LINES_M = {
    Rank.SECONDARY: (0.0,),
    Rank.PRIMARY: (0.0, 7.0),
    Rank.MOTORWAY: (3.6, 7.0, 10.5, 14.0),
}
CARS = ((196, 196, 194), (66, 66, 70), (122, 72, 66), (84, 94, 110), (164, 166, 168))

TRAFFIC = {Rank.SECONDARY: 0.015, Rank.PRIMARY: 0.03, Rank.MOTORWAY: 0.035}
"""Share of a through road's cells, each :data:`CAR_CELL_M` wide, that hold a car."""

CAR_CELL_M = 4.0
STALL_M = 2.8
PARKING_PERIOD_M = 17.0
PARKING_REACH_M = 48.0
CAR_M = 5.0
ROW_M = 6.0
TREES = {
    Kind.FIELDS: 0.004,
    Kind.WOODLAND: 0.12,
    Kind.MEADOW: 0.02,
    Kind.PARK: 0.11,
    Kind.SUBURB: 0.3,
    Kind.COMMERCIAL: 0.015,
    Kind.CITY: 0.07,
}


def painted_ground(cover: LandCover) -> Image:
    """Everything flat: soil, crops, lawns, car parks, water and roads; (H, W, 3) float32."""
    pixels = _soil(cover) * _texture(cover)
    pixels = _with_water(cover, pixels)
    return _with_roads(cover, pixels)


def tree_density(cover: LandCover) -> Layer:
    """Chance of a tree in each cell of the tree grid, by what the ground is; 0..1."""
    seed, kind = cover.world.seed, cover.districts.kind
    density = np.array([TREES[each] for each in Kind], dtype=np.float32)[kind]
    clumps = smooth_noise(cover.x, cover.y, scale=70.0, seed=stream(seed, "clumps"))
    leafiness = hash_units(stream(seed, "leafiness"), cover.districts.number)
    density = density * np.clip(0.7 + np.float32(3.2) * clumps, 0, 4)
    density = density * (0.3 + 1.5 * leafiness).astype(np.float32)
    density = np.where(cover.blocks.is_park, np.float32(0.3), density)
    density = np.where(_is_hedge(cover), np.float32(0.75), density)
    bank = (cover.water_m < 14) & (kind != Kind.CITY)
    density = np.where(bank, np.maximum(density, np.float32(0.4)), density)
    density = np.where(
        cover.wood_m < 0, np.clip(np.float32(1.05) + np.float32(0.5) * clumps, 0, 1), density
    )
    return np.where(_is_bare(cover), np.float32(0), density)


def roof_colours(cover: LandCover, shadow_east: float, shadow_north: float) -> Image:
    """Roofs: pitched and lit by the sun in suburbs, flat and speckled elsewhere.

    Args:
        shadow_east, shadow_north: unit vector away from the sun.
    """
    buildings, districts, seed = cover.buildings, cover.districts, cover.world.seed
    pitched = (districts.kind == Kind.SUBURB)[..., None]
    sun_u = -(districts.cosine * shadow_east + districts.sine * shadow_north)
    sun_v = districts.sine * shadow_east - districts.cosine * shadow_north
    towards = np.where(buildings.ridge_along_u, sun_v, sun_u).astype(np.float32)
    slope = np.float32(0.2) * np.sign(buildings.across_m) * towards
    colour = np.where(
        pitched,
        _chosen(PITCHED_ROOFS, stream(seed, "pitched roof"), buildings.number),
        _chosen(FLAT_ROOFS, stream(seed, "flat roof"), buildings.number),
    )
    fittings = _speckle(cover, "roof fittings", 5.0, cover.blocks.u, cover.blocks.v)
    flat = np.where(fittings < 0.08, np.float32(-0.22), np.float32(0))
    flat = np.where(buildings.distance_m > -1.6, np.float32(0.1), flat)
    tone = hash_units(stream(seed, "roof tone"), buildings.number).astype(np.float32) - 0.5
    relief = 1 + np.float32(0.2) * tone + np.where(pitched[..., 0], slope, flat)
    roofs: Image = colour * relief[..., None]
    return roofs


def _soil(cover: LandCover) -> Image:
    kind, blocks = cover.districts.kind, cover.blocks
    colours = np.array([GROUND_COLOURS[each] for each in Kind], dtype=np.float32)
    pixels = colours[kind]
    pixels = np.where((kind == Kind.FIELDS)[..., None], _crops(cover), pixels)
    pixels = np.where((kind == Kind.COMMERCIAL)[..., None], _car_parks(cover), pixels)
    grass = np.array(GROUND_COLOURS[Kind.PARK], dtype=np.float32)
    pixels = np.where(blocks.is_park[..., None], grass, pixels)
    yard = (kind == Kind.CITY) & (_block_chance(cover, "courtyard") < 0.45)
    yard &= blocks.border_m > 24
    pixels = np.where(yard[..., None], grass * np.float32(0.92), pixels)
    drive = (kind == Kind.SUBURB) & _is_driveway(cover)
    pixels = np.where(drive[..., None], np.array(PAVEMENT, dtype=np.float32), pixels)
    under = coverage(cover.wood_m, 6.0)
    return pixels + under * (np.array(WOOD_FLOOR, dtype=np.float32) - pixels)


def _crops(cover: LandCover) -> Image:
    """One crop a parcel, in rows along the parcel, with wheel tracks every few rows."""
    blocks, seed = cover.blocks, cover.world.seed
    colour = _chosen(CROPS, stream(seed, "crop"), blocks.number)
    shade = 0.86 + 0.28 * _block_chance(cover, "crop shade")
    along_u = _block_chance(cover, "row direction") < 0.5
    across = np.where(along_u, blocks.v, blocks.u)
    contrast = 0.16 * _block_chance(cover, "row contrast")
    rows = np.abs(2 * (across / ROW_M - np.floor(across / ROW_M)) - 1) - 0.5
    tracks = across / (5 * ROW_M) - np.floor(across / (5 * ROW_M)) < 0.07
    damp = fractal_noise(cover.x, cover.y, scale=110.0, seed=stream(seed, "damp"), octaves=3)
    relief = shade * (1 + contrast * rows - 0.08 * tracks) * (1 + 0.13 * damp)
    edge = np.clip(blocks.border_m / 3.0, 0, 1)
    relief = relief * (0.85 + 0.15 * edge)
    crops: Image = colour * relief.astype(np.float32)[..., None]
    return crops


def _car_parks(cover: LandCover) -> Image:
    """Asphalt with cars in double rows on most blocks, worn grass on the others."""
    blocks, seed = cover.blocks, cover.world.seed
    asphalt = np.array(GROUND_COLOURS[Kind.COMMERCIAL], dtype=np.float32)
    place = blocks.v - np.floor(blocks.v / PARKING_PERIOD_M) * PARKING_PERIOD_M
    stall = np.floor(blocks.u / STALL_M).astype(np.int64)
    row = 2 * np.floor(blocks.v / PARKING_PERIOD_M).astype(np.int64) + (place >= CAR_M)
    bits = hash_bits(stream(seed, "stall"), blocks.number, stall, row)
    busy = 0.05 + 0.55 * _block_chance(cover, "busy")
    taken = (hash_units(stream(seed, "taken"), bits) < busy) & (place < 2 * CAR_M)
    to_wall = cover.buildings.distance_m
    apart = (to_wall > 7) & (to_wall < PARKING_REACH_M) & (blocks.border_m > 15)
    cars = _chosen(CARS, stream(seed, "car"), bits)
    lot_tone = (0.82 + 0.4 * _block_chance(cover, "asphalt")).astype(np.float32)[..., None]
    pixels = np.where((taken & apart)[..., None], cars, asphalt * lot_tone)
    rim = (blocks.border_m < 13) | (_block_chance(cover, "unbuilt yard") < 0.2)
    rim &= to_wall > 4
    return np.where(rim[..., None], np.array(VERGE, dtype=np.float32), pixels)


def _texture(cover: LandCover) -> Image:
    """Brightness of unpaved and paved ground, from patches of 60 m down to the pixel."""
    seed = cover.world.seed
    patches = fractal_noise(cover.x, cover.y, scale=60.0, seed=stream(seed, "patches"), octaves=4)
    dryness = smooth_noise(cover.x, cover.y, scale=130.0, seed=stream(seed, "dry"))[..., None]
    tint = 1 + dryness * np.array((0.09, 0.03, -0.03), dtype=np.float32)
    return tint * (1 + np.float32(0.17) * patches)[..., None]


def _with_water(cover: LandCover, pixels: Image) -> Image:
    seed, size = cover.world.seed, cover.world.ground_resolution
    depth = -cover.water_m
    murk = smooth_noise(cover.x, cover.y, scale=1900.0, seed=stream(seed, "murk"))
    ripple = fractal_noise(cover.x, cover.y, scale=24.0, seed=stream(seed, "ripple"), octaves=3)
    shallow = np.clip(1 - depth / 26.0, 0, 1) * 0.6 + np.clip(0.3 + 0.7 * murk, 0, 1) * 0.5
    deep = np.array(DEEP_WATER, dtype=np.float32)
    tone = shallow[..., None].astype(np.float32)
    water = deep + tone * (np.array(SHALLOW_WATER, dtype=np.float32) - deep)
    water = water * (1 + np.float32(0.05) * ripple)[..., None]
    bank = np.float32(0.55) * coverage(cover.water_m - np.float32(4), 5.0)
    pixels = pixels + bank * (np.array(SHORE, dtype=np.float32) - pixels)
    shores: Image = pixels + coverage(cover.water_m, size) * (water - pixels)
    return shores


def _with_roads(cover: LandCover, pixels: Image) -> Image:
    size, kind = cover.world.ground_resolution, cover.districts.kind
    minor = cover.road_m[Rank.MINOR]
    paved = np.where(kind >= Kind.SUBURB, np.float32(0.8), np.float32(0.25))[..., None]
    beside = coverage(minor - np.float32(ROAD_HALF_WIDTH_M[Rank.MINOR] + 2.2), size)
    pixels = pixels + paved * beside * (np.array(PAVEMENT, dtype=np.float32) - pixels)
    wear = fractal_noise(
        cover.x, cover.y, scale=35.0, seed=stream(cover.world.seed, "wear"), octaves=3
    )
    for rank in Rank:
        distance = cover.road_m[rank]
        half_width = np.float32(ROAD_HALF_WIDTH_M[rank])
        if rank != Rank.MINOR:
            verge = coverage(distance - half_width * np.float32(1.6), 6.0)
            pixels = pixels + np.float32(0.6) * verge * (np.array(VERGE, np.float32) - pixels)
        surface = np.array(ROAD_SURFACES[rank], dtype=np.float32)
        surface = surface * (1 + np.float32(0.08) * wear)[..., None]
        surface = _lane_hints(surface, rank, distance, size)
        surface = _traffic(cover, surface, rank)
        pixels = pixels + coverage(distance - half_width, size) * (surface - pixels)
    return pixels


def _lane_hints(surface: Image, rank: Rank, distance: Layer, pixel_m: float) -> Image:
    """Paint and medians, as faint as they are at a metre or two a pixel."""
    paint = np.array(LANE_PAINT, dtype=np.float32)
    for offset in LANE_LINES_M.get(rank, ()):
        stroke = coverage(np.abs(distance - np.float32(offset)) - np.float32(0.35), pixel_m)
        surface = surface + np.float32(0.5) * stroke * (paint - surface)
    if rank == Rank.MOTORWAY:
        median = coverage(distance - np.float32(2.6), pixel_m)
        surface = surface + median * (np.array(VERGE, dtype=np.float32) - surface)
    return surface


def _traffic(cover: LandCover, surface: Image, rank: Rank) -> Image:
    """Cars on the lanes, one cell of the ground each, on through roads."""
    share = TRAFFIC.get(rank, 0.0)
    cars = _speckle(cover, "traffic", CAR_CELL_M, cover.x, cover.y)
    bright = np.float32(60) * (cars < 0.65 * share) - np.float32(55) * (cars > 1 - 0.35 * share)
    return surface + bright.astype(np.float32)[..., None]


def _is_hedge(cover: LandCover) -> NDArray[np.bool_]:
    """Trees along the borders of some parcels, with gaps."""
    hedged = _block_chance(cover, "hedge") < 0.4
    gaps = smooth_noise(cover.x, cover.y, scale=60.0, seed=stream(cover.world.seed, "gaps"))
    fields = (cover.districts.kind == Kind.FIELDS) | (cover.districts.kind == Kind.MEADOW)
    hedges: NDArray[np.bool_] = fields & hedged & (cover.blocks.border_m < 4) & (gaps > -0.25)
    return hedges


def _is_bare(cover: LandCover) -> NDArray[np.bool_]:
    """Where no trunk can stand: water, roads with their edges, walls."""
    bare = (cover.water_m < 1) | (cover.buildings.distance_m < 2)
    for rank in Rank:
        bare |= cover.road_m[rank] < ROAD_HALF_WIDTH_M[rank] + 2.0
    return bare | (cover.land_class >= LandClass.ROAD_MINOR)


def _is_driveway(cover: LandCover) -> NDArray[np.bool_]:
    """A strip from the street to one side of each house."""
    buildings, blocks = cover.buildings, cover.blocks
    chance = hash_units(stream(cover.world.seed, "driveway"), buildings.number)
    strip = np.abs(buildings.front_m - 8.0 * (chance - 0.5)) < 1.9
    to_street = np.where(buildings.faces_low, blocks.v - blocks.low_v, blocks.high_v - blocks.v)
    return strip & (to_street < 17) & (buildings.height_m > 0)


def _speckle(
    cover: LandCover, purpose: str, cell_m: float, u: NDArray[np.float64], v: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A random number in [0, 1) for each square cell of the street plan."""
    column, row = (np.floor(axis / cell_m).astype(np.int64) for axis in (u, v))
    return hash_units(stream(cover.world.seed, purpose), column, row)


def _block_chance(cover: LandCover, purpose: str) -> NDArray[np.float64]:
    return hash_units(stream(cover.world.seed, purpose), cover.blocks.number)


def _chosen(
    colours: tuple[tuple[int, int, int], ...], seed: int, number: NDArray[np.uint64]
) -> Image:
    """One of ``colours`` for each random number, all alike likely."""
    index = (hash_units(seed, number) * len(colours)).astype(np.intp)
    return np.array(colours, dtype=np.float32)[index]
