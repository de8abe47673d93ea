"""Which places of a world to show: varied, and never the same for training and testing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eo_contrast.synth.cartography import class_shares, render_map
from eo_contrast.synth.noise import hash_units, stream
from eo_contrast.synth.world import Extent, LandClass, World, land_cover

TAGS = ("water", "highway", "park", "dense_urban", "other")
LEAST_SHARES = {"water": 0.15, "highway": 0.04, "park": 0.25, "dense_urban": 0.12}
"""The sat2map table's rule: the first tag whose share is reached, else other."""

COARSENING = 8
DULL_SHARE = 0.93
CANDIDATES_A_TILE = 16
LEAST_SIDE_TILES = 40
SCENE_CANDIDATES = 16


def tag_shares(shares: dict[LandClass, float]) -> dict[str, float]:
    """Class shares of a map as the sat2map table groups them."""
    green = shares[LandClass.PARK] + shares[LandClass.WOOD] + shares[LandClass.GRASS]
    return {
        "water": shares[LandClass.WATER],
        "highway": shares[LandClass.MOTORWAY],
        "park": green,
        "dense_urban": shares[LandClass.BUILDING],
    }


def tag_of(shares: dict[LandClass, float]) -> str:
    """The one word that describes a map, from its class shares."""
    grouped = tag_shares(shares)
    return next((tag for tag, least in LEAST_SHARES.items() if grouped[tag] >= least), "other")


def training_places(world: World, *, count: int, size: int, scene_size: int) -> list[Extent]:
    """``count`` varied tiles east of the scene and of all testing tiles."""
    first_column = scene_size + 4 * size
    return _varied(world, count, size, first_column=first_column)


def testing_places(world: World, *, count: int, size: int) -> list[Extent]:
    """``count`` varied tiles west of the scene and of all training tiles."""
    first_column = -4 * size - _side(count) * size
    return _varied(world, count, size, first_column=first_column)


def scene_place(world: World, *, scene_size: int) -> Extent:
    """The most varied of some squares in the column of the world kept for scenes."""
    candidates = [
        Extent(row * scene_size, 0, scene_size, scene_size) for row in range(SCENE_CANDIDATES)
    ]
    return max(candidates, key=lambda extent: _variety(coarse_shares(world, extent)))


def coarse_shares(world: World, extent: Extent) -> dict[LandClass, float]:
    """Class shares of the map of ``extent``, from a much coarser picture of it."""
    factor = min(COARSENING, min(extent.height, extent.width) // 8)
    coarse = World(world.seed, world.ground_resolution * factor)
    part = Extent(
        extent.row // factor,
        extent.column // factor,
        extent.height // factor,
        extent.width // factor,
    )
    cover = land_cover(coarse, part)
    return class_shares(render_map(cover))


def _side(count: int) -> int:
    """Side, in tiles, of the square of candidates from which ``count`` are chosen."""
    return max(LEAST_SIDE_TILES, int(np.ceil(np.sqrt(CANDIDATES_A_TILE * count))))


def _candidates(world: World, count: int, size: int, first_column: int) -> Iterator[Extent]:
    side = _side(count)
    order = np.argsort(hash_units(stream(world.seed, "places"), np.arange(side * side), count))
    for place in order.tolist():
        yield Extent(place // side * size, first_column + place % side * size, size, size)


def _varied(world: World, count: int, size: int, *, first_column: int) -> list[Extent]:
    """Tiles in hashed order, each taken while its tag's equal quota is open."""
    quota = -(-count // len(TAGS))
    taken: list[Extent] = []
    passed_over: list[Extent] = []
    open_quotas = dict.fromkeys(TAGS, quota)
    looks = CANDIDATES_A_TILE * count
    for _, extent in zip(range(looks), _candidates(world, count, size, first_column), strict=False):
        if len(taken) == count:
            break
        shares = coarse_shares(world, extent)
        tag = tag_of(shares)
        if open_quotas[tag] and max(shares.values()) < DULL_SHARE:
            open_quotas[tag] -= 1
            taken.append(extent)
        else:
            passed_over.append(extent)
    return taken + passed_over[: count - len(taken)]


def _variety(shares: dict[LandClass, float]) -> float:
    """Entropy of the classes: larger for a scene in which more kinds of ground occur."""
    present = np.array([share for share in shares.values() if share > 0])
    return float(-(present * np.log(present)).sum())
