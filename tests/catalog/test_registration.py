"""Two sensors' images of one place lie on each other, and where they do not, it is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from eo_contrast.catalog.alignment import misregistered
from eo_contrast.catalog.grids import grid_of
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.registration import BINS, mutual_information, shift_between
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan


def blobs(seed, side=80):
    """Smooth blobs of many brightnesses."""
    noise = np.random.default_rng(seed).normal(size=(side, side))
    spectrum = np.exp(-((np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2)) / 0.06) ** 2))
    return np.fft.ifft2(np.fft.fft2(noise) * spectrum).real


@settings(max_examples=20, deadline=None)
@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 50))
def test_a_shift_is_found_though_brightness_has_nothing_in_common(down, right, seed):
    ground = blobs(seed, 100)
    one = ground[10:-10, 10:-10]
    moved = ground[10 + down : 90 + down, 10 + right : 90 + right]
    speckle = np.random.default_rng(seed + 1).gamma(4, 0.25, moved.shape)
    other = np.abs(moved) * speckle  # neither its sign nor its scale
    found = shift_between(one, other)
    assert (found.rows, found.columns) == (down, right)
    assert found.certain


@pytest.mark.parametrize("seed", range(6))
def test_unlike_images_are_uncertain(seed):
    assert not shift_between(blobs(seed), blobs(seed + 20)).certain
    assert not shift_between(
        blobs(seed), np.random.default_rng(seed + 7).normal(size=(80, 80))
    ).certain


def test_invalid_pixels_do_not_count():
    one, other = blobs(2), blobs(2)
    other[:20] = np.nan
    found = shift_between(one, other)
    assert (found.rows, found.columns) == (0, 0)


def test_mutual_information_is_the_entropy_of_equal_levels_and_0_of_independent_ones():
    levels = np.arange(BINS).repeat(BINS)
    assert mutual_information(levels, levels) == pytest.approx(np.log(BINS))
    assert mutual_information(levels, np.tile(np.arange(BINS), BINS)) == pytest.approx(0, abs=1e-12)
    assert mutual_information(levels, np.full_like(levels, -1)) == 0


def test_images_too_small_for_the_reach_are_refused():
    with pytest.raises(ValueError, match="reach of 6"):
        shift_between(np.zeros((16, 16)), np.zeros((16, 16)))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    write_archive(root / "a", "ssl4eo-v1", ArchivePlan(10, 1, 128), lambda *_: None)
    ingest(root / "a", root / "a.parquet")
    return read_catalogue(root / "a.parquet").to_pylist()


@pytest.mark.parametrize("place", [5, 9])
@pytest.mark.parametrize("radar", ["VV", "VH"])
def test_synthetic_views_of_both_sensors_line_up_though_their_boxes_differ(archive, place, radar):
    rows = [row for row in archive if row["place_id"].endswith(f"{place:07}")]
    by_product = {row["product"]: row for row in rows}
    grid = grid_of(by_product["s2-l2a"])
    near_infrared = read_view(by_product["s2-l2a"], grid=grid, bands=["B08"])
    backscatter = read_view(by_product["s1-grd"], grid=grid, bands=[radar])
    held = np.where(backscatter.valid, backscatter.values[0], np.nan)
    found = shift_between(near_infrared.values[0], held)
    assert (found.rows, found.columns) == (0, 0)
    assert found.certain


def test_the_real_archive_s_own_misregistration_is_found(shared, tmp_path):
    # SSL4EO-S12 v1 is known for it; this place's radar lies 40 m off by its own geotransform.
    ingest(shared / "data" / "s1s2" / "ssl4eo-s12-v1", tmp_path / "c.parquet")
    rows = read_catalogue(tmp_path / "c.parquet").to_pylist()
    june = {row["product"]: row for row in rows if row["datetime"].month == 6}
    grid = grid_of(june["s2-l2a"])
    red = read_view(june["s2-l2a"], grid=grid, bands=["B04"]).values[0]
    radar = read_view(june["s1-grd"], grid=grid, bands=["VH"])
    found = shift_between(red, np.where(radar.valid, radar.values[0], np.nan))
    assert (found.rows, found.columns) == (4, 4)
    assert found.certain


@pytest.mark.parametrize("place", ["38D_378R_2_3", "609U_541L_3_0"])
def test_real_pairs_that_are_aligned_are_found_so(shared, place):
    import rasterio

    def band(product, index):
        with rasterio.open(shared / "data" / "terramesh" / product / f"{place}.tif") as dataset:
            return dataset.read(index).astype(float)

    found = shift_between(band("S2L2A", 4), band("S1RTC", 1))
    assert max(abs(found.rows), abs(found.columns)) <= 1
    assert found.certain


def test_a_radar_archive_put_off_its_place_is_found_and_a_true_one_is_not(archive):
    assert list(misregistered(archive)) == []
    five = [row for row in archive if row["place_id"].endswith("0000005")]
    radar = next(row for row in five if row["sensor"] == "s1")
    for name in radar["files"]:
        path = Path(radar["href"], name)
        with rasterio.open(path, "r+") as dataset:
            dataset.transform = dataset.transform @ Affine.translation(4, -3)
    [problem] = misregistered(five)
    assert problem.kind == "registration"
    assert "3 pixels down, -4 right" in problem.message


def test_the_real_place_that_is_off_is_found(shared, tmp_path):
    ingest(shared / "data/s1s2/ssl4eo-s12-v1", tmp_path / "c.parquet")
    rows = read_catalogue(tmp_path / "c.parquet").to_pylist()
    [problem] = misregistered(rows)
    assert "ssl4eo-v1/0000200" in problem.message
