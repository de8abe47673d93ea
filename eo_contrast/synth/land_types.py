"""What a satellite of ten-metre pixels tells apart: crops, woods and pastures by their year.

Each field has one crop, each crop its own calendar: the mean of a place's bands at one date says
little of it, the shape of fields and the course of the year say much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.districts import Kind
from eo_contrast.synth.noise import hash_units, smooth_noise, stream
from eo_contrast.synth.world import LandClass, LandCover

DAYS_A_YEAR = 365.0
SHIFT_DAYS = 16.0
FIELD_BORDER_M = 6.0
ROW_PERIOD_M = {"orchard": 30.0, "vineyard": 20.0}
# Of the districts of fields; the rest have annual crops.
PERMANENT_SHARE, PASTURE_SHARE, FALLOW_SHARE = 0.3, 0.15, 0.15
CONIFER_LEVEL = 0.1


class LandType(IntEnum):
    """What grows or stands on a pixel."""

    WATER = 0
    CONIFER = 1
    BROADLEAF = 2
    WINTER_CEREAL = 3
    MAIZE = 4
    RAPESEED = 5
    ORCHARD = 6
    VINEYARD = 7
    PASTURE = 8
    HERBACEOUS = 9
    LAWN = 10
    GARDEN = 11
    PAVED = 12
    ROAD = 13
    BUILDING = 14


# Day of the year, share of green cover, share of dry vegetation; the rest is soil. Straight lines
# between, around the year's end too.
Calendar = Sequence[tuple[float, float, float]]
CALENDARS: Mapping[LandType, Calendar] = MappingProxyType(
    {
        LandType.CONIFER: ((0, 0.92, 0.02),),
        LandType.BROADLEAF: (
            (20, 0.22, 0.45), (95, 0.25, 0.42), (140, 0.95, 0.0), (255, 0.92, 0.02),
            (295, 0.5, 0.35), (325, 0.22, 0.45),
        ),
        LandType.WINTER_CEREAL: (
            (20, 0.25, 0.0), (75, 0.35, 0.0), (120, 0.9, 0.0), (155, 0.85, 0.1), (185, 0.1, 0.85),
            (205, 0.0, 0.45), (240, 0.05, 0.1), (290, 0.05, 0.0), (340, 0.25, 0.0),
        ),
        LandType.MAIZE: (
            (20, 0.0, 0.2), (100, 0.0, 0.05), (145, 0.08, 0.0), (195, 0.92, 0.0), (240, 0.88, 0.05),
            (270, 0.3, 0.6), (285, 0.0, 0.3),
        ),
        LandType.RAPESEED: (
            (20, 0.5, 0.05), (80, 0.6, 0.0), (110, 0.92, 0.0), (150, 0.9, 0.0), (185, 0.2, 0.7),
            (205, 0.0, 0.4), (235, 0.1, 0.1), (300, 0.5, 0.0),
        ),
        LandType.ORCHARD: (
            (20, 0.25, 0.3), (90, 0.3, 0.3), (135, 0.9, 0.0), (270, 0.85, 0.05), (320, 0.25, 0.3),
        ),
        LandType.VINEYARD: (
            (20, 0.03, 0.25), (115, 0.05, 0.2), (165, 0.85, 0.0), (260, 0.8, 0.05),
            (300, 0.2, 0.5), (330, 0.03, 0.25),
        ),
        LandType.PASTURE: (
            (20, 0.55, 0.2), (85, 0.65, 0.1), (125, 0.92, 0.0), (150, 0.5, 0.25), (180, 0.85, 0.05),
            (205, 0.45, 0.3), (240, 0.75, 0.1), (300, 0.65, 0.15),
        ),
        LandType.HERBACEOUS: (
            (20, 0.2, 0.6), (90, 0.3, 0.5), (140, 0.75, 0.15), (190, 0.45, 0.45), (230, 0.25, 0.6),
            (280, 0.3, 0.5),
        ),
        LandType.LAWN: ((20, 0.6, 0.2), (120, 0.85, 0.05), (200, 0.65, 0.25), (290, 0.75, 0.15)),
        LandType.GARDEN: ((20, 0.35, 0.2), (130, 0.6, 0.05), (250, 0.55, 0.1), (310, 0.4, 0.2)),
    }
)  # fmt: skip

TREES = (LandType.CONIFER, LandType.BROADLEAF)
ANNUAL_CROPS = (LandType.WINTER_CEREAL, LandType.MAIZE, LandType.RAPESEED)
PERMANENT_CROPS = (LandType.ORCHARD, LandType.VINEYARD)
BUILT = (LandType.PAVED, LandType.ROAD, LandType.BUILDING)

_OF_GROUND = MappingProxyType(
    {
        Kind.FIELDS: LandType.WINTER_CEREAL,
        Kind.WOODLAND: LandType.HERBACEOUS,
        Kind.MEADOW: LandType.HERBACEOUS,
        Kind.PARK: LandType.LAWN,
        Kind.SUBURB: LandType.GARDEN,
        Kind.COMMERCIAL: LandType.PAVED,
        Kind.CITY: LandType.PAVED,
    }
)


def land_types(cover: LandCover) -> NDArray[np.uint8]:
    """The :class:`LandType` of each pixel of the cover, halo included."""
    types = np.array([_OF_GROUND[kind] for kind in Kind], dtype=np.uint8)[cover.districts.kind]
    types = np.where(cover.districts.kind == Kind.FIELDS, _crops(cover), types)
    pasture = _of_district(cover, "pasture") < 0.5
    types[(cover.districts.kind == Kind.MEADOW) & pasture] = LandType.PASTURE
    types[cover.blocks.is_park] = LandType.LAWN
    types[cover.wood_m < 0] = _woods(cover)[cover.wood_m < 0]
    types[cover.water_m < 0] = LandType.WATER
    road = (cover.land_class >= LandClass.ROAD_MINOR) & (cover.land_class <= LandClass.MOTORWAY)
    types[road] = LandType.ROAD
    types[cover.land_class == LandClass.BUILDING] = LandType.BUILDING
    return types.astype(np.uint8)


def cover_shares(
    cover: LandCover, types: NDArray[np.uint8], day: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shares of green and of dry vegetation on each pixel at a day of the year, 0..1.

    Fields of one crop are early or late by up to ``SHIFT_DAYS``; within a field growth is uneven.
    Rows of trees and vines have their gaps.
    """
    shift = (hash_units(stream(cover.world.seed, "sown"), cover.blocks.number) - 0.5) * 2
    days = (day + SHIFT_DAYS * shift) % DAYS_A_YEAR
    green, dry = (np.zeros(types.shape, np.float32) for _ in range(2))
    for land_type, calendar in CALENDARS.items():
        there = types == land_type
        if there.any():
            at, greens, dries = np.array(calendar, dtype=np.float64).T
            green[there] = np.interp(days[there], at, greens, period=DAYS_A_YEAR)
            dry[there] = np.interp(days[there], at, dries, period=DAYS_A_YEAR)
    growth = smooth_noise(cover.x, cover.y, scale=130.0, seed=stream(cover.world.seed, "growth"))
    green = np.clip(green * (1 + np.float32(0.25) * growth), 0, 1)
    gap = _gaps(cover, types)
    green, dry = np.where(gap, green * np.float32(0.35), green), np.where(gap, dry, dry)
    return green, np.minimum(dry, 1 - green)


def shares(types: NDArray[np.uint8]) -> dict[LandType, float]:
    """Share of each type among the pixels."""
    counts = np.bincount(types.ravel(), minlength=len(LandType))
    return {each: float(counts[each]) / types.size for each in LandType}


def _crops(cover: LandCover) -> NDArray[np.uint8]:
    """One crop a field, by what its district is used for; fields' edges are grass."""
    drawn = hash_units(stream(cover.world.seed, "crop"), cover.blocks.number)
    use = _of_district(cover, "use of fields")
    annual = np.array(ANNUAL_CROPS, np.uint8)[(drawn * len(ANNUAL_CROPS)).astype(int)]
    lasting = np.array(PERMANENT_CROPS, np.uint8)[(drawn * len(PERMANENT_CROPS)).astype(int)]
    grazed, fallow = PERMANENT_SHARE + PASTURE_SHARE, PERMANENT_SHARE + PASTURE_SHARE + FALLOW_SHARE
    crops = np.select(
        [use < PERMANENT_SHARE, use < grazed, use < fallow],
        [lasting, np.uint8(LandType.PASTURE), np.uint8(LandType.HERBACEOUS)],
        annual,
    )
    return np.where(cover.blocks.border_m < FIELD_BORDER_M, np.uint8(LandType.HERBACEOUS), crops)


def _woods(cover: LandCover) -> NDArray[np.uint8]:
    seed = stream(cover.world.seed, "conifers")
    stand = smooth_noise(cover.x, cover.y, scale=900.0, seed=seed)
    return np.where(stand > CONIFER_LEVEL, LandType.CONIFER, LandType.BROADLEAF).astype(np.uint8)


def _gaps(cover: LandCover, types: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Between the rows of orchards and vineyards, which follow a field's long side."""
    gap = np.zeros(types.shape, dtype=bool)
    for land_type in PERMANENT_CROPS:
        period = ROW_PERIOD_M[land_type.name.lower()]
        along = cover.blocks.v / period
        gap |= (types == land_type) & (along - np.floor(along) > 0.5)
    return gap


def _of_district(cover: LandCover, purpose: str) -> NDArray[np.float64]:
    return hash_units(stream(cover.world.seed, purpose), cover.districts.number)
