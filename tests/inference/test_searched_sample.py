"""Where an even sample of a scene finds nothing valid, the scene is searched for what is."""

from __future__ import annotations

import numpy as np
import pytest

from eo_contrast.inference import statistics
from eo_contrast.inference.statistics import MOST_TILES, sample_pixels, sample_tiles
from eo_contrast.raster.reader import Pixels

Box = tuple[int, int, int, int]


class PatchSource:
    """A ``Source`` whose bands are row and column number, valid in boxes (rows, columns)."""

    name = "patch"
    bands = 2
    dtype = np.dtype(np.float32)
    may_be_invalid = True

    def __init__(self, height: int, width: int, *boxes: Box) -> None:
        self.height, self.width, self.boxes = height, width, boxes
        self.windows: list[Box] = []

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        assert 0 <= top < bottom <= self.height
        assert 0 <= left < right <= self.width
        self.windows.append((top, bottom, left, right))
        rows, columns = np.mgrid[top:bottom, left:right]
        valid = np.zeros(rows.shape, bool)
        for first, past, begin, end in self.boxes:
            valid |= (first <= rows) & (rows < past) & (begin <= columns) & (columns < end)
        return Pixels(values=np.stack([rows, columns]).astype(np.float32), valid=valid)


def found(source: PatchSource) -> set[tuple[float, float]]:
    """Row and column of every valid pixel of the sample."""
    return {tuple(pixel) for pixels in sample_pixels(source) for pixel in pixels.of_valid().T}


def test_a_patch_between_the_even_windows_is_found_whole():
    source = PatchSource(4000, 4000, (700, 820, 700, 820))
    assert len(found(source)) == 120 * 120
    assert tuple(sample_tiles(source, stride=4).shape[1:]) == (2, 256, 256)


@pytest.mark.parametrize("row", [300, 1999, 2399])
@pytest.mark.parametrize("column", [300, 2250, 2699])
def test_a_single_pixel_is_found_wherever_it_is(row, column):
    source = PatchSource(2400, 2700, (row, row + 1, column, column + 1))
    assert found(source) == {(row, column)}


def test_what_is_searched_has_no_gap():
    source = PatchSource(2100, 2401)
    assert sample_pixels(source) == []
    seen = np.zeros((source.height, source.width), bool)
    for top, bottom, left, right in source.windows:
        seen[top:bottom, left:right] = True
    assert seen.all()


def test_the_search_ends_when_it_has_found_enough():
    # Two columns of windows between the even ones, over the whole height.
    source = PatchSource(20_000, 4000, (0, 20_000, 300, 301))
    assert len(sample_pixels(source)) == MOST_TILES
    assert sum(right - left == source.width for _, _, left, right in source.windows) == MOST_TILES
    rows = [pixels.values[0].min() for pixels in sample_pixels(source)]
    assert max(rows) - min(rows) > 15_000


def test_the_search_is_the_same_each_time_and_in_bounded_pieces(monkeypatch):
    boxes = [(700, 820, 700, 820), (3000, 3100, 1700, 1800)]
    whole = sample_pixels(PatchSource(4000, 4000, *boxes))
    monkeypatch.setattr(statistics, "MOST_BYTES_AT_ONCE", 3 * 256 * 256 * 9)
    source = PatchSource(4000, 4000, *boxes)
    pieces = sample_pixels(source)
    assert max(right - left for _, _, left, right in source.windows) <= 3 * 256
    assert len(whole) == len(pieces) > 0
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.valid, other.valid)


def test_no_window_keeps_the_row_that_it_was_cut_from():
    pixels = sample_pixels(PatchSource(4000, 4000, (700, 820, 700, 820)))
    assert all(part.values.base is None and part.valid.base is None for part in pixels)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13])
def test_rows_are_seen_once_each_far_apart_first(count):
    order = list(statistics._halving(count))
    assert sorted(order) == list(range(count))
    assert order[:2] == [0, 1 << (count - 1).bit_length() >> 1][:count]
