"""Writing: whole blocks, the same bytes however the strips came, whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent.parent))

from full_disk import files_of_at_most
from raster_factory import RGB, random_values

from eo_contrast.errors import WorldError
from eo_contrast.raster.meta import RasterMeta, as_picture
from eo_contrast.raster.reader import Pixels
from eo_contrast.raster.writer import write_raster


def picture_meta(height: int, width: int) -> RasterMeta:
    source = RasterMeta(
        driver="GTiff",
        width=width,
        height=height,
        dtypes=("uint16",),
        crs=rasterio.crs.CRS.from_epsg(32633),
        transform=Affine(10, 0, 500_000, 0, -10, 5_400_000),
    )
    return as_picture(source, RGB, dtype="uint8")


def write(path: Path, values: np.ndarray, *, strip: int, valid: Any = None, **choices: Any) -> None:
    height, width = values.shape[1:]
    choices = {"format": "cog", "masked": valid is not None, **choices}
    mask = np.ones((height, width), bool) if valid is None else valid
    slices = [slice(top, top + strip) for top in range(0, height, strip)]
    strips = (Pixels(values=values[:, rows], valid=mask[rows]) for rows in slices)
    write_raster(path, picture_meta(height, width), strips, **choices)


@pytest.mark.parametrize("format", ["cog", "gtiff"])
@pytest.mark.parametrize("size", [(1, 1), (511, 5), (512, 512), (1100, 700)])
def test_pixels_and_mask_read_back_as_written(tmp_path, size, format):
    values = random_values(3, *size)
    valid = np.random.default_rng(2).random(size) > 0.5
    write(tmp_path / "a.tif", values, strip=100, valid=valid, format=format)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
        np.testing.assert_array_equal(dataset.dataset_mask() > 0, valid)


def test_bytes_do_not_depend_on_the_height_of_the_strips(tmp_path):
    values = random_values(3, 1100, 300)
    for strip in (1, 256, 700, 1100):
        write(tmp_path / f"{strip}.tif", values, strip=strip)
    written = {(tmp_path / f"{strip}.tif").read_bytes() for strip in (1, 256, 700, 1100)}
    assert len(written) == 1


def test_a_cog_says_that_it_is_one_and_has_overviews(tmp_path):
    write(tmp_path / "a.tif", random_values(3, 1100, 700), strip=512)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1)
        assert dataset.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert dataset.descriptions == RGB


def test_a_run_that_fails_midway_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("old")

    def strips() -> Iterator[Pixels]:
        raise RuntimeError("stop")
        yield

    with pytest.raises(RuntimeError, match="stop"):
        write_raster(path, picture_meta(10, 10), strips(), masked=False)
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("format", "room"),
    [("cog", 1000), ("cog", 400_000), ("cog", 3_350_000), ("gtiff", 1000), ("gtiff", 400_000)],
)
def test_a_full_disk_is_a_world_error_and_leaves_nothing(tmp_path, format, room):
    values = random_values(3, 1200, 900)
    with files_of_at_most(room), pytest.raises(WorldError, match=r"a\.tif: "):
        write(tmp_path / "a.tif", values, strip=512, format=format)
    assert list(tmp_path.iterdir()) == []


def test_pixels_beyond_any_compression_of_the_free_disk_are_refused_before_work(tmp_path):
    meta = picture_meta(2**31 - 1, 2**31 - 1)
    with pytest.raises(WorldError, match="GiB of pixels cannot fit"):
        write_raster(tmp_path / "a.tif", meta, [], masked=False)
    assert list(tmp_path.iterdir()) == []
