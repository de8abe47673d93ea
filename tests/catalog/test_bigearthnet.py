"""Patches of BigEarthNet, both versions: bands, partners, labels, splits."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import OPTICAL_PATCH, RADAR_PATCH, bigearthnet_v1, bigearthnet_v2

from eo_contrast.bands import L2A
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.verify import verify_table
from eo_contrast.errors import InputError


def by_sensor(path) -> dict[str, dict]:
    return {row["sensor"]: row for row in read_catalogue(path).to_pylist()}


def test_optical_radar_and_map_of_a_patch_are_one_place(tmp_path):
    told = ingest(bigearthnet_v2(tmp_path / "ben"), tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("bigearthnet-v2", 3, 1)
    found = by_sensor(tmp_path / "c.parquet")
    assert found["s2"]["bands"] == list(L2A)
    assert found["s2"]["proj:shape"] == [24, 24]
    assert found["s2"]["offset"] == 0
    assert found["label"]["bands"] == ["corine"]
    for row in found.values():
        assert row["split"] == "val"
        assert row["label"] == "Arable land;Pastures"
    assert verify_table(read_catalogue(tmp_path / "c.parquet")) == []


def test_without_the_table_patches_have_neither_label_nor_split(tmp_path):
    root = bigearthnet_v2(tmp_path / "ben")
    (root / "metadata.parquet").unlink()
    ingest(root, tmp_path / "c.parquet")
    found = by_sensor(tmp_path / "c.parquet")
    assert {row["split"] for row in found.values()} == {""}
    assert {row["place_id"] for row in found.values()} == {"bigearthnet-v2/33UUP_26_57"}


def test_a_table_of_other_columns_is_refused_by_name(tmp_path):
    root = bigearthnet_v2(tmp_path / "ben")
    pq.write_table(pa.table({"patch_id": [OPTICAL_PATCH]}), root / "metadata.parquet")
    with pytest.raises(InputError, match=r"metadata\.parquet: has no columns s1_name labels split"):
        ingest(root, tmp_path / "c.parquet")


def test_v1_pairs_by_the_partner_that_the_radar_patch_names(tmp_path):
    ingest(bigearthnet_v1(tmp_path / "ben"), tmp_path / "c.parquet")
    found = by_sensor(tmp_path / "c.parquet")
    assert found["s1"]["place_id"] == found["s2"]["place_id"]
    assert found["s1"]["id"] == f"bigearthnet-v1/{RADAR_PATCH}"
    assert found["s2"]["label"] == "Pastures"


def test_a_patch_that_lacks_a_band_is_skipped(tmp_path):
    root = bigearthnet_v2(tmp_path / "ben")
    next(root.glob("BigEarthNet-S2/*/*/*_B8A.tif")).unlink()
    told = ingest(root, tmp_path / "c.parquet")
    assert told["rows"] == 2
    assert told["skipped"][0]["reason"] == "bands B8A are missing"


@pytest.mark.parametrize("folder", ["bigearthnet-v1", "s1s2/bigearthnet-v2"])
def test_real_patches(shared, tmp_path, folder):
    told = ingest(shared / "data" / folder, tmp_path / "c.parquet")
    assert told["skipped"] == []
    # The three of v2 are three different patches: nothing may be paired.
    assert told["places"] == told["rows"] == (1 if folder == "bigearthnet-v1" else 3)
