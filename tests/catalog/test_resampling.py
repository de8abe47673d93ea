"""Resampling along the axes is a warp's, where a warp is exact."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from eo_contrast.catalog.resampling import Axis, bilinear, nearest

UTM = CRS.from_epsg(32633)
# Pixels up to a twentieth larger GDAL takes for equal ones.
STEPS = st.floats(0.2, 1.0) | st.floats(1.06, 3.3)
ALONG = st.tuples(st.integers(3, 40), STEPS, st.floats(-4, 30))


def axis(drawn, length):
    count, step, start = drawn
    return Axis(count, step, start, length)


def warped(values, rows, columns, how):
    onto = np.full((rows.count, columns.count), np.nan, np.float32)
    reproject(
        values,
        onto,
        src_transform=Affine.identity(),
        dst_transform=Affine(columns.step, 0, columns.start, 0, rows.step, rows.start),
        src_crs=UTM,
        dst_crs=UTM,
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=how,
        tolerance=0,
        XSCALE=min(1, 1 / columns.step),
        YSCALE=min(1, 1 / rows.step),
    )
    return onto


@settings(max_examples=60, deadline=None)
@given(ALONG, ALONG, st.integers(0, 9))
def test_bilinear_is_gdal_s_inside_the_image(down, right, seed):
    values = np.random.default_rng(seed).normal(size=(33, 29)).astype(np.float32)
    rows, columns = axis(down, 33), axis(right, 29)
    ours, theirs = (
        bilinear(values, rows, columns),
        warped(values, rows, columns, Resampling.bilinear),
    )
    inside = []
    for each in (rows, columns):
        reach = max(1.0, each.step)
        middles = each.positions()
        inside.append((middles > reach + 1) & (middles < each.length - reach - 1))
    both = np.ix_(*inside)
    np.testing.assert_allclose(ours[both], theirs[both], atol=2e-4)


@given(ALONG, ALONG, st.integers(0, 9))
def test_nearest_takes_the_pixel_that_holds_the_middle(down, right, seed):
    values = np.random.default_rng(seed).normal(size=(33, 29)).astype(np.float32)
    rows, columns = axis(down, 33), axis(right, 29)
    ours = nearest(values, rows, columns)
    for row, y in enumerate(rows.positions()):
        for column, x in enumerate(columns.positions()):
            inside = 0 <= y < 33 and 0 <= x < 29
            expected = values[int(y), int(x)] if inside else np.nan
            np.testing.assert_equal(ours[row, column], expected)


@given(ALONG, ALONG)
def test_a_constant_stays_itself_wherever_there_is_data(down, right):
    rows, columns = axis(down, 33), axis(right, 29)
    ours = bilinear(np.full((33, 29), 7, np.float32), rows, columns)
    held = np.isfinite(ours)
    np.testing.assert_allclose(ours[held], 7, rtol=1e-5)
    # A pixel half of which the image covers has data.
    middles = [
        (each.positions() >= 0) & (each.positions() <= each.length) for each in (rows, columns)
    ]
    assert held[np.ix_(*middles)].sum() >= 0.25 * np.outer(*middles).sum()


def test_a_slope_is_kept_between_pixels_and_across_larger_ones():
    slope = np.arange(40, dtype=np.float32)[:, None].repeat(40, 1)
    # Few taps stand for a wide triangle: a hundredth of a pixel.
    for step, tolerance in ((0.25, 1e-5), (1.0, 1e-5), (2.5, 0.02)):
        rows, columns = Axis(10, step, 5.0, 40), Axis(10, 1.0, 5.3, 40)
        expected = (rows.positions() - 0.5)[:, None].repeat(10, 1)
        np.testing.assert_allclose(bilinear(slope, rows, columns), expected, atol=tolerance)


def test_no_data_spreads_no_further_than_half_a_pixel_s_weight():
    values = np.ones((8, 8), np.float32)
    values[:, 4:] = np.nan
    same = Axis(8, 1.0, 0.0, 8)
    for shift, held in ((0.0, 4), (0.4, 4), (0.6, 3)):
        ours = bilinear(values, same, Axis(8, 1.0, shift, 8))
        assert np.isfinite(ours[4]).sum() == held
        np.testing.assert_allclose(ours[np.isfinite(ours)], 1)
