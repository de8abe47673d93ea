"""Resampling by bands of rows: bounded memory, and the same bytes wherever the bands end."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from eo_contrast.raster.pieces import BLOCK
from eo_contrast.raster.reader import Pixels
from eo_contrast.raster.resample import ResampledSource, axis_map, resample, resample_strips

MIB = 1 << 20


class MadeSource:
    """A ``Source`` whose pixels follow from their place, so that none needs memory."""

    name = "made"
    bands = 3
    dtype = np.dtype(np.uint8)
    may_be_invalid = True

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.most_rows = 0

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        self.most_rows = max(self.most_rows, bottom - top)
        rows, columns = np.arange(top, bottom)[:, None], np.arange(left, right)
        values = np.stack([(7 * rows + 3 * columns + 5 * band) % 251 for band in range(3)])
        return Pixels(values=values.astype(np.uint8), valid=(rows * columns) % 5 > 0)


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def joined(parts: Iterator[Pixels]) -> Pixels:
    held = list(parts)
    return Pixels(
        values=np.concatenate([part.values for part in held], axis=1),
        valid=np.concatenate([part.valid for part in held]),
    )


def test_shrinking_reads_about_a_block_of_rows_at_a_time():
    source = MadeSource(8 * 768 + 5, 40)
    ResampledSource(source, 768, 5).read(0, 768, 0, 5)
    assert source.most_rows <= BLOCK + 10


@pytest.mark.parametrize("factor", [4, 8])
def test_memory_of_reading_does_not_grow_with_the_factor(factor):
    source = MadeSource(768 * factor, 1000)
    coarse = ResampledSource(source, 768, 1000 // factor)
    made_alone = peak_bytes(lambda: source.read(0, BLOCK, 0, source.width))
    peak = peak_bytes(lambda: coarse.read(0, 768, 0, coarse.width))
    assert peak < made_alone + 8 * MIB


@pytest.mark.parametrize("factor", [4, 8])
def test_memory_of_laying_back_does_not_grow_with_the_factor(factor):
    strip = MadeSource(768, 1000 // factor).read(0, 768, 0, 1000 // factor)
    rows, columns = axis_map(768, 768 * factor), axis_map(1000 // factor, 1000)

    def lay_back() -> None:
        for part in resample_strips([strip], rows, columns, dtype=np.dtype(np.uint8)):
            assert part.valid.shape[0] <= BLOCK

    assert peak_bytes(lay_back) < 4 * 1000 * BLOCK * 2 + 4 * MIB


@pytest.mark.parametrize("height", [190, 1100, 1500, 2900])
def test_bands_of_any_place_give_what_one_pass_gives(height):
    source = MadeSource(1500, 30)
    rows, columns = axis_map(1500, height), axis_map(30, 41)
    expected = resample(source.read(0, 1500, 0, 30), rows, columns)
    resampled = ResampledSource(source, height, 41)
    for top, bottom in ((0, height), (0, height // 3), (height // 3, height), (77, 78)):
        part = resampled.read(top, bottom, 0, 41)
        np.testing.assert_array_equal(part.values, expected.values[:, top:bottom])
        np.testing.assert_array_equal(part.valid, expected.valid[top:bottom])


@pytest.mark.parametrize("height", [190, 1100, 2900])
@pytest.mark.parametrize("strip", [70, 768])
def test_strips_and_parts_give_what_one_pass_gives(height, strip):
    source = MadeSource(1500, 30)
    rows, columns = axis_map(1500, height), axis_map(30, 41)
    expected = resample(source.read(0, 1500, 0, 30), rows, columns, dtype=np.dtype(np.uint8))

    def part(first: int, past: int) -> Pixels:
        top, bottom = rows.needed(first, past)
        strips = (
            source.read(row, min(row + strip, bottom), 0, 30) for row in range(top, bottom, strip)
        )
        return joined(
            resample_strips(strips, rows, columns, dtype=np.dtype(np.uint8), part=(first, past))
        )

    parts = joined(part(*ends) for ends in ((0, 100), (100, 150), (150, height)))
    np.testing.assert_array_equal(parts.values, expected.values)
    np.testing.assert_array_equal(parts.valid, expected.valid)


@pytest.mark.parametrize(("source", "target"), [(7, 4), (13, 5)])
def test_a_pixel_does_not_depend_on_what_is_invalid_far_from_it(source, target):
    columns = axis_map(source, target)
    # The mean of neighbours among the numbers of single precision: it may round to either.
    low = np.float32(1)
    values = np.repeat([[low], [np.nextafter(low, np.float32(2))]], source, axis=1)[None]
    valid = np.ones((2, source), dtype=bool)
    complete = resample(Pixels(values=values, valid=valid), axis_map(2, 1), columns).values
    valid[:, 0] = False
    holed = resample(Pixels(values=values, valid=valid), axis_map(2, 1), columns).values
    assert (holed[..., 1:] == complete[..., 1:]).all()
