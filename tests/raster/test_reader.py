"""Reading: pixels as stored, and one mask for every way of saying invalid."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import random_values, write_raster

from eo_contrast.errors import InputError
from eo_contrast.raster.reader import Pixels, RasterSource, differs_from, open_raster


def read_whole(path: Path, indexes: tuple[int, ...], **choices: Any) -> Pixels:
    with open_raster(path) as (dataset, meta):
        return RasterSource(dataset, meta, indexes, **choices).read(0, meta.height, 0, meta.width)


def test_pixels_come_in_the_raster_s_own_type(tmp_path):
    values = random_values(2, 9, 7, "int16")
    pixels = read_whole(write_raster(tmp_path / "a.tif", values), (2, 1))
    assert pixels.values.dtype == np.int16
    np.testing.assert_array_equal(pixels.values, values[::-1])
    assert pixels.valid.all()


def test_a_pixel_is_invalid_when_any_chosen_band_holds_nodata(tmp_path):
    values = np.array([[[0, 5, 5]], [[5, 0, 5]], [[0, 0, 0]]], dtype=np.uint8)
    path = write_raster(tmp_path / "a.tif", values, nodata=0)
    assert read_whole(path, (1, 2)).valid.tolist() == [[False, False, True]]


def test_a_pixel_is_invalid_where_alpha_is_zero(tmp_path):
    values = np.full((4, 1, 3), 9, dtype=np.uint8)
    values[3] = [[0, 1, 255]]
    path = write_raster(tmp_path / "a.tif", values, alpha="YES")
    assert read_whole(path, (1, 2, 3)).valid.tolist() == [[False, True, True]]


def test_alpha_and_nodata_both_count(tmp_path):
    values = np.full((4, 1, 3), 9, dtype=np.uint8)
    values[0] = [[9, 0, 9]]
    values[3] = [[0, 255, 255]]
    path = write_raster(tmp_path / "a.tif", values, alpha="YES", nodata=0)
    assert read_whole(path, (1, 2, 3)).valid.tolist() == [[False, False, True]]


def test_a_pixel_is_invalid_where_the_internal_mask_is_zero(tmp_path):
    def mask(dataset: Any) -> None:
        dataset.write_mask(np.array([[True, False]]))

    path = write_raster(tmp_path / "a.tif", np.ones((1, 1, 2), np.uint8), edit=mask)
    assert read_whole(path, (1,)).valid.tolist() == [[True, False]]


def test_what_is_not_finite_is_invalid_without_being_declared(tmp_path):
    values = np.array([[[1, np.nan, np.inf, -np.inf]]], dtype=np.float32)
    path = write_raster(tmp_path / "a.tif", values)
    assert read_whole(path, (1,)).valid.tolist() == [[True, False, False, False]]


def test_for_a_copy_nodata_and_alpha_stay_values(tmp_path):
    values = np.zeros((4, 1, 2), dtype=np.uint8)
    path = write_raster(tmp_path / "a.tif", values, alpha="YES", nodata=0)
    assert read_whole(path, (1, 2, 3, 4), own_mask_only=True).valid.all()


def test_physical_values_are_scaled_and_shifted_band_by_band(tmp_path):
    def scale(dataset: Any) -> None:
        dataset.scales, dataset.offsets = (0.5, 2.0), (1.0, -3.0)

    path = write_raster(tmp_path / "a.tif", np.full((2, 1, 1), 10, np.uint16), edit=scale)
    assert read_whole(path, (2, 1), physical=True).values.ravel().tolist() == [17, 6]


@pytest.mark.parametrize(
    ("dtype", "nodata", "expected"),
    [
        ("uint8", 0.5, [True, True]),
        ("uint8", -9999.0, [True, True]),
        ("uint8", float("nan"), [True, True]),
        ("uint8", float("inf"), [True, True]),
        ("uint8", 1.0, [True, False]),
        ("int64", 1.0, [True, False]),
        ("float32", 1.0, [True, False]),
    ],
)
def test_nodata_is_compared_in_the_band_s_own_type(dtype, nodata, expected):
    assert differs_from(np.array([0, 1], dtype=dtype), nodata).tolist() == expected


def _complex(path: Path) -> None:
    write_raster(path, np.ones((1, 2, 2), np.complex64))


def _text(path: Path) -> None:
    path.write_text("sign in to continue")


def _many_bands(path: Path) -> None:
    write_raster(path, np.zeros((4097, 1, 1), np.uint8), interleave="band")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_complex, "a.tif: complex samples"),
        (_text, "a.tif: is not a raster that can be read"),
        (_many_bands, "a.tif: declares 4097 bands"),
        (lambda _path: None, "a.tif: no such file"),
    ],
)
def test_what_cannot_be_translated_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], None], message: str
):
    path = tmp_path / "a.tif"
    make(path)
    with pytest.raises(InputError, match=message), open_raster(path):
        pass


def test_a_damaged_block_is_named_by_its_rows(tmp_path):
    path = write_raster(tmp_path / "a.tif", random_values(1, 64, 64), compress="deflate")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"a\.tif: "):
        read_whole(path, (1,))


def test_blocks_too_large_to_read_one_row_of_are_refused_from_the_header(tmp_path):
    big = tmp_path / "big.tif"
    shape = {"width": 70_000, "height": 17_000, "count": 1, "dtype": "int32"}
    with rasterio.open(big, "w", driver="GTiff", blockysize=4096, sparse_ok=True, **shape):
        pass
    with pytest.raises(InputError, match=r"one row of its blocks .* MiB"), open_raster(big):
        pass


def test_the_fourth_band_of_a_picture_without_alpha_is_no_mask(tmp_path):
    values = np.full((4, 1, 2), 7, dtype=np.uint8)
    values[3] = 0

    def name(dataset: Any) -> None:
        colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
        dataset.colorinterp = colours

    path = write_raster(tmp_path / "a.tif", values, edit=name, photometric="RGB")
    assert read_whole(path, (1, 2, 3)).valid.all()
