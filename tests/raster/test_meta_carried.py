"""What metadata cannot follow a raster is said, and what follows it stays on its ground."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import RPCS, UTM_10M
from raster_factory import write_raster as write_plain

from eo_contrast.raster.meta import RasterMeta, on_grid, read_meta, what_is_lost
from eo_contrast.raster.reader import Pixels, all_valid
from eo_contrast.raster.writer import write_raster


def place_in_pixels(rpcs: RPC, longitude: float, latitude: float) -> tuple[float, float]:
    """Row and column, counted from the raster's corner, by GDAL."""
    with RPCTransformer(rpcs) as transformer:
        row, column = transformer.rowcol([longitude], [latitude], zs=[10.0], op=lambda at: at)
        return float(row[0]), float(column[0])


@pytest.mark.parametrize("factor", [4, 2, 0.5])
def test_rpcs_of_another_grid_place_the_same_ground(factor):
    meta = RasterMeta(driver="GTiff", width=60, height=100, dtypes=("uint8",), rpcs=RPCS)
    moved = on_grid(meta, int(100 / factor), int(60 / factor)).rpcs
    row, column = place_in_pixels(RPCS, 6.94, 45.06)
    assert moved is not None
    assert place_in_pixels(moved, 6.94, 45.06) == pytest.approx((row / factor, column / factor))


def placed(tmp_path: Path) -> RasterMeta:
    """What a plain raster with a transform says."""
    with rasterio.open(
        write_plain(tmp_path / "a.tif", np.ones((1, 6, 5), np.uint8), **UTM_10M)
    ) as d:
        return read_meta(d)


def with_points(meta: RasterMeta, count: int) -> RasterMeta:
    points = tuple(GroundControlPoint(row=k, col=k, x=15 + k / 10, y=48) for k in range(count))
    return replace(meta, gcps=points, gcps_crs=CRS.from_epsg(4326))


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 ground control point "), (4, "4 ground control points ")]
)
def test_control_points_beside_a_transform_are_told_to_be_lost(tmp_path, count, words):
    meta = with_points(placed(tmp_path), count)
    strips = [Pixels(values=np.ones((1, 6, 5), np.uint8), valid=all_valid(6, 5))]
    out = tmp_path / "b.tif"
    lost = write_raster(out, meta, strips, masked=False)
    assert len(lost) == 1
    assert words in lost[0]
    with rasterio.open(out) as dataset:
        assert dataset.transform == meta.transform


def test_control_points_that_are_still_there_are_not_lost(tmp_path):
    meta = with_points(placed(tmp_path), 4)
    assert what_is_lost(meta, meta) == ()


@pytest.mark.parametrize("name", ["ns", "bidx"])
def test_a_tag_of_a_name_that_cannot_be_written_is_told_to_be_lost(tmp_path, name):
    meta = replace(placed(tmp_path), tags={"": {name: "x", "campaign": "spring"}})
    strips = [Pixels(values=np.ones((1, 6, 5), np.uint8), valid=all_valid(6, 5))]
    lost = write_raster(tmp_path / "b.tif", meta, strips, masked=False)
    assert len(lost) == 1
    assert lost[0].startswith("tags")
    assert name in lost[0]
