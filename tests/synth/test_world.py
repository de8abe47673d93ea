"""The world: pure in seed and position, one landscape at every resolution."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers

from eo_contrast.synth.districts import Kind, Rank, districts_at
from eo_contrast.synth.world import (
    ORIGIN_EAST_M,
    ORIGIN_NORTH_M,
    ROAD_HALF_WIDTH_M,
    Extent,
    LandClass,
    LandCover,
    World,
    land_cover,
)

WHOLE = Extent(row=-40, column=300, height=96, width=120)


@pytest.fixture(scope="module")
def town() -> LandCover:
    """Four square kilometres at 4 m a pixel."""
    return land_cover(World(0, 4.0), Extent(0, 0, 500, 500))


def arrays_of(value: Any) -> dict[str, np.ndarray]:
    """All arrays of a land cover, those of its parts too, by name."""
    found = {}
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if isinstance(part, np.ndarray):
            found[field.name] = part
        elif dataclasses.is_dataclass(part) and field.name not in ("world", "extent"):
            found |= {f"{field.name}.{name}": each for name, each in arrays_of(part).items()}
    return found


@settings(deadline=None, max_examples=8)
@given(top=integers(0, 80), left=integers(0, 100), height=integers(1, 16), width=integers(1, 20))
def test_a_window_computed_alone_equals_the_window_cut_from_the_whole(
    top: int, left: int, height: int, width: int
) -> None:
    world = World(seed=3, ground_resolution=2.0)
    whole = arrays_of(land_cover(world, WHOLE))
    part = Extent(WHOLE.row + top, WHOLE.column + left, height, width)
    for name, array in arrays_of(land_cover(world, part)).items():
        rows = slice(top, top + height) if whole[name].shape[-2] > 1 else slice(None)
        columns = slice(left, left + width) if whole[name].shape[-1] > 1 else slice(None)
        np.testing.assert_array_equal(array, whole[name][..., rows, columns], err_msg=name)


def test_a_halo_only_adds_pixels_around() -> None:
    world, extent = World(1, 2.0), Extent(10, 20, 24, 30)
    bare, grown = land_cover(world, extent), land_cover(world, extent, halo=5)
    np.testing.assert_array_equal(grown.land_class[5:-5, 5:-5], bare.land_class)


def test_the_same_seed_gives_the_same_land_and_another_seed_another() -> None:
    extent = Extent(0, 0, 128, 128)
    first, again, other = (land_cover(World(s, 4.0), extent).land_class for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.3


def test_a_coarser_pixel_shows_the_same_landscape() -> None:
    fine = land_cover(World(0, 2.0), Extent(0, 0, 300, 300))
    coarse = land_cover(World(0, 6.0), Extent(0, 0, 100, 100))
    # The middle pixel of three by three fine ones has the coarse pixel's middle.
    np.testing.assert_array_equal(fine.land_class[1::3, 1::3], coarse.land_class)


def test_the_transform_places_pixels_in_metres_from_the_origin() -> None:
    transform = World(0, 2.5).transform(Extent(row=10, column=-4, height=8, width=8))
    east, north = ORIGIN_EAST_M - 10.0, ORIGIN_NORTH_M - 25.0
    assert transform[:6] == (2.5, 0.0, east, 0.0, -2.5, north)


def test_every_class_and_every_kind_of_district_occurs() -> None:
    cover = land_cover(World(0, 24.0), Extent(0, 0, 400, 400))
    assert set(np.unique(cover.land_class)) == set(LandClass)
    assert set(np.unique(cover.districts.kind)) == set(Kind)


def test_no_building_stands_in_water_or_on_a_through_road(town: LandCover) -> None:
    inside = town.buildings.distance_m < 0
    assert inside.mean() > 0.05
    assert (town.water_m[inside] > 0).all()
    for rank in (Rank.SECONDARY, Rank.PRIMARY, Rank.MOTORWAY):
        on_road = town.road_m[rank][inside] < ROAD_HALF_WIDTH_M[rank]
        assert on_road.mean() < 0.001, rank.name


def test_streets_end_at_the_shore(town: LandCover) -> None:
    assert (town.water_m < 0).any()
    assert np.isinf(town.road_m[Rank.MINOR][town.water_m < 0]).all()


def test_a_district_is_that_of_the_nearest_centre_and_its_edge_lies_halfway() -> None:
    axis = np.linspace(-1500, 1500, 61)
    x, y = np.meshgrid(axis, axis)
    found = districts_at(4, x, y)
    centres = np.stack([x - found.east, y - found.north], -1).reshape(-1, 2)
    centres = np.unique(centres.round(6), axis=0)
    away = np.hypot(x[..., None] - centres[:, 0], y[..., None] - centres[:, 1])
    own = np.hypot(found.east, found.north)
    np.testing.assert_allclose(own, away.min(-1), atol=1e-5)
    gaps = np.hypot(*(centres[:, None, :] - centres[None, :, :]).transpose(2, 0, 1))
    gaps = gaps[away.argmin(-1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        bisectors = (away**2 - own[..., None] ** 2) / (2 * gaps)
    bisectors[gaps == 0] = np.inf
    # Only inside, where every neighbour's centre was found from some position.
    inside = np.hypot(x, y) < 600
    np.testing.assert_allclose(
        found.edge_m.min(0)[inside], bisectors.min(-1)[inside], rtol=1e-5, atol=1e-3
    )
