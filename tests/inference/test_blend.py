"""Joining: exact sums that do not depend on order, and cuts that touch nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eo_contrast.inference.blend import LARGEST_VALUE, blend_row, cut_row
from eo_contrast.raster.windows import plan_tiling, spans

TILING = plan_tiling(32, 16, halo=0, stride=1)


def joined(picture: np.ndarray, *, dtype: str) -> np.ndarray:
    """Blend the windows of a picture, each with its own part of it."""
    bands, height, width = picture.shape
    above, parts = None, []
    for row in spans(height, TILING):
        tiles = [
            (column, torch.tensor(picture[:, row.start : row.stop, column.start : column.stop]))
            for column in spans(width, TILING)
        ]
        part, above = blend_row(tiles, row, above, shape=(bands, width), dtype=np.dtype(dtype))
        parts.append(part)
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("size", [(1, 1), (32, 33), (100, 75)])
def test_windows_that_agree_give_exactly_what_they_agree_on(size):
    picture = np.random.default_rng(0).integers(0, 256, (2, *size)).astype(np.float32)
    np.testing.assert_array_equal(joined(picture, dtype="uint8"), picture)


def test_a_half_is_rounded_to_the_even_number_and_values_are_clipped():
    picture = np.array([[[0.5, 1.5, 2.5, -7, 300]]], dtype=np.float32)
    assert joined(picture, dtype="uint8").ravel().tolist() == [0, 2, 2, 0, 255]


def test_where_two_windows_disagree_the_result_goes_evenly_from_one_to_the_other():
    row, columns = spans(1, TILING)[0], spans(48, TILING)
    tiles = [(columns[0], torch.zeros((1, 1, 32))), (columns[1], torch.full((1, 1, 32), 100.0))]
    values, _ = blend_row(tiles, row, None, shape=(1, 48), dtype=np.dtype("float32"))
    values = values.ravel()
    assert values[:16].max() == 0
    assert values[32:].min() == 100
    assert (np.diff(values[16:32]) > 0).all()
    np.testing.assert_allclose(values[16:32] + values[16:32][::-1], 100)


def test_a_skipped_window_adds_nothing():
    row, columns = spans(1, TILING)[0], spans(48, TILING)
    tiles = [(columns[0], None), (columns[1], torch.full((1, 1, 32), 100.0))]
    values, _ = blend_row(tiles, row, None, shape=(1, 48), dtype=np.dtype("uint8"))
    assert values.ravel()[:16].max() == 0
    assert values.ravel()[32:].min() == 100


@pytest.mark.parametrize("bad", [np.nan, np.inf, LARGEST_VALUE])
def test_a_value_beyond_the_fixed_point_is_refused(bad):
    row, column = spans(1, TILING)[0], spans(4, TILING)[0]
    with pytest.raises(ValueError, match="not below"):
        blend_row(
            [(column, torch.full((1, 1, 4), bad, dtype=torch.float64))],
            row,
            None,
            shape=(1, 4),
            dtype=np.dtype("uint8"),
        )


def test_a_cut_takes_each_pixel_bit_for_bit_from_one_window():
    picture = np.array([[[2**64 - 1 - k for k in range(48)]]], dtype=np.uint64)
    row, columns = spans(1, TILING)[0], spans(48, TILING)
    tiles = [
        (column, torch.from_numpy(picture[:, :, column.start : column.stop])) for column in columns
    ]
    values = cut_row(tiles, row, shape=(1, 48), dtype=np.dtype("uint64"))
    np.testing.assert_array_equal(values, picture)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_sums_on_a_device_are_those_of_the_processor():
    rows, columns = spans(100, TILING), spans(75, TILING)
    made = {}
    for device in ("cpu", "cuda"):
        draws = torch.Generator().manual_seed(0)
        above, parts = None, []
        for row in rows:
            tiles = [
                (
                    column,
                    (300 * torch.rand((2, row.length, column.length), generator=draws)).to(device),
                )
                for column in columns
            ]
            part, above = blend_row(tiles, row, above, shape=(2, 75), dtype=np.dtype("uint8"))
            parts.append(part)
        made[device] = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(made["cuda"], made["cpu"])
