"""Resampling: the mean when shrinking, straight lines when enlarging, the same from any window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.raster.reader import Pixels
from eo_contrast.raster.resample import ResampledSource, axis_map, resample, resample_strips


class ArraySource:
    """A ``Source`` over arrays in memory."""

    name = "array"
    may_be_invalid = True

    def __init__(self, values: np.ndarray, valid: np.ndarray | None = None) -> None:
        self.values = values
        self.valid = np.ones(values.shape[1:], bool) if valid is None else valid
        self.bands, self.height, self.width = values.shape
        self.dtype = values.dtype

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        box = (slice(top, bottom), slice(left, right))
        return Pixels(values=self.values[:, *box], valid=self.valid[box])


def random_source(height: int, width: int, seed: int = 0) -> ArraySource:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 255, (2, height, width)).astype(np.uint8)
    return ArraySource(values, rng.random((height, width)) > 0.2)


def whole(source: ArraySource, height: int, width: int) -> Pixels:
    return ResampledSource(source, height, width).read(0, height, 0, width)


@settings(deadline=None)
@given(source=st.integers(1, 60), target=st.integers(1, 60))
def test_weights_of_every_pixel_sum_to_one_and_lie_within_the_raster(source, target):
    axis = axis_map(source, target)
    np.testing.assert_allclose(axis.weights.sum(axis=1), 1)
    assert axis.taps.min() >= 0
    assert axis.taps.max() < source


def test_halving_takes_the_mean_of_two_by_two_pixels():
    values = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    halved = whole(ArraySource(values), 2, 2).values[0]
    assert halved.tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_shrinking_keeps_the_mean_of_the_raster():
    source = random_source(30, 42)
    source.valid[:] = True
    shrunk = whole(source, 7, 11).values
    np.testing.assert_allclose(shrunk.mean(axis=(1, 2)), source.values.mean(axis=(1, 2)), rtol=1e-6)


def test_enlarging_a_ramp_stays_a_ramp_between_the_outer_centres():
    values = np.arange(5, dtype=np.float32).reshape(1, 1, 5)
    enlarged = whole(ArraySource(values), 1, 20).values[0, 0]
    np.testing.assert_allclose(np.diff(enlarged[2:-2]), 0.25)


def test_the_same_size_changes_nothing():
    source = random_source(9, 13)
    source.valid[:] = True
    np.testing.assert_array_equal(whole(source, 9, 13).values, source.values)


def test_invalid_pixels_weigh_nothing():
    values = np.array([[[10, 200], [30, 200]]], dtype=np.uint8)
    valid = np.array([[True, False], [True, False]])
    pixels = Pixels(values=values, valid=valid)
    shrunk = resample(pixels, axis_map(2, 1), axis_map(2, 2))
    assert shrunk.values[0].tolist() == [[20, 0]]
    assert shrunk.valid.tolist() == [[True, False]]


@pytest.mark.parametrize("size", [(13, 17), (60, 75), (29, 31)])
def test_a_window_equals_that_part_of_the_whole(size):
    source = random_source(29, 31)
    complete = whole(source, *size)
    part = ResampledSource(source, *size).read(3, 11, 2, 9)
    np.testing.assert_array_equal(part.values, complete.values[:, 3:11, 2:9])
    np.testing.assert_array_equal(part.valid, complete.valid[3:11, 2:9])


@pytest.mark.parametrize("target", [1, 10, 40, 97])
@pytest.mark.parametrize("strip", [1, 7, 40])
def test_strips_of_any_height_give_what_the_whole_gives(target, strip):
    source = random_source(40, 20)

    def strips() -> Iterator[Pixels]:
        for top in range(0, 40, strip):
            yield source.read(top, min(top + strip, 40), 0, 20)

    parts = list(
        resample_strips(strips(), axis_map(40, target), axis_map(20, 33), dtype=np.dtype("uint8"))
    )
    complete = whole(source, target, 33)
    values = np.concatenate([part.values for part in parts], axis=1)
    np.testing.assert_array_equal(values, np.rint(complete.values))
    np.testing.assert_array_equal(np.concatenate([part.valid for part in parts]), complete.valid)
