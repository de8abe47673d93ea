"""The two pictures of a land cover: a flat map and a believable aerial image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers

from eo_contrast.synth.cartography import OSM16, class_shares, coverage, render_map
from eo_contrast.synth.places import (
    scene_place,
    tag_of,
    training_places,
)
from eo_contrast.synth.places import (
    testing_places as places_to_test,
)
from eo_contrast.synth.sat2map import picture_pair
from eo_contrast.synth.sensors import Sun, halo_pixels, render_aerial, shadows, sun_of
from eo_contrast.synth.world import Extent, LandClass, World, land_cover

WORLD = World(seed=0, ground_resolution=2.0)
WHOLE = Extent(row=100, column=50, height=96, width=96)


@pytest.fixture(scope="module")
def whole() -> tuple[np.ndarray, np.ndarray]:
    return picture_pair(WORLD, WHOLE)


@settings(deadline=None, max_examples=8)
@given(top=integers(0, 80), left=integers(0, 80), height=integers(1, 16), width=integers(1, 16))
def test_the_pictures_of_a_window_equal_the_window_cut_from_the_whole(
    whole: tuple[np.ndarray, np.ndarray], top: int, left: int, height: int, width: int
) -> None:
    part = Extent(WHOLE.row + top, WHOLE.column + left, height, width)
    for picture, cut_from in zip(picture_pair(WORLD, part), whole, strict=True):
        cut = cut_from[top : top + height, left : left + width]
        np.testing.assert_array_equal(picture, cut)


@pytest.mark.parametrize("ground_resolution", [0.5, 3.0])
def test_windows_meet_at_other_resolutions_too(ground_resolution: float) -> None:
    world = World(2, ground_resolution)
    whole = picture_pair(world, Extent(0, 0, 40, 60))
    right = picture_pair(world, Extent(0, 30, 40, 30))
    for picture, cut_from in zip(right, whole, strict=True):
        np.testing.assert_array_equal(picture, cut_from[:, 30:])


def test_most_map_pixels_have_exactly_a_colour_of_the_palette() -> None:
    palette = np.array(list(OSM16.values()))
    drawn = render_map(land_cover(WORLD, Extent(0, 0, 300, 300)))
    exact = (drawn[:, :, None, :] == palette).all(-1).any(-1)
    assert exact.mean() > 0.75


def test_where_nothing_is_near_the_map_shows_the_colour_of_the_ground() -> None:
    cover = land_cover(WORLD, Extent(0, 0, 300, 300))
    deep = cover.water_m < -30
    open_water = deep & (cover.road_m.min(axis=0) > 30)
    assert open_water.any()
    assert (render_map(cover)[open_water] == OSM16[LandClass.WATER]).all()


def test_coverage_is_half_on_the_line_and_whole_half_a_pixel_inside() -> None:
    distance = np.array([[-1.0, 0.0, 1.0, 2.0]], dtype=np.float32)
    assert coverage(distance, 2.0)[0, :, 0].tolist() == [1.0, 0.5, 0.0, 0.0]


def test_class_shares_count_near_colours_and_leave_out_far_ones() -> None:
    water = OSM16[LandClass.WATER]
    near = tuple(value + 10 for value in water)
    pixels = np.array([[water, near], [(0, 0, 0), OSM16[LandClass.WOOD]]], dtype=np.uint8)
    shares = class_shares(pixels)
    assert shares[LandClass.WATER] == 0.5
    assert shares[LandClass.WOOD] == 0.25
    assert sum(shares.values()) == 0.75


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ({LandClass.WATER: 0.15, LandClass.MOTORWAY: 0.5}, "water"),
        ({LandClass.WATER: 0.149, LandClass.MOTORWAY: 0.04}, "highway"),
        ({LandClass.PARK: 0.1, LandClass.WOOD: 0.1, LandClass.GRASS: 0.05}, "park"),
        ({LandClass.BUILDING: 0.12}, "dense_urban"),
        ({LandClass.ROAD_MINOR: 0.9}, "other"),
    ],
)
def test_a_map_is_tagged_by_the_first_share_that_is_reached(
    given: dict[LandClass, float], tag: str
) -> None:
    assert tag_of(dict.fromkeys(LandClass, 0.0) | given) == tag


def test_a_shadow_is_as_long_as_height_over_slope_and_points_away_from_the_sun() -> None:
    height = np.zeros((21, 41), dtype=np.float32)
    height[10, 5] = 20.0
    shade = shadows(height, Sun(east=1.0, north=0.0, slope=2.0), pixel_m=1.0)
    assert (shade[10, 6:15] > 0).all()
    assert (shade[10, 15:] == 0).all()
    assert shade[:, :6].max() == 0
    assert shade[9].max() == 0


def test_the_sun_stands_in_the_south() -> None:
    assert all(sun_of(seed).north > 0 for seed in range(20))


def test_a_picture_without_halo_is_refused() -> None:
    with pytest.raises(ValueError, match=f"halo 0 < {halo_pixels(2.0)}"):
        render_aerial(land_cover(WORLD, Extent(0, 0, 16, 16)))


def test_the_picture_tells_classes_apart_by_colour() -> None:
    halo = halo_pixels(4.0)
    cover = land_cover(World(0, 4.0), Extent(0, 0, 400, 400), halo=halo)
    picture = render_aerial(cover).astype(float)
    inner = slice(halo, -halo)
    land_class = cover.land_class[inner, inner]
    mean = {each: picture[land_class == each].mean(axis=0) for each in (5, 4, 10, 9)}
    water, wood, building, motorway = mean.values()
    assert water[2] > water[0]
    assert wood[1] > wood[0] and wood[1] > wood[2]
    assert building.mean() > wood.mean() + 30
    assert motorway.mean() > water.mean() + 30


def test_tiles_to_train_and_to_test_and_the_scene_share_no_ground() -> None:
    world = World(5, 2.0)
    train = training_places(world, count=6, size=64, scene_size=96)
    test = places_to_test(world, count=4, size=64)
    scene = scene_place(world, scene_size=96)
    assert min(each.column for each in train) > scene.column + scene.width
    assert max(each.column + each.width for each in test) < scene.column
    assert len(set(train)) == 6 and len(set(test)) == 4
