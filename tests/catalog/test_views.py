"""Views of one place line up on one grid, in units, with what is missing masked."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from archives import eurosat_ms, ssl4eo_v1
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_factory import write_raster
from rasterio.crs import CRS
from rasterio.transform import Affine

from eo_contrast.catalog.grids import Grid, grid_of
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.errors import InputError

UTM = CRS.from_epsg(32633)


def hills(x, y):
    """A landscape of waves some 300 m long, as a function of position in metres."""
    return 500 + 200 * np.sin(x / 50) + 150 * np.cos(y / 40 + x / 90)


def row(path, *, transform, shape, **changes):
    return {
        "id": "x", "layout": "s2-safe", "product": "s2-l2a",
        "href": str(path), "files": [], "bands": ["B02"],
        "scale": 1e-4, "offset": 0.0, "nodata": 0.0, "unit": "reflectance",
        "proj:code": "EPSG:32633",
        "proj:transform": list(transform)[:6], "proj:shape": list(shape), **changes,
    }  # fmt: skip


def landscape(path, transform, side, **changes):
    columns, lines = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    x, y = transform @ (columns, lines)
    counts = hills(x - 5e5, y - 5e6)[None].round().astype(np.uint16)
    write_raster(path, counts, crs=UTM, transform=transform)
    return row(path, transform=transform, shape=(side, side), **changes)


def shift_of_peak(one, other, reach=4):
    """(rows, columns) by which ``other`` must be moved to look most like ``one``."""
    inner = (slice(reach, -reach), slice(reach, -reach))
    scores = {
        (down, right): np.corrcoef(
            one[inner].ravel(), np.roll(other, (down, right), (0, 1))[inner].ravel()
        )[0, 1]
        for down in range(-reach, reach + 1)
        for right in range(-reach, reach + 1)
    }
    return max(scores, key=scores.get)


@settings(max_examples=20, deadline=None)
@given(st.floats(-45, 45), st.floats(-45, 45), st.sampled_from([9.6, 10.0, 10.4, 20.0]))
def test_boxes_that_differ_by_pixels_line_up_by_position(tmp_path_factory, east, south, pixel):
    folder = tmp_path_factory.mktemp("pair")
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    there = Affine(pixel, 0, 5e5 - 100 + east, 0, -pixel, 5e6 + 100 + south)
    one = landscape(folder / "a.tif", here, 64)
    other = landscape(folder / "b.tif", there, int(900 / pixel))
    a, b = read_view(one), read_view(other, grid=grid_of(one))
    assert b.valid.mean() > 0.9
    inner = b.valid
    assert np.abs(a.values - b.values)[0][inner].max() < 0.004
    if inner.all():
        assert shift_of_peak(a.values[0], b.values[0]) == (0, 0)


def test_counts_become_reflectance_by_the_offset_of_the_row(tmp_path):
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    plain = landscape(tmp_path / "a.tif", here, 16)
    later = {**plain, "offset": -100.0}
    np.testing.assert_allclose(read_view(plain).values - read_view(later).values, 0.01, atol=1e-6)


def test_no_data_is_a_mask_and_does_not_bleed(tmp_path):
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    counts = np.full((1, 16, 16), 5000, np.uint16)
    counts[0, :, :5] = 0
    write_raster(tmp_path / "a.tif", counts, crs=UTM, transform=here)
    one = row(tmp_path / "a.tif", transform=here, shape=(16, 16))
    view = read_view(one)
    np.testing.assert_array_equal(view.valid[0], np.arange(16) >= 5)
    assert (view.values[0, :, :5] == 0).all()
    moved = read_view(one, grid=Grid(UTM, here @ Affine.translation(0.4, 0.4), 15, 15))
    np.testing.assert_allclose(moved.values[0][moved.valid], 0.5, rtol=1e-6)
    assert not moved.valid[:, :4].any()


def test_linear_power_is_read_as_decibel_and_what_has_none_is_masked(tmp_path):
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    power = np.full((1, 8, 8), 0.01, np.float32)
    power[0, 0, :3] = (0, -0.1, np.nan)
    write_raster(tmp_path / "s1.tif", power, crs=UTM, transform=here)
    radar = row(
        tmp_path / "s1.tif", transform=here, shape=(8, 8), product="s1-rtc", scale=1.0,
        nodata=None, unit="linear", bands=["VV"],
    )  # fmt: skip
    view = read_view(radar)
    assert view.valid.sum() == 61
    np.testing.assert_allclose(view.values[0][view.valid], -20, atol=1e-5)


def test_labels_keep_their_classes_whatever_the_grid(tmp_path):
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    classes = np.random.default_rng(0).choice([11, 211, 313], (1, 20, 20)).astype(np.uint16)
    write_raster(tmp_path / "l.tif", classes, crs=UTM, transform=here)
    label = row(
        tmp_path / "l.tif", transform=here, shape=(20, 20), product="label", scale=1.0,
        bands=["corine"],
    )  # fmt: skip
    finer = Grid(UTM, Affine(7, 0, 5e5, 0, -7, 5e6), 25, 25)
    view = read_view(label, grid=finer)
    assert view.values.dtype == np.uint16
    assert set(np.unique(view.values[0][view.valid])) <= {11, 211, 313}


def test_bands_come_in_the_order_asked_for_from_one_file_and_from_many(tmp_path):
    ingest(eurosat_ms(tmp_path / "ms"), tmp_path / "c.parquet")
    tile = read_catalogue(tmp_path / "c.parquet").to_pylist()[0]
    assert read_view(tile, bands=("B8A", "B02")).values.shape == (2, 64, 64)
    ingest(ssl4eo_v1(tmp_path / "ssl", places=1), tmp_path / "s.parquet")
    scenes = {row["product"]: row for row in read_catalogue(tmp_path / "s.parquet").to_pylist()}
    view = read_view(scenes["s2-l1c"], bands=("B10", "B02"))
    assert view.bands == ("B10", "B02")
    assert view.values.shape == (2, 12, 12)
    with pytest.raises(InputError, match=r"ssl4eo-v1/0000000/s2a/.*bands B10: not among"):
        read_view(scenes["s2-l2a"], bands=("B10",))


def test_a_file_that_is_gone_or_changed_is_named(tmp_path):
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    one = landscape(tmp_path / "a.tif", here, 16, bands=["B02", "B03"])
    with pytest.raises(InputError, match=r"a\.tif: has 1 bands; was it changed"):
        read_view(one)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(InputError, match=r"a\.tif: no such file"):
        read_view(one)


def test_an_image_without_a_position_is_read_as_its_bare_pixels(tmp_path):
    values = np.arange(1, 65, dtype=np.uint16).reshape(1, 8, 8)
    write_raster(tmp_path / "a.tif", values)
    bare = row(tmp_path / "a.tif", transform=(), shape=(8, 8), **{"proj:code": ""})
    np.testing.assert_allclose(read_view(bare).values, values * np.float32(1e-4))
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    placed = landscape(tmp_path / "b.tif", here, 8)
    with pytest.raises(InputError, match=r"a\.tif: has no position, and cannot be brought"):
        read_view(bare, grid=grid_of(placed))
    with pytest.raises(InputError, match=r"b\.tif: has a position, the grid wanted has none"):
        read_view(placed, grid=grid_of(bare))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(-20, 70),
    st.integers(-20, 70),
    st.integers(1, 40),
    st.sampled_from([10.0, 13.0, 47.0]),
)
def test_a_part_read_alone_is_that_part_of_the_whole(tmp_path_factory, top, left, side, pixel):
    folder = tmp_path_factory.mktemp("part")
    one = landscape(folder / "a.tif", Affine(10, 0, 5e5, 0, -10, 5e6), 60)
    grid = Grid(UTM, Affine(pixel, 0, 5e5 + 2.5, 0, -pixel, 5e6 - 1.5), 120, 120)
    whole = read_view(one, grid=grid.window(-20, -20, 140, 140))
    part = read_view(one, grid=grid.window(top, left, side, side))
    rows, columns = (slice(begin + 20, begin + 20 + side) for begin in (top, left))
    np.testing.assert_array_equal(part.valid, whole.valid[rows, columns])
    np.testing.assert_allclose(part.values, whole.values[:, rows, columns], atol=2e-6)


def test_a_part_of_a_large_image_costs_no_more_than_the_part(tmp_path):
    here = Affine(10, 0, 5e5, 0, -10, 5e6)
    path = tmp_path / "a.tif"
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    write_raster(path, np.ones((1, 8192, 8192), np.uint16), crs=UTM, transform=here, **blocks)
    large = row(path, transform=here, shape=(8192, 8192))
    tracemalloc.start()
    view = read_view(large, grid=grid_of(large).window(4000, 4000, 64, 64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert view.valid.all()
    assert peak < 4 << 20


def test_a_real_scene_of_both_levels_lines_up(shared, tmp_path):
    ingest(shared / "data" / "s1s2" / "ssl4eo-s12-v1", tmp_path / "c.parquet")
    rows = read_catalogue(tmp_path / "c.parquet").to_pylist()
    same_day = [r for r in rows if r["sensor"] == "s2" and r["datetime"].month == 6]
    top, surface = sorted(same_day, key=lambda r: r["product"])
    one = read_view(top, bands=("B08",))
    other = read_view(surface, grid=grid_of(top), bands=("B08",))
    valid = one.valid & other.valid
    assert valid.mean() > 0.9
    assert shift_of_peak(
        np.where(valid, one.values[0], 0), np.where(valid, other.values[0], 0)
    ) == (0, 0)
    assert 0 < one.values[0][valid].mean() < 1
