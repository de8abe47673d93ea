"""Tile addresses in file names, and where the tiles lie."""

from __future__ import annotations

import morecantile
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from eo_contrast.raster.tile_names import (
    Tile,
    tile_bounds,
    tile_of_file,
    tile_transform,
    tiles_from_names,
)

MERCATOR = morecantile.tms.get("WebMercatorQuad")


@st.composite
def tiles(draw, shallowest=0):
    z = draw(st.integers(shallowest, 22))
    return Tile(z, draw(st.integers(0, 2**z - 1)), draw(st.integers(0, 2**z - 1)))


@given(tiles())
def test_bounds_are_those_of_the_web_mercator_quad(tile):
    expected = MERCATOR.xy_bounds(morecantile.Tile(tile.x, tile.y, tile.z))
    assert tile_bounds(tile) == pytest.approx(tuple(expected), abs=1e-3)


@given(tiles(), st.integers(1, 1024), st.integers(1, 1024))
def test_the_transform_spans_the_bounds(tile, width, height):
    transform = rasterio.Affine(*tile_transform(tile, width, height))
    left, bottom, right, top = tile_bounds(tile)
    assert transform @ (0, 0) == pytest.approx((left, top), abs=1e-6)
    assert transform @ (width, height) == pytest.approx((right, bottom), abs=1e-6)


@given(tiles(shallowest=10))
def test_a_quadkey_is_read_as_its_tile(tile):
    quadkey = MERCATOR.quadkey(morecantile.Tile(tile.x, tile.y, tile.z))
    assert tiles_from_names([f"{quadkey}.jpg"]) == [tile]


@pytest.mark.parametrize("name", ["16/10493/22826.png", "16_10493_22826.jpg", "16-10493-22826.tif"])
def test_a_z_x_y_name_is_read_as_its_tile(name):
    assert tiles_from_names([name]) == [Tile(16, 10493, 22826)]


def test_short_numbers_are_not_taken_for_quadkeys():
    assert tiles_from_names(["1.jpg", "10.jpg", "100.jpg", "1003.jpg"]) == [None] * 4


def test_one_name_that_is_no_address_makes_all_of_the_folder_mere_names():
    assert tiles_from_names(["0212300211313121.jpg", "photo.jpg"]) == [None, None]


@pytest.mark.parametrize("name", ["1/2/0.png", "31/0/0.png", "3/8/1.png", "0" * 31 + ".png"])
def test_an_address_outside_the_pyramid_is_a_mere_name(name):
    assert tiles_from_names([name]) == [None]


@pytest.mark.parametrize("name", ["3_1_2.png", "09-11-23.png", "12_05_20.tif", "15-06-2020.tif"])
def test_one_file_alone_with_a_date_for_a_name_is_no_tile(name):
    assert tile_of_file(name) is None


@pytest.mark.parametrize("name", ["16_10493_22826.png", "tiles/16-10493-22826.tif"])
def test_one_file_alone_with_a_deep_address_is_a_tile(name):
    assert tile_of_file(name) == Tile(16, 10493, 22826)
