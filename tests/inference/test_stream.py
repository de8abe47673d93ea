"""Tiling is invisible: the walk over windows gives what one pass over the whole gives."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eo_contrast.errors import InputError
from eo_contrast.inference.plan import Plan, plan_inference
from eo_contrast.inference.stream import Tally, fill_invalid, infer, read_rows
from eo_contrast.raster.reader import Pixels


class ArraySource:
    """A ``Source`` over arrays in memory that remembers which rows were read."""

    name = "array"

    def __init__(self, values: np.ndarray, valid: np.ndarray | None = None) -> None:
        self.values = values
        self.may_be_invalid = valid is not None
        self.valid = np.ones(values.shape[1:], bool) if valid is None else valid
        self.bands, self.height, self.width = values.shape
        self.dtype = values.dtype
        self.rows_read: list[tuple[int, int]] = []

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        self.rows_read.append((top, bottom))
        box = (slice(top, bottom), slice(left, right))
        return Pixels(values=self.values[:, *box], valid=self.valid[box])


class FunctionTiles:
    """A ``TileModel`` around a function of tensors."""

    bands_in: tuple[str, ...] = ()
    bands_out: tuple[str, ...] = ("a", "b", "c")

    def __init__(
        self,
        function,
        *,
        halo: int = 0,
        stride: int = 1,
        dtype_out: str | None = "uint8",
        joining: Literal["blend", "cut"] = "blend",
    ) -> None:
        self.function, self.halo, self.stride = function, halo, stride
        self.dtype_out, self.joining = dtype_out, joining

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        return {}

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Nothing depends on the scene."""

    def __call__(self, tiles: Tensor) -> Tensor:
        return self.function(tiles)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, height, width)).astype(np.uint8)


def inferred(source: ArraySource, model: FunctionTiles, plan: Plan, tally: Tally, **more):
    read = read_rows(lambda: nullcontext(source), plan.rows, tally)
    return infer(read, model, plan, tally=tally, **more)


def walked(source: ArraySource, model: FunctionTiles, **sizes: int) -> Pixels:
    plan = plan_inference(source, model, **sizes)
    strips = list(inferred(source, model, plan, Tally()))
    return Pixels(
        values=np.concatenate([strip.values for strip in strips], axis=1),
        valid=np.concatenate([strip.valid for strip in strips], axis=0),
    )


@pytest.mark.parametrize("overlap", [0, 8, 32])
@pytest.mark.parametrize("size", [(1, 1), (6, 6), (63, 65), (64, 64), (150, 201)])
def test_a_function_of_single_pixels_gives_what_it_gives_on_the_whole(size, overlap):
    source = ArraySource(picture(*size))
    model = FunctionTiles(lambda x: 255 - x / 3)
    expected = np.rint(255 - source.values.astype(np.float32) / 3)
    result = walked(source, model, tile=64, overlap=overlap)
    np.testing.assert_array_equal(result.values, expected)


def small_net() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 3, 3, padding=1),
    )
    return net.eval()


def test_a_net_with_its_halo_gives_what_it_gives_on_the_whole():
    net = small_net()
    source = ArraySource(picture(128, 160))
    with torch.no_grad():
        expected = net(torch.from_numpy(source.values).float()[None])[0].numpy()
    model = FunctionTiles(net, halo=8, stride=2, dtype_out="float32")
    result = walked(source, model, tile=96)
    np.testing.assert_allclose(result.values, expected, atol=2e-4)


def test_without_overlap_the_same_net_shows_seams():
    net = small_net()
    source = ArraySource(picture(128, 160))
    with torch.no_grad():
        expected = net(torch.from_numpy(source.values).float()[None])[0].numpy()
    model = FunctionTiles(net, halo=8, stride=2, dtype_out="float32")
    result = walked(source, model, tile=64, overlap=0)
    assert np.abs(result.values - expected).max() > 1


def test_the_result_above_does_not_depend_on_rows_far_below():
    net = small_net()
    model = FunctionTiles(net, halo=8, stride=2)
    values = picture(300, 70)
    short = walked(ArraySource(values[:, :200]), model, tile=96)
    long = walked(ArraySource(values), model, tile=96)
    np.testing.assert_array_equal(short.values[:, :150], long.values[:, :150])


def test_each_row_of_the_raster_is_read_once():
    source = ArraySource(picture(300, 50))
    walked(source, FunctionTiles(lambda x: x), tile=64, overlap=32)
    assert source.rows_read[0][0] == 0
    assert source.rows_read[-1][1] == 300
    borders = zip(source.rows_read, source.rows_read[1:], strict=False)
    assert all(above[1] == below[0] for above, below in borders)


def test_windows_without_a_valid_pixel_are_skipped():
    valid = np.zeros((64, 192), dtype=bool)
    valid[:, :60] = True
    source = ArraySource(picture(64, 192), valid)
    model = FunctionTiles(lambda x: x)
    tally = Tally()
    plan = plan_inference(source, model, tile=64, overlap=0)
    list(inferred(source, model, plan, tally))
    assert (tally.tiles, tally.skipped_tiles) == (3, 2)


@pytest.mark.parametrize("overlap", [0, 32])
def test_invalid_pixels_become_zero_and_do_not_disturb_valid_ones(overlap):
    values = picture(100, 130)
    valid = np.random.default_rng(1).random((100, 130)) > 0.3
    source = ArraySource(values, valid)
    result = walked(source, FunctionTiles(lambda x: x), tile=64, overlap=overlap)
    np.testing.assert_array_equal(result.values, np.where(valid, values, 0))
    np.testing.assert_array_equal(result.valid, valid)


def test_invalid_pixels_reach_the_model_as_their_band_s_mean():
    values = np.array([[[1, 3], [np.nan, np.inf]], [[10, 20], [0, 0]]], dtype=np.float32)
    valid = np.array([[True, True], [False, False]])
    filled = fill_invalid(Pixels(values=values, valid=valid))
    assert filled.tolist() == [[[1, 3], [2, 2]], [[10, 20], [15, 15]]]


def test_a_window_with_nothing_valid_is_filled_with_zero():
    pixels = Pixels(values=np.full((1, 2, 2), np.nan), valid=np.zeros((2, 2), bool))
    assert fill_invalid(pixels).tolist() == [[[0, 0], [0, 0]]]


def test_tiles_reach_the_model_at_multiples_of_its_stride():
    sides = []

    def note(tiles: Tensor) -> Tensor:
        sides.extend(tiles.shape[2:])
        return tiles

    walked(ArraySource(picture(70, 131)), FunctionTiles(note, stride=4), tile=64, overlap=0)
    assert sides
    assert all(side % 4 == 0 for side in sides)


def test_an_overlap_that_does_not_fit_the_tile_is_refused_with_a_tile_that_would():
    source = ArraySource(picture(100, 100))
    with pytest.raises(InputError, match=r"--tile 128 is too small.*--tile 160"):
        plan_inference(source, FunctionTiles(lambda x: x), tile=128, overlap=80)


def test_a_small_tile_on_purpose_takes_half_of_itself_as_overlap():
    source = ArraySource(picture(300, 300))
    model = FunctionTiles(lambda x: x, halo=92, stride=4)
    plan = plan_inference(source, model, tile=128)
    assert plan.tiling.overlap == 64
    assert plan.lacking_margin(model.halo) == 92 - plan.tiling.margin
    assert plan_inference(source, model).lacking_margin(model.halo) == 0


def test_a_raster_whose_rows_do_not_fit_in_memory_is_refused_with_the_number():
    source = ArraySource(np.zeros((3, 1, 1), dtype=np.uint8))
    source.width, source.height = 1_000_000, 1_000_000
    with pytest.raises(InputError, match=r"MiB.*smaller --tile"):
        plan_inference(source, FunctionTiles(lambda x: x))
