"""Sentinel-1 GRD products: calibrated by their own tables, placed by control points."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely
from archives import of_synth
from rasterio.crs import CRS

from eo_contrast.catalog.grids import Grid
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.sentinel1 import LEAST_POWER, AzimuthBlock, Lut, Noise, sigma_nought
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.synth.archives import ARCHIVES, write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.synth.sites import passes, radar_bands, site_at
from eo_contrast.synth.world import CRS as WORLD

SIDE = 48


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    plan = ArchivePlan(places=1, dates=2, size=SIDE)
    folder = tmp_path_factory.mktemp("grd") / "root"
    write_archive(folder, "s1-grd", plan, lambda _done, _what="": None)
    return folder


@pytest.fixture(scope="module")
def rows(root):
    ingest(root, root.parent / "c.parquet")
    return sorted(
        read_catalogue(root.parent / "c.parquet").to_pylist(), key=lambda row: row["datetime"]
    )


def true_decibel(number):
    site = site_at(0, (0, 0), SIDE)
    overflight, _ = passes(0, 0, 2, 2021)[number]
    bands = radar_bands(site, overflight, linear=True)
    grid = Grid(CRS.from_user_input(WORLD), bands["VV"].transform, SIDE, SIDE)
    return grid, 10 * np.log10(np.stack([each.values for each in bands.values()]))


@pytest.mark.parametrize("number", [0, 1])
def test_both_orbits_come_back_upright_in_place_and_in_decibel(rows, number):
    grid, expected = true_decibel(number)
    view = read_view(rows[number], grid=grid)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    assert view.valid[2:-2, 2:-2].all()
    # Amplitudes are whole numbers: darkest pixels, near the noise, lose most by rounding.
    off = np.abs(view.values - expected)[inner]
    assert np.median(off) < 0.04
    assert off.max() < 1.5
    assert {row["sat:orbit_state"] for row in rows} == {"ASCENDING", "DESCENDING"}


def test_a_part_of_the_grid_reads_as_that_part_of_the_whole(rows):
    grid, _ = true_decibel(0)
    whole = read_view(rows[0], grid=grid)
    part = read_view(rows[0], grid=grid.window(9, 14, 20, 17))
    np.testing.assert_allclose(part.values, whole.values[:, 9:29, 14:31], atol=1e-3)


def test_the_footprint_is_the_control_points_and_the_grid_utm(rows):
    footprint = shapely.from_wkb(rows[0]["geometry"])
    assert rows[0]["proj:code"] == "EPSG:32632"
    assert rows[0]["unit"] == "linear" and rows[0]["nodata"] == 0
    metres = footprint.area * 111_000**2 * np.cos(np.radians(footprint.centroid.y))
    assert metres == pytest.approx((SIDE * 10.0) ** 2, rel=0.02)


def test_power_by_the_tables_between_their_lines_and_pixels():
    lut = Lut(
        np.array([0.0, 10.0]),
        [np.array([0.0, 4.0]), np.array([0.0, 8.0])],
        [np.array([100.0, 200.0]), np.array([300.0, 500.0])],
    )
    sigma = lut.at(np.array([0, 5, 20]), np.array([2, 4]))
    # Middle of the lines: halfway between 150 and 350, and between 200 and 400.
    np.testing.assert_allclose(sigma, [[150, 200], [250, 300], [350, 400]])
    amplitude = np.array([[300, 0], [1, 600]])
    power, valid = sigma_nought(amplitude, np.full((2, 2), 300.0), 90.0)
    np.testing.assert_allclose(
        power, [[(90_000 - 90) / 90_000, 0], [LEAST_POWER, 3.999]], rtol=1e-5
    )
    assert valid.tolist() == [[True, False], [True, True]]


def test_noise_of_a_swath_goes_with_its_lines():
    across = Lut(np.array([0.0]), [np.array([0.0, 9.0])], [np.array([10.0, 10.0])])
    block = AzimuthBlock((0, 9), (0, 4), np.array([0.0, 9.0]), np.array([1.0, 2.0]))
    noise = Noise(across, (block,)).at(np.arange(10), np.arange(10))
    np.testing.assert_allclose(noise[:, 0], 10 * np.linspace(1, 2, 10))
    np.testing.assert_allclose(noise[:, 5], 10)


DAMAGE = {
    "no such file": ("annotation/calibration/calib*vv*", None),
    "not readable as XML": ("annotation/calibration/calib*vv*", b"<a"),
    "VV or VH expected": ("measurement/*", None),
    "not a raster": ("measurement/*vv*", b"x"),
}


@pytest.mark.parametrize("says", DAMAGE)
def test_a_damaged_product_is_skipped_with_its_reason(tmp_path, says):
    root = of_synth("s1-grd", places=2)(tmp_path / "root")
    names, content = DAMAGE[says]
    for path in next(root.glob("*/*.SAFE")).glob(names):
        path.unlink() if content is None else path.write_bytes(content)
    told = ingest(root, tmp_path / "c.parquet")
    assert told["rows"] == 1
    assert says in told["skipped"][0]["reason"]


def test_a_raster_without_control_points_is_not_taken_for_placed(tmp_path):
    root = of_synth("s1-grd", places=2)(tmp_path / "root")
    path = next(root.glob("*/*/measurement/*vv*"))
    with rasterio.open(path) as dataset:
        values = dataset.read()
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=32, width=32, dtype="uint16"
    ) as dataset:
        dataset.write(values)
    told = ingest(root, tmp_path / "c.parquet")
    assert "control points" in told["skipped"][0]["reason"]


def test_the_archive_is_the_same_twice(tmp_path):
    plan = ArchivePlan(places=1, dates=1, size=16)
    one, other = (list(ARCHIVES["s1-grd"].images(plan)) for _ in range(2))
    assert one[0].beside == other[0].beside
