"""Metadata: carried whole, translated where it cannot hold, and pixels measured on the ground."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import RGB, RPCS, UTM_10M, write_raster

from eo_contrast.raster.meta import (
    RasterMeta,
    as_picture,
    ground_pixel_size_m,
    on_grid,
    read_meta,
    write_meta,
)


def rich(dataset: Any) -> None:
    dataset.descriptions = ("B02", "B03")
    dataset.scales, dataset.offsets = (1e-4, 2e-4), (-0.1, 0.0)
    dataset.units = ("reflectance", "")
    dataset.update_tags(campaign="spring", AREA_OR_POINT="Point")
    dataset.update_tags(ns="ORBIT", direction="descending")
    dataset.update_tags(1, wavelength_nm="490", STATISTICS_MEAN="1")


def meta_of(path: Path) -> RasterMeta:
    with rasterio.open(path) as dataset:
        return read_meta(dataset)


def test_all_that_a_raster_says_is_read_and_written_again(tmp_path):
    values = np.ones((2, 6, 5), np.uint16)
    first = meta_of(write_raster(tmp_path / "a.tif", values, edit=rich, nodata=0, **UTM_10M))
    copy = write_raster(
        tmp_path / "b.tif", values, edit=lambda d: write_meta(d, first), nodata=0, **UTM_10M
    )
    assert meta_of(copy) == first
    assert first.units == ("reflectance", None)
    assert first.tags["ORBIT"] == {"direction": "descending"}
    assert first.tags[""]["AREA_OR_POINT"] == "Point"


def test_statistics_of_the_source_s_pixels_are_left_behind(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((2, 6, 5), np.uint16), edit=rich)
    assert meta_of(path).band_tags[0] == {"": {"wavelength_nm": "490"}}


def test_ground_control_points_and_their_crs_are_written_again(tmp_path):
    points = [
        GroundControlPoint(row=r, col=c, x=7 + c / 10, y=45 - r / 10, z=3.0)
        for r in (0, 5)
        for c in (0, 4)
    ]
    values = np.ones((1, 6, 5), np.uint8)

    def place(dataset: Any) -> None:
        dataset.gcps = (points, CRS.from_epsg(4326))

    first = meta_of(write_raster(tmp_path / "a.tif", values, edit=place))
    again = meta_of(write_raster(tmp_path / "b.tif", values, edit=lambda d: write_meta(d, first)))
    assert again.gcps_crs == CRS.from_epsg(4326)
    assert [(p.row, p.col, p.x, p.y, p.z) for p in again.gcps] == [
        (p.row, p.col, p.x, p.y, p.z) for p in points
    ]


def test_rpcs_follow_the_raster_onto_another_grid():
    meta = RasterMeta(driver="GTiff", width=60, height=100, dtypes=("uint8",), rpcs=RPCS)
    halved = on_grid(meta, 50, 30).rpcs
    assert (halved.line_off, halved.line_scale) == (24.75, 25.0)
    assert (halved.samp_off, halved.samp_scale) == (14.75, 15.0)
    assert halved.lat_off == RPCS.lat_off


def test_the_transform_and_control_points_of_another_grid_lie_on_the_same_ground():
    point = GroundControlPoint(row=10, col=20, x=1, y=2)
    meta = RasterMeta(
        driver="GTiff",
        width=60,
        height=100,
        dtypes=("uint8",),
        transform=Affine(10, 0, 500, 0, -10, 900),
        gcps=(point,),
    )
    doubled = on_grid(meta, 200, 120)
    assert doubled.transform == Affine(5, 0, 500, 0, -5, 900)
    assert (doubled.gcps[0].row, doubled.gcps[0].col) == (20, 40)


def test_what_described_the_source_s_values_does_not_hold_for_a_picture(tmp_path):
    path = write_raster(
        tmp_path / "a.tif", np.ones((2, 6, 5), np.uint16), edit=rich, nodata=0, **UTM_10M
    )
    source = meta_of(path)
    picture = as_picture(source, RGB, dtype="uint8")
    assert picture.nodata == (None, None, None)
    assert picture.scales == (1, 1, 1)
    assert picture.band_tags == ()
    assert picture.descriptions == RGB
    assert picture.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    assert (picture.crs, picture.transform) == (source.crs, source.transform)
    assert picture.tags == source.tags


def placed(crs: str, transform: Affine, side: int = 100) -> RasterMeta:
    meta = RasterMeta(driver="GTiff", width=side, height=side, dtypes=("uint8",))
    return replace(meta, crs=CRS.from_user_input(crs), transform=transform)


def test_utm_pixels_measure_what_they_say():
    meta = placed("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 5_400_000))
    # UTM's central meridian is drawn at 0.9996
    assert ground_pixel_size_m(meta) == pytest.approx((10.004, 10.004), rel=1e-4)


def test_feet_become_metres():
    meta = placed("EPSG:2263", Affine(10, 0, 1_000_000, 0, -10, 200_000))
    assert ground_pixel_size_m(meta) == pytest.approx((3.048, 3.048), rel=2e-4)


def test_degrees_shrink_towards_the_pole_in_width_alone():
    step = 1 / 3600
    height, width = ground_pixel_size_m(placed("EPSG:4326", Affine(step, 0, 7, 0, -step, 60)))
    assert height == pytest.approx(30.94, rel=2e-3)
    assert width == pytest.approx(30.87 * math.cos(math.radians(60)), rel=5e-3)


def test_web_mercator_s_metres_are_stretched_by_one_over_cosine_of_latitude():
    north = 8_399_737.889818  # latitude 60
    meta = placed("EPSG:3857", Affine(1, 0, 0, 0, -1, north), side=2)
    height, width = ground_pixel_size_m(meta)
    assert width == pytest.approx(0.5, rel=5e-3)
    assert height == pytest.approx(0.5, rel=5e-3)


def test_rotated_pixels_keep_their_size():
    turned = Affine(8.66025, 5, 500_000, 5, -8.66025, 5_400_000)
    assert ground_pixel_size_m(placed("EPSG:32633", turned)) == pytest.approx((10, 10), rel=1e-3)


@pytest.mark.parametrize("crs", [None, 'LOCAL_CS["plan",UNIT["metre",1]]'])
def test_without_a_place_on_earth_the_size_is_unknown(crs):
    meta = RasterMeta(driver="GTiff", width=9, height=9, dtypes=("uint8",))
    meta = replace(meta, crs=crs and CRS.from_wkt(crs), transform=Affine(1, 0, 5, 0, -1, 5))
    assert ground_pixel_size_m(meta) is None
