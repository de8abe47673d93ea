"""Sentinel products as the archives hand them out: SAFE of both levels, radar on a map grid."""

from __future__ import annotations

import numpy as np
import pytest
from archives import SAFE, s1_rtc, s2_safe

from eo_contrast.bands import L1C, L2A
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.errors import InputError


def rows(path) -> list[dict]:
    return read_catalogue(path).to_pylist()


def test_products_of_both_levels_are_one_place_and_two_products(tmp_path):
    for level in SAFE:
        s2_safe(tmp_path / "safe", level)
    told = ingest(tmp_path / "safe", tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("s2-safe", 2, 1)
    top, surface = rows(tmp_path / "c.parquet")
    assert (top["product"], surface["product"]) == ("s2-l1c", "s2-l2a")
    assert (top["bands"], surface["bands"]) == (list(L1C), list(L2A))
    assert top["s2:processing_baseline"] == "04.00"
    # Of the bands that level 2A has in two resolutions, the sensor's own.
    assert surface["files"][1].endswith("R10m/T31TDH_20220126T105229_B02_10m.jp2")
    assert surface["files"][0].endswith("R60m/T31TDH_20220126T105229_B01_60m.jp2")


@pytest.mark.parametrize("level", SAFE)
@pytest.mark.parametrize(("offset", "expected"), [(-1000, -1000), (-500, -500), (None, -1000)])
def test_the_offset_is_the_metadatas_else_that_of_the_baseline(tmp_path, level, offset, expected):
    ingest(s2_safe(tmp_path / "safe", level, offset=offset), tmp_path / "c.parquet")
    (row,) = rows(tmp_path / "c.parquet")
    assert row["offset"] == expected
    view = read_view(row, bands=("B02", "B8A"))
    assert view.values.shape == (2, 120, 120)
    np.testing.assert_allclose(view.values[0], (2010 + expected) / 1e4, rtol=1e-6)
    np.testing.assert_allclose(view.values[1][view.valid], (2020 + expected) / 1e4, rtol=1e-6)


def test_a_product_without_its_metadata_is_skipped_and_another_goes_on(tmp_path):
    for level in SAFE:
        s2_safe(tmp_path / "safe", level)
    (tmp_path / "safe" / SAFE["L1C"] / "MTD_MSIL1C.xml").unlink()
    told = ingest(tmp_path / "safe", tmp_path / "c.parquet")
    assert told["rows"] == 1
    assert "no MTD_MSIL1C.xml" in told["skipped"][0]["reason"]


def test_damaged_metadata_are_named(tmp_path):
    s2_safe(tmp_path / "safe", "L1C")
    (tmp_path / "safe" / SAFE["L1C"] / "MTD_MSIL1C.xml").write_text("<a>")
    with pytest.raises(InputError, match=r"MTD_MSIL1C\.xml is not readable as XML"):
        ingest(tmp_path / "safe", tmp_path / "c.parquet")


@pytest.mark.parametrize(
    ("end", "product", "unit"), [("rtc", "s1-rtc", "linear"), ("db", "s1-grd", "dB")]
)
def test_polarisations_of_one_scene_are_one_image(tmp_path, end, product, unit):
    told = ingest(s1_rtc(tmp_path / "s1", end), tmp_path / "c.parquet")
    assert (told["layout"], told["rows"]) == ("s1-rtc", 1)
    (row,) = rows(tmp_path / "c.parquet")
    assert (row["product"], row["unit"]) == (product, unit)
    assert row["bands"] == ["VV", "VH"]
    assert row["place_id"] == "s1/x0001"
    view = read_view(row, bands=("VH",))
    np.testing.assert_allclose(view.values, -20 if unit == "linear" else 0.01, atol=1e-5)


@pytest.mark.parametrize(
    ("folder", "bands", "crs"),
    [("s2-l1c-safe", ["B01"], "EPSG:32631"), ("s1-grd-geocoded", ["VV"], "EPSG:32631")],
)
def test_real_products(shared, tmp_path, folder, bands, crs):
    ingest(shared / "data" / "s1s2" / folder, tmp_path / "c.parquet")
    (row,) = rows(tmp_path / "c.parquet")
    assert (row["bands"], row["proj:code"], row["offset"]) == (bands, crs, 0)
    view = read_view(row)
    # 41 % of the optical tile lie beyond the swath.
    assert 0.5 < view.valid.mean() <= 1
    assert np.isfinite(view.values).all()
