"""Windows cover each pixel, their weights sum to one, and they lie on one global grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.raster.windows import (
    SHORTEST_BLEND_PX,
    WEIGHT_ONE,
    Tiling,
    default_overlap,
    owned,
    plan_tiling,
    ramp_up,
    reflect_to,
    spans,
    weights,
)


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    stride = draw(st.sampled_from([1, 4, 8]))
    tile = draw(st.integers(1, 60)) * stride
    overlap = draw(st.integers(0, tile // stride - 1)) * stride
    halo = draw(st.integers(0, 40))
    try:
        return plan_tiling(tile, overlap, halo=halo, stride=stride)
    except ValueError:
        return plan_tiling(tile, overlap // stride // 2 * stride, halo=halo, stride=stride)


@settings(deadline=None)
@given(length=st.integers(1, 700), tiling=tilings())
def test_weights_of_all_windows_sum_to_exactly_one_at_every_pixel(length, tiling):
    total = np.zeros(length, dtype=np.int64)
    for span in spans(length, tiling):
        total[span.begin : span.end] += weights(span)
    assert (total == WEIGHT_ONE).all()


@settings(deadline=None)
@given(length=st.integers(1, 700), tiling=tilings())
def test_owned_pixels_of_all_windows_are_each_pixel_once(length, tiling):
    pixels = [pixel for span in spans(length, tiling) for pixel in range(*owned(span))]
    assert pixels == list(range(length))


@settings(deadline=None)
@given(length=st.integers(1, 700), tiling=tilings())
def test_windows_start_on_multiples_of_the_stride_and_of_the_step(length, tiling):
    starts = [span.start for span in spans(length, tiling)]
    assert starts == [k * tiling.step for k in range(len(starts))]
    assert all(start % tiling.stride == 0 for start in starts)


@settings(deadline=None)
@given(length=st.integers(1, 700), tiling=tilings())
def test_a_pixel_that_counts_is_at_least_a_margin_from_an_inner_edge(length, tiling):
    for span in spans(length, tiling):
        assert span.start == 0 or span.begin - span.start == tiling.margin
        assert span.stop == length or span.stop - span.end == tiling.margin


def test_windows_do_not_depend_on_what_follows_them():
    tiling = plan_tiling(64, 16, halo=4, stride=4)
    short, long = spans(300, tiling), spans(3000, tiling)
    assert short[:-1] == long[: len(short) - 1]


@pytest.mark.parametrize("length", [1, 63, 64])
def test_what_fits_in_a_tile_is_one_window(length):
    assert len(spans(length, plan_tiling(64, 16, halo=0, stride=4))) == 1


def test_one_pixel_more_than_a_tile_needs_a_second_window():
    assert len(spans(65, plan_tiling(64, 16, halo=0, stride=4))) == 2


def test_the_default_overlap_leaves_a_margin_of_the_whole_halo():
    for halo in (1, 4, 91, 96):
        overlap = default_overlap(halo, 4)
        assert plan_tiling(1024, overlap, halo=halo, stride=4).margin >= halo


def test_a_model_that_sees_single_pixels_needs_no_overlap():
    assert default_overlap(0, 1) == 0


def test_an_overlap_shorter_than_the_halo_keeps_a_ramp_and_gives_the_rest_to_the_margin():
    tiling = plan_tiling(256, 64, halo=91, stride=4)
    assert (tiling.margin, tiling.ramp) == (16, SHORTEST_BLEND_PX)


def test_a_ramp_and_its_mirror_image_sum_to_one():
    ramp = ramp_up(17)
    assert (ramp + ramp[::-1] == WEIGHT_ONE).all()
    assert (np.diff(ramp) > 0).all()


def test_an_overlap_by_which_three_tiles_would_meet_is_refused():
    with pytest.raises(ValueError, match="overlap 36 is too much for tile 64"):
        plan_tiling(64, 36, halo=0, stride=4)


def test_margins_may_overlap_as_long_as_ramps_do_not():
    tiling = plan_tiling(128, 96, halo=32, stride=4)
    assert (tiling.margin, tiling.ramp, tiling.step) == (32, 32, 32)


def test_reflection_goes_on_as_often_as_needed():
    row = np.array([[1, 2, 3]])
    assert reflect_to(row, 1, 9).tolist() == [[1, 2, 3, 2, 1, 2, 3, 2, 1]]


def test_a_single_pixel_is_repeated():
    assert reflect_to(np.array([[7]]), 2, 3).tolist() == [[7, 7, 7], [7, 7, 7]]
