"""Holes of a raster: on a coarser grid none grows, and laid back they are where they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.raster.reader import Pixels
from eo_contrast.raster.resample import ResampledSource, axis_map, resample, resample_strips

SIZE = (600, 50)


class HoledSource:
    """A ``Source`` of one value, 7, with holes of a number that must not be seen."""

    name = "holed"
    bands = 1
    dtype = np.dtype(np.float32)
    may_be_invalid = True

    def __init__(self, valid: np.ndarray) -> None:
        self.height, self.width = valid.shape
        self.valid = valid
        self.values = np.where(valid, 7, np.inf).astype(np.float32)[None]

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        box = (slice(top, bottom), slice(left, right))
        return Pixels(values=self.values[:, *box], valid=self.valid[box])


def holed(share: float) -> HoledSource:
    valid = np.random.default_rng(0).random(SIZE) > share
    valid[:130, 10:37] = False
    return HoledSource(valid)


@given(source=st.integers(1, 200), target=st.integers(1, 200))
@settings(deadline=None)
def test_a_larger_pixel_has_under_it_exactly_what_it_covers(source, target):
    axis = axis_map(source, min(source, target))
    for pixel, under in enumerate(axis.under):
        first, past = pixel * source, (pixel + 1) * source
        covered = [
            k for k in range(source) if k * axis.target < past and (k + 1) * axis.target > first
        ]
        assert sorted(set(under.tolist())) == covered


def test_a_larger_pixel_is_valid_when_any_part_of_it_is():
    valid = np.array([[False, False, False, False, True, True, True, True]])
    valid[0, 3] = True
    pixels = Pixels(values=np.full((1, 1, 8), 7, np.float32), valid=valid)
    shrunk = resample(pixels, axis_map(1, 1), axis_map(8, 4))
    assert shrunk.valid.tolist() == [[False, True, True, True]]
    assert shrunk.values.tolist() == [[[0, 7, 7, 7]]]


def test_a_smaller_pixel_is_valid_when_the_one_under_its_centre_is():
    pixels = Pixels(values=np.full((1, 1, 2), 7, np.float32), valid=np.array([[True, False]]))
    enlarged = resample(pixels, axis_map(1, 1), axis_map(2, 6))
    assert enlarged.valid.tolist() == [[True] * 3 + [False] * 3]
    assert enlarged.values.tolist() == [[[7] * 3 + [0] * 3]]


@pytest.mark.parametrize("factor", [8, 3.7, 1.3, 0.4])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("strip", [20, 600])
def test_there_and_back_a_raster_has_its_own_holes_and_a_value_everywhere_else(
    factor, share, strip
):
    source = holed(share)
    height, width = (max(1, round(side / factor)) for side in SIZE)
    other = ResampledSource(source, height, width)
    strips = (
        other.read(top, min(top + strip, height), 0, width) for top in range(0, height, strip)
    )
    rows, columns = axis_map(height, SIZE[0]), axis_map(width, SIZE[1])
    parts = list(
        resample_strips(strips, rows, columns, dtype=np.dtype(np.uint8), own_valid=other.own_valid)
    )
    valid = np.concatenate([part.valid for part in parts])
    values = np.concatenate([part.values[0] for part in parts])
    np.testing.assert_array_equal(valid, source.valid)
    np.testing.assert_array_equal(values, np.where(source.valid, 7, 0))
