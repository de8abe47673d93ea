"""What is wrong with a catalogue is found, kind by kind."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from archives import eurosat_ms, ssl4eo_v1, write_band
from click.testing import CliRunner

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue, write_catalogue
from eo_contrast.catalog.verify import verify_table
from eo_contrast.cli.catalog import command


@pytest.fixture
def catalogue(tmp_path):
    ingest(ssl4eo_v1(tmp_path / "ssl"), tmp_path / "c.parquet")
    return tmp_path / "c.parquet"


def with_column(table, name, values):
    index = table.column_names.index(name)
    return table.set_column(index, table.schema.field(name), pa.array(values))


def kinds(table) -> list[str]:
    return [problem.kind for problem in verify_table(table)]


def test_a_whole_archive_has_no_problem(catalogue):
    assert verify_table(read_catalogue(catalogue)) == []


def test_a_file_that_is_gone_or_changed_is_named(catalogue, tmp_path):
    band = next(tmp_path.glob("ssl/s1/0000000/*/VH.tif"))
    write_band(band, "B1", west=73.3)
    other = next(tmp_path.glob("ssl/s2a/0000001/*/B8A.tif"))
    other.unlink()
    changed, missing = verify_table(read_catalogue(catalogue))
    assert (changed.kind, missing.kind) == ("changed-file", "missing-file")
    assert str(other) in missing.message
    assert missing.rows[0].startswith("ssl4eo-v1/0000001/s2a/")


def test_a_place_in_two_splits_and_ground_in_two_splits_leak(catalogue):
    table = read_catalogue(catalogue)
    splits = ["train", "test", *["train"] * 4]
    assert "place-in-two-splits" in kinds(with_column(table, "split", splits))
    by_sensor = {"s1": "train", "s2": "test"}
    apart = with_column(table, "place_id", table.column("id").to_pylist())
    leaking = with_column(apart, "split", [by_sensor[s] for s in table["sensor"].to_pylist()])
    assert kinds(leaking) == ["overlap-of-splits"]


def test_images_of_one_place_that_lie_apart_are_no_pair(catalogue):
    table = read_catalogue(catalogue)
    assert kinds(with_column(table, "place_id", ["one"] * 6)) == ["pair"]


def test_bands_of_another_product_or_order_are_found(catalogue):
    table = read_catalogue(catalogue)
    bands = table.column("bands").to_pylist()
    swapped = [list(reversed(bands[0])), *bands[1:]]
    assert kinds(with_column(table, "bands", swapped)) == ["bands"]
    products = ["s2-l2a" if p == "s2-l1c" else p for p in table["product"].to_pylist()]
    assert "bands" in kinds(with_column(table, "product", products))


def test_split_then_verify_finds_nothing(tmp_path):
    ingest(eurosat_ms(tmp_path / "ms", tiles=30), tmp_path / "c.parquet")
    options = ["--fractions", "0.5,0,0.5", "--block-km", "1", "--guard-km", "0.1"]
    out = str(tmp_path / "s.parquet")
    ran = CliRunner().invoke(
        command, ["split", str(tmp_path / "c.parquet"), "--out", out, *options, "--json"]
    )
    counts = json.loads(ran.stdout)
    assert sum(counts.values()) == 60
    assert counts["train"] > 0 and counts["test"] > 0 and counts["guard"] > 0
    told = CliRunner().invoke(command, ["verify", out, "--json"])
    assert (told.exit_code, json.loads(told.stdout)) == (0, {"ok": True, "problems": []})


def test_verify_ends_with_1_when_something_is_wrong(catalogue):
    table = read_catalogue(catalogue)
    write_catalogue(catalogue, with_column(table, "place_id", ["one"] * 6))
    told = CliRunner().invoke(command, ["verify", str(catalogue), "--json"])
    assert told.exit_code == 1
    assert json.loads(told.stdout)["problems"][0]["kind"] == "pair"
