"""SEN12MS, DFC2020 and SeCo: what their names tell."""

from __future__ import annotations

import numpy as np
from archives import roi_patches, seco

from eo_contrast.bands import L1C, L2A
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view


def rows(path) -> list[dict]:
    return read_catalogue(path).to_pylist()


def test_patches_of_sen12ms_pair_radar_optics_and_labels(tmp_path):
    root = roi_patches(tmp_path / "sen12ms", "ROIs1158_spring", {"s1": 2, "s2": 13, "lc": 4})
    told = ingest(root, tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("sen12ms", 6, 2)
    found = {row["id"]: row for row in rows(tmp_path / "c.parquet")}
    optical = found["sen12ms/ROIs1158_spring_s2_1_p30"]
    assert optical["place_id"] == "sen12ms/ROIs1158_spring_1_p30"
    assert optical["product"] == "s2-l1c"
    assert optical["bands"] == list(L1C)
    assert found["sen12ms/ROIs1158_spring_lc_1_p30"]["bands"][0] == "igbp"
    assert {row["split"] for row in found.values()} == {""}


def test_a_patch_known_to_be_broken_is_skipped(tmp_path):
    root = roi_patches(tmp_path / "sen12ms", "ROIs1868_summer", {"s1": 2}, scene=146)
    folder = root / "ROIs1868_summer" / "s1_146"
    (folder / "ROIs1868_summer_s1_146_p30.tif").rename(folder / "ROIs1868_summer_s1_146_p202.tif")
    told = ingest(root, tmp_path / "c.parquet")
    assert told["rows"] == 1
    assert "known to be broken" in told["skipped"][0]["reason"]


def test_dfc2020_keeps_the_contests_splits(tmp_path):
    for region in ("ROIs0000_validation", "ROIs0000_test"):
        roi_patches(tmp_path / "dfc", region, {"s1": 2, "s2": 13, "lc": 4, "dfc": 1}, scene=0)
    told = ingest(tmp_path / "dfc", tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("dfc2020", 16, 4)
    splits = {row["id"].split("_")[1]: row["split"] for row in rows(tmp_path / "c.parquet")}
    assert splits == {"validation": "val", "test": "test"}


def test_seco_has_dates_and_bytes_that_are_shares_of_full_reflectance(tmp_path):
    told = ingest(seco(tmp_path / "seco"), tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("seco", 4, 2)
    first, second, *_ = rows(tmp_path / "c.parquet")
    assert first["place_id"] == second["place_id"] == "seco/000000"
    assert (second["datetime"] - first["datetime"]).days == 92
    assert first["bands"] == list(L2A)
    view = read_view(first, bands=("B04", "B8A"))
    np.testing.assert_allclose(view.values, 0.2, rtol=1e-6)


def test_real_terramesh_has_four_places_of_six_images_in_pairs_on_one_grid(shared, tmp_path):
    told = ingest(shared / "data" / "terramesh", tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("terramesh", 20, 4)
    rows = read_catalogue(tmp_path / "c.parquet").to_pylist()
    of_place = [row for row in rows if row["place_id"] == "terramesh/609U_541L_3_0"]
    products = {row["product"] for row in of_place}
    assert products == {"s1-rtc", "s2-l1c", "s2-l2a", "rgb", "label"}
    assert len({tuple(row["proj:shape"]) for row in of_place}) == 1
    radar = next(row for row in of_place if row["sensor"] == "s1")
    assert radar["unit"] == "dB"
    assert -40 < read_view(radar).values.mean() < 0
