"""An archive becomes one catalogue, whatever is broken in it."""

from __future__ import annotations

import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path

import archives
import geopandas
import pytest
from archives import eurosat_ms, eurosat_rgb, ssl4eo_v1

from eo_contrast.bands import L1C, L2A, ORDERS, VV_VH
from eo_contrast.catalog.describe import describe_catalogue
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.layouts import LAYOUTS, find_layout
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.errors import InputError
from eo_contrast.files import locked


def rows(path: Path) -> list[dict]:
    return read_catalogue(path).to_pylist()


def test_eurosat_tiles_have_a_class_bands_by_name_and_a_footprint(tmp_path):
    root = eurosat_ms(tmp_path / "ms")
    told = ingest(root, tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"], told["skipped"]) == (
        "eurosat-ms",
        4,
        4,
        [],
    )
    first = rows(tmp_path / "c.parquet")[0]
    assert first["id"] == "eurosat-ms/Forest_1"
    assert (first["label"], first["product"]) == ("Forest", "s2-l1c")
    assert first["bands"] == list(ORDERS["eurosat-ms"])
    assert (first["scale"], first["offset"], first["nodata"]) == (1e-4, 0, 0)
    assert first["proj:code"] == "EPSG:32633"
    assert first["proj:transform"] == [10, 0, 5e5 + 640, 0, -10, 5e6]
    assert first["proj:shape"] == [64, 64]
    assert first["href"] == str(root.resolve() / "Forest" / "Forest_1.tif")
    assert first["datetime"] is None


def test_pictures_without_a_position_have_no_footprint_and_keep_their_split(tmp_path):
    ingest(eurosat_rgb(tmp_path / "rgb"), tmp_path / "c.parquet")
    forest, river = rows(tmp_path / "c.parquet")
    assert (forest["split"], river["split"]) == ("train", "test")
    assert forest["geometry"] is None
    assert forest["bbox"] is None
    assert forest["bands"] == ["red", "green", "blue"]


def test_scenes_of_one_place_share_its_name_and_have_dates(tmp_path):
    told = ingest(ssl4eo_v1(tmp_path / "ssl"), tmp_path / "c.parquet", layout="ssl4eo-v1")
    assert (told["rows"], told["places"]) == (6, 2)
    one = [row for row in rows(tmp_path / "c.parquet") if row["place_id"] == "ssl4eo-v1/0000001"]
    by_product = {row["product"]: row for row in one}
    assert by_product["s2-l1c"]["datetime"] == datetime(2020, 6, 4, 5, 46, 39, tzinfo=UTC)
    assert by_product["s1-grd"]["datetime"] == datetime(2020, 6, 7, 1, 8, tzinfo=UTC)
    assert by_product["s1-grd"]["bands"] == list(VV_VH)
    assert by_product["s2-l1c"]["bands"] == list(L1C)
    assert by_product["s2-l2a"]["bands"] == list(L2A)
    # The finest band's grid, and files in the order of the bands.
    assert by_product["s2-l1c"]["proj:shape"] == [12, 12]
    assert by_product["s2-l1c"]["files"][8:11] == ["B8A.tif", "B9.tif", "B10.tif"]
    assert Path(by_product["s2-l1c"]["href"], "B8A.tif").is_file()


@pytest.mark.parametrize(
    ("facts", "offset"),
    [
        ({"PROCESSING_BASELINE": "02.09"}, 0),
        ({"PROCESSING_BASELINE": "04.00"}, -1000),
        ({"PROCESSING_BASELINE": "04.00", "system:id": "COPERNICUS/S2_HARMONIZED/x"}, 0),
        ({}, 0),
    ],
)
def test_the_offset_of_later_baselines_is_known_a_row(tmp_path, facts, offset):
    ingest(ssl4eo_v1(tmp_path / "ssl", places=1, facts=facts), tmp_path / "c.parquet")
    found = {row["product"]: row["offset"] for row in rows(tmp_path / "c.parquet")}
    assert found == {"s1-grd": 0, "s2-l1c": offset, "s2-l2a": offset}


def test_broken_files_are_listed_with_a_reason_and_the_rest_goes_on(tmp_path):
    root = ssl4eo_v1(tmp_path / "ssl")
    scenes = sorted(root.glob("s2c/*/*"))
    (scenes[0] / "B8A.tif").unlink()
    (scenes[1] / "B2.tif").write_bytes(b"no raster")
    next(root.glob("s2a/0000001/*/metadata.json")).write_text("{")
    told = ingest(root, tmp_path / "c.parquet")
    reasons = [one["reason"] for one in told["skipped"]]
    assert told["rows"] == 3
    assert sorted(len(reason) > 0 for reason in reasons) == [True] * 3
    assert any("B8A" in reason and "missing" in reason for reason in reasons)
    assert any("B2.tif" in reason for reason in reasons)
    assert any("metadata.json" in reason for reason in reasons)


def test_a_tile_of_other_bands_is_skipped_and_nothing_is_written_when_none_is_left(tmp_path):
    root = eurosat_ms(tmp_path / "ms", bands=12)
    with pytest.raises(InputError, match="12 bands, 13 expected"):
        ingest(root, tmp_path / "c.parquet")
    assert not list(tmp_path.glob("*.parquet")) and not list(tmp_path.glob(".*"))


def test_append_reads_only_what_is_new_or_changed(tmp_path):
    root, out = eurosat_ms(tmp_path / "ms", tiles=1), tmp_path / "c.parquet"
    ingest(root, out)
    whole = out.read_bytes()
    assert ingest(root, out, append=True)["added"] == 0
    assert out.read_bytes() == whole
    eurosat_ms(root, tiles=2)  # writes the first anew, too
    os.utime(root / "Forest" / "Forest_1.tif", ns=(1, 1))
    told = ingest(root, out, append=True)
    assert (told["added"], told["rows"]) == (4, 4)
    anew = tmp_path / "anew.parquet"
    ingest(root, anew)
    assert anew.read_bytes() == out.read_bytes()


def test_two_archives_share_a_catalogue(tmp_path):
    out = tmp_path / "c.parquet"
    ingest(eurosat_ms(tmp_path / "ms"), out)
    told = ingest(ssl4eo_v1(tmp_path / "ssl"), out, append=True)
    assert told["rows"] == 4 + 6
    facts = describe_catalogue(out)
    assert facts["sensors"] == {"s1": 2, "s2": 8}
    assert facts["layouts"] == {"eurosat-ms": 4, "ssl4eo-v1": 6}
    assert facts["dates"][0].startswith("2020-06-04")
    assert facts["undated"] == 4
    west, _, east, _ = facts["bbox"]
    assert west < 16 < 73 < east


def test_the_bytes_do_not_depend_on_threads(tmp_path):
    root = ssl4eo_v1(tmp_path / "ssl", places=3)
    for threads in (1, 5):
        ingest(root, tmp_path / f"{threads}.parquet", threads=threads)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "5.parquet").read_bytes()


def test_geopandas_opens_it_with_footprints(tmp_path):
    ingest(eurosat_ms(tmp_path / "ms"), tmp_path / "c.parquet")
    frame = geopandas.read_parquet(tmp_path / "c.parquet")
    assert len(frame) == 4
    assert frame.crs == "OGC:CRS84"
    assert frame.geometry.is_valid.all()
    area = frame.to_crs("EPSG:32633").area
    assert ((area - 640.0**2).abs() < 100).all()


def test_an_existing_catalogue_is_not_replaced_unasked(tmp_path):
    root, out = eurosat_ms(tmp_path / "ms"), tmp_path / "c.parquet"
    ingest(root, out)
    with pytest.raises(InputError, match="already exists"):
        ingest(root, out)
    assert ingest(root, out, overwrite=True)["rows"] == 4


def _hold(path: Path, held, done) -> None:
    with locked(path):
        held.set()
        done.wait(60)


def test_of_two_at_once_the_second_says_so_and_a_killed_one_holds_nothing(tmp_path):
    root, out = eurosat_ms(tmp_path / "ms"), tmp_path / "c.parquet"
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(out, held, done))
    other.start()
    assert held.wait(60)
    with pytest.raises(InputError, match=r"c\.parquet: another run is writing it"):
        ingest(root, out)
    other.kill()
    other.join()
    assert ingest(root, out)["rows"] == 4
    assert not list(tmp_path.glob(".*"))


ARCHIVES = {
    "eurosat-ms": archives.eurosat_ms,
    "eurosat-rgb": archives.eurosat_rgb,
    "ssl4eo-v1": archives.ssl4eo_v1,
    "bigearthnet-v1": archives.bigearthnet_v1,
    "bigearthnet-v2": archives.bigearthnet_v2,
    "seco": archives.seco,
    "sen12ms": lambda root: archives.roi_patches(root, "ROIs1158_spring", {"s1": 2, "s2": 13}),
    "dfc2020": lambda root: archives.roi_patches(root, "ROIs0000_test", {"s1": 2, "dfc": 1}),
    "s2-safe": lambda root: archives.s2_safe(root, "L2A"),
    "s1-rtc": archives.s1_rtc,
    "terramesh": archives.terramesh,
    "s1-grd": archives.of_synth("s1-grd"),
    "ssl4eo-v1.1": archives.of_synth("ssl4eo-v1.1"),
    "so2sat": archives.of_synth("so2sat"),
    "sat2map": archives.sat2map,
    "cropharvest": archives.cropharvest,
    "worldcereal": archives.worldcereal,
    "xyz": archives.of_synth("xyz"),
    "folder": archives.of_synth("folder"),
}


def test_every_layout_is_tried_here():
    assert set(ARCHIVES) == set(LAYOUTS)


@pytest.mark.parametrize("layout", ARCHIVES)
def test_a_layout_is_found_by_looking_and_no_other_fits(tmp_path, layout):
    ARCHIVES[layout](tmp_path / "root")
    assert find_layout(tmp_path / "root", "auto")[0] == layout


@pytest.mark.parametrize(
    ("make", "layout", "says"),
    [
        (lambda root: None, "auto", "no such folder"),
        (lambda root: root.mkdir(), "auto", "is empty"),
        (lambda root: eurosat_ms(root), "eurosat", "--layout eurosat: unknown"),
        (lambda root: eurosat_ms(root), "ssl4eo-v1", "does not look like ssl4eo-v1"),
        (lambda root: (root / "notes").mkdir(parents=True), "auto", "looks like no layout"),
    ],
)
def test_a_root_that_will_not_do_is_named(tmp_path, make, layout, says):
    make(tmp_path / "root")
    with pytest.raises(InputError, match=says):
        ingest(tmp_path / "root", tmp_path / "c.parquet", layout=layout)
    assert not (tmp_path / "c.parquet").exists()


@pytest.mark.parametrize(
    ("folder", "layout", "count", "places", "crs"),
    [
        ("eurosat-rgb", "eurosat-rgb", 3000, 3000, {"none": 3000}),
        ("s1s2/ssl4eo-s12-v1", "ssl4eo-v1", 6, 1, {"EPSG:4326": 6}),
    ],
)
def test_real_archives(shared, tmp_path, folder, layout, count, places, crs):
    told = ingest(shared / "data" / folder, tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == (layout, count, places)
    assert told["skipped"] == []
    assert describe_catalogue(tmp_path / "c.parquet")["crs"] == crs
