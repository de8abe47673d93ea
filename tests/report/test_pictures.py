"""Tiles and rasters as inline pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eo_contrast.errors import InputError
from eo_contrast.report.pictures import crop, detailed_windows, overview, png, read_png, view_of

MakeRaster = Callable[..., Path]


def test_a_picture_holds_its_pixels_exactly() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    picture = png(pixels, "noise")
    kind, content = picture.uri.split(",")
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert kind == "data:image/png;base64"
    assert (picture.width, picture.height) == (7, 5)
    np.testing.assert_array_equal(decoded, pixels)


def test_eight_bit_values_are_shown_as_they_are(make_raster: MakeRaster) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    shown = overview(view_of(make_raster("a.tif", pixels)))
    np.testing.assert_array_equal(shown, np.moveaxis(pixels, 0, 2))


def test_a_large_raster_is_decimated_to_the_side_asked_for(make_raster: MakeRaster) -> None:
    view = view_of(make_raster("a.tif", np.full((3, 100, 200), 7, np.uint8)))
    shown = overview(view, side=50)
    assert shown.shape == (25, 50, 3)
    assert (shown == 7).all()


def test_wide_values_are_stretched_to_what_the_eye_sees(make_raster: MakeRaster) -> None:
    ramp = np.linspace(200, 3000, 64 * 64).reshape(1, 64, 64).astype(np.uint16)
    shown = overview(view_of(make_raster("a.tif", np.repeat(ramp, 3, axis=0))))
    assert shown.min() == 0
    assert shown.max() == 255
    assert 100 < shown.mean() < 155


def test_invalid_pixels_are_white(make_raster: MakeRaster) -> None:
    pixels = np.full((3, 16, 16), 90, np.uint8)
    pixels[:, :, :8] = 0
    shown = overview(view_of(make_raster("a.tif", pixels, nodata=0)))
    assert (shown[:, :8] == 255).all()
    assert (shown[:, 8:] == 90).all()


def test_floats_that_are_not_numbers_are_white(make_raster: MakeRaster) -> None:
    pixels = np.random.default_rng(0).random((1, 16, 16)).astype(np.float32)
    pixels[0, :, 0] = np.nan
    shown = overview(view_of(make_raster("a.tif", pixels)))
    assert (shown[:, 0] == 255).all()
    assert len(np.unique(shown[:, 1:])) > 50


def test_classes_are_shown_in_the_colours_of_their_table(make_raster: MakeRaster) -> None:
    classes = np.zeros((1, 8, 8), np.uint8)
    classes[0, 4:] = 3
    table = {0: (1, 2, 3, 255), 3: (200, 100, 50, 255)}
    shown = overview(view_of(make_raster("a.tif", classes, colormap=table)))
    assert (shown[:4] == (1, 2, 3)).all()
    assert (shown[4:] == (200, 100, 50)).all()


def test_a_crop_is_the_same_ground_at_full_resolution(make_raster: MakeRaster) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 80)).astype(np.uint8)
    shown = crop(view_of(make_raster("a.tif", pixels)), (0.25, 0.5, 0.5, 0.75), 64)
    np.testing.assert_array_equal(shown, np.moveaxis(pixels[:, 10:20, 40:60], 0, 2))


def test_details_are_taken_where_the_picture_varies_most() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[32:, 32:] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    assert detailed_windows(picture, (128, 128), side=64, count=1) == [(0.5, 1.0, 0.5, 1.0)]


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    side=st.integers(1, 20),
    count=st.integers(0, 5),
)
def test_details_lie_inside_and_do_not_overlap(
    shape: tuple[int, int], side: int, count: int
) -> None:
    picture = np.zeros((9, 9, 3), np.uint8)
    windows = detailed_windows(picture, shape, side=side, count=count)
    assert len(windows) <= count
    covered = np.zeros(shape, int)
    for top, bottom, left, right in windows:
        assert 0 <= top < bottom <= 1
        assert 0 <= left < right <= 1
        rows = slice(round(top * shape[0]), round(bottom * shape[0]))
        covered[rows, round(left * shape[1]) : round(right * shape[1])] += 1
    assert covered.max() <= 1


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "step-1.png").write_text("no")
    with pytest.raises(InputError, match=r"step-1\.png: not a picture"):
        read_png(tmp_path / "step-1.png")
