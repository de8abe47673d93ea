"""A landscape without end: land cover as a pure function of seed and position.

Any window of it can be computed alone and equals the same window cut from a larger
one, so a scene of any size is written in bounded memory. Nature comes first (water,
woods, motorways), then districts with through roads between them, blocks with
streets, lots with buildings; :class:`LandCover` is what pictures and maps are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eo_contrast.synth.blocks import Blocks, blocks_at
from eo_contrast.synth.buildings import Buildings, buildings_at
from eo_contrast.synth.districts import Districts, Kind, Rank, districts_at
from eo_contrast.synth.terrain import (
    bend,
    lake_distance,
    motorway_distance,
    river_distance,
    water_distance,
    wood_distance,
)

CRS = "EPSG:32632"
ORIGIN_EAST_M = 500_000.0
ORIGIN_NORTH_M = 5_300_000.0
"""UTM position of the outer corner of pixel (0, 0): 9 deg E, about 47.9 deg N."""

ROAD_HALF_WIDTH_M = {
    Rank.MINOR: 3.8,
    Rank.SECONDARY: 5.5,
    Rank.PRIMARY: 8.0,
    Rank.MOTORWAY: 14.5,
}
"""From the middle of a road to the edge of its surface, as seen from above."""

WOOD_LEVEL = {
    Kind.FIELDS: 0.42,
    Kind.WOODLAND: -0.4,
    Kind.MEADOW: 0.3,
    Kind.PARK: 0.25,
    Kind.SUBURB: 0.75,
    Kind.COMMERCIAL: 0.8,
    Kind.CITY: 3.0,
}
"""What the wood noise must exceed in each kind of district for trees to stand close."""


class LandClass(IntEnum):
    """What a map distinguishes."""

    BACKGROUND = 0
    RESIDENTIAL = 1
    GRASS = 2
    PARK = 3
    WOOD = 4
    WATER = 5
    ROAD_MINOR = 6
    ROAD_SECONDARY = 7
    ROAD_PRIMARY = 8
    MOTORWAY = 9
    BUILDING = 10


GROUND_CLASS = {
    Kind.FIELDS: LandClass.BACKGROUND,
    Kind.WOODLAND: LandClass.GRASS,
    Kind.MEADOW: LandClass.GRASS,
    Kind.PARK: LandClass.PARK,
    Kind.SUBURB: LandClass.RESIDENTIAL,
    Kind.COMMERCIAL: LandClass.BACKGROUND,
    Kind.CITY: LandClass.RESIDENTIAL,
}


@dataclass(frozen=True)
class World:
    """One landscape at one ground resolution.

    Attributes:
        seed: which landscape.
        ground_resolution: metres a pixel, > 0; the landscape stays the same.
    """

    seed: int
    ground_resolution: float = 2.0

    def transform(self, extent: Extent) -> Affine:
        """Pixel (column, row) of ``extent`` to metres east and north in :data:`CRS`."""
        size = self.ground_resolution
        east = ORIGIN_EAST_M + extent.column * size
        north = ORIGIN_NORTH_M - extent.row * size
        return Affine(size, 0.0, east, 0.0, -size, north)


@dataclass(frozen=True)
class Extent:
    """A rectangle of the world's endless pixel grid; rows count southward."""

    row: int
    column: int
    height: int
    width: int

    def grown(self, pixels: int) -> Extent:
        """The rectangle with ``pixels`` more on every side."""
        return Extent(
            self.row - pixels,
            self.column - pixels,
            self.height + 2 * pixels,
            self.width + 2 * pixels,
        )


@dataclass(frozen=True)
class LandCover:
    """What is on the ground in a rectangle; arrays (height, width) of the grown extent.

    Attributes:
        world, extent: where it is, without the halo.
        halo: pixels around ``extent`` that the arrays hold in addition.
        x, y: positions in metres, shapes (1, width) and (height, 1).
        land_class: :class:`LandClass` of each pixel's middle.
        ground: the class under roads, buildings and water.
        road_m: (4, ...) distance to the middle of the nearest road of each
            :class:`Rank`; infinite where none is near.
        water_m, wood_m: signed distance to the shore or wood's edge, negative inside.
        districts, blocks, buildings: the plan of the town and of the fields.
    """

    world: World
    extent: Extent
    halo: int
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    land_class: NDArray[np.uint8]
    ground: NDArray[np.uint8]
    road_m: NDArray[np.float32]
    water_m: NDArray[np.float32]
    wood_m: NDArray[np.float32]
    districts: Districts
    blocks: Blocks
    buildings: Buildings


def land_cover(world: World, extent: Extent, *, halo: int = 0) -> LandCover:
    """The land cover of ``extent`` and ``halo`` pixels around it."""
    seed, size = world.seed, world.ground_resolution
    grown = extent.grown(halo)
    x = (np.arange(grown.width, dtype=np.float64) + (grown.column + 0.5))[None, :] * size
    y = (np.arange(grown.height, dtype=np.float64) + (grown.row + 0.5))[:, None] * -size
    east, north = bend(seed, x, y)
    plan_x, plan_y = x + east, y + north
    districts = districts_at(seed, plan_x, plan_y)
    blocks = blocks_at(seed, districts)
    river, lake = river_distance(seed, x, y), lake_distance(seed, x, y)
    water = np.minimum(river, lake)
    level = _by_kind(WOOD_LEVEL, districts.kind).astype(np.float32)
    wood = wood_distance(seed, x, y, level)
    roads = _road_distances(districts, blocks, river, lake, motorway_distance(seed, x, y))
    buildings = buildings_at(
        seed, plan_x, plan_y, districts, blocks, lambda px, py: _clearance(seed, px, py)
    )
    ground = _ground(districts, blocks, wood)
    return LandCover(
        world=world,
        extent=extent,
        halo=halo,
        x=x,
        y=y,
        land_class=_classes(ground, water, roads, buildings),
        ground=ground,
        road_m=roads,
        water_m=water,
        wood_m=wood,
        districts=districts,
        blocks=blocks,
        buildings=buildings,
    )


def _road_distances(
    districts: Districts,
    blocks: Blocks,
    river: NDArray[np.float32],
    lake: NDArray[np.float32],
    motorway: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Distances per rank: streets end at any water and at the motorway, secondary roads
    bridge rivers only, primary roads and motorways bridge lakes too.
    """
    far = np.float32(np.inf)
    minor = np.minimum(blocks.street_m, districts.edge_m[Rank.MINOR])
    beside_motorway = motorway < ROAD_HALF_WIDTH_M[Rank.MOTORWAY] + 12.0
    minor = np.where((np.minimum(river, lake) < 5.0) | beside_motorway, far, minor)
    secondary = np.where(lake < 5.0, far, districts.edge_m[Rank.SECONDARY])
    return np.stack([minor, secondary, districts.edge_m[Rank.PRIMARY], motorway])


def _clearance(
    seed: int, plan_x: NDArray[np.float64], plan_y: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Metres from a place of the street plan to the nearest shore or through road's side."""
    east, north = bend(seed, plan_x, plan_y)
    x, y = plan_x - east, plan_y - north
    edges = districts_at(seed, plan_x, plan_y).edge_m
    room: NDArray[np.float32]
    room = np.minimum(water_distance(seed, x, y), motorway_distance(seed, x, y) - 24.0)
    widths = [ROAD_HALF_WIDTH_M[rank] for rank in (Rank.MINOR, Rank.SECONDARY, Rank.PRIMARY)]
    for edge, half_width in zip(edges, widths, strict=True):
        room = np.minimum(room, edge - np.float32(half_width))
    return room


def _ground(districts: Districts, blocks: Blocks, wood: NDArray[np.float32]) -> NDArray[np.uint8]:
    ground = _by_kind(GROUND_CLASS, districts.kind).astype(np.uint8)
    ground = np.where(blocks.is_park, np.uint8(LandClass.PARK), ground)
    return np.where(wood < 0, np.uint8(LandClass.WOOD), ground)


def _classes(
    ground: NDArray[np.uint8],
    water: NDArray[np.float32],
    roads: NDArray[np.float32],
    buildings: Buildings,
) -> NDArray[np.uint8]:
    land_class = np.where(water < 0, np.uint8(LandClass.WATER), ground)
    for rank in Rank:
        on_road = roads[rank] < ROAD_HALF_WIDTH_M[rank]
        land_class[on_road] = LandClass.ROAD_MINOR + rank
    land_class[buildings.distance_m < 0] = LandClass.BUILDING
    return land_class


def _by_kind(values: Mapping[Kind, float], kind: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array([float(values[each]) for each in Kind])[kind]
