"""Pictures by name, a folder by index or pattern, Zarr files that are damaged."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from archives import of_synth, sat2map
from PIL import Image
from raster_factory import UTM_10M, write_raster

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.layouts.folder import FolderRules
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.verify import verify_table
from eo_contrast.catalog.views import read_view
from eo_contrast.errors import InputError
from eo_contrast.synth.sat2map import Sat2mapPlan, write_sat2map


def rows_of(path):
    return {row["id"]: row for row in read_catalogue(path).to_pylist()}


def picture(path, colour, size=(16, 16), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_photo_and_map_of_a_file_are_halves_of_one_place(tmp_path):
    ingest(sat2map(tmp_path / "root"), tmp_path / "c.parquet")
    rows = rows_of(tmp_path / "c.parquet")
    assert len(rows) == 4 and len({row["place_id"] for row in rows.values()}) == 2
    photo, map_ = (rows[f"sat2map/train/0212300211313121/{kind}"] for kind in ("rgb", "map"))
    assert (photo["split"], photo["label"], photo["product"]) == ("train", "water", "rgb")
    assert photo["proj:code"] == "EPSG:3857" and photo["proj:shape"] == [16, 16]
    np.testing.assert_allclose(read_view(photo).values[:, 0, 0] * 255, [10, 20, 30], rtol=1e-5)
    np.testing.assert_allclose(read_view(map_).values[:, 15, 15] * 255, [200, 210, 220], rtol=1e-5)
    number = rows["sat2map/test/7/rgb"]
    assert number["geometry"] is None and number["split"] == "test"
    assert verify_table(read_catalogue(tmp_path / "c.parquet")) == []


def test_what_synth_sat2map_writes_is_read_pixel_by_pixel(tmp_path):
    plan = Sat2mapPlan(pairs=3, size=32, seed=1, scene_size=32, ground_resolution=4.0)
    write_sat2map(tmp_path / "root", plan, lambda _done, _what="": None)
    told = ingest(tmp_path / "root", tmp_path / "c.parquet")
    assert told["layout"] == "sat2map" and told["skipped"] == []
    assert told["rows"] == 2 * (plan.pairs + plan.test_pairs)
    for row in rows_of(tmp_path / "c.parquet").values():
        whole = np.moveaxis(np.asarray(Image.open(row["href"])), -1, 0)
        half = whole[:, :, :32] if row["product"] == "rgb" else whole[:, :, 32:]
        np.testing.assert_allclose(read_view(row).values * 255, half, atol=1e-3)
        assert row["split"] in ("train", "test")


def test_folders_a_and_b_pair_by_name(tmp_path):
    root = tmp_path / "root"
    for folder, names in (("trainA", "12"), ("trainB", "23")):
        for name in names:
            picture(root / folder / f"{name}.png", (1, 2, 3))
    ingest(root, tmp_path / "c.parquet")
    rows = rows_of(tmp_path / "c.parquet")
    assert set(rows) == {
        "sat2map/train/1/rgb", "sat2map/train/2/rgb", "sat2map/train/2/map", "sat2map/train/3/map",
    }  # fmt: skip
    assert rows["sat2map/train/2/rgb"]["place_id"] == rows["sat2map/train/2/map"]["place_id"]


def test_a_picture_of_odd_width_is_no_pair(tmp_path):
    root = sat2map(tmp_path / "root")
    picture(root / "train" / "odd.png", (1, 2, 3), size=(33, 16))
    told = ingest(root, tmp_path / "c.parquet")
    assert told["rows"] == 4
    assert all("33 pixels wide" in one["reason"] for one in told["skipped"])


def test_of_several_zooms_the_deepest_counts_and_transparency_is_no_data(tmp_path):
    root = tmp_path / "root"
    picture(root / "3/4/2.png", (9, 9, 9))
    picture(root / "4/8/5.png", (50, 60, 70, 255), mode="RGBA")
    picture(root / "4/9/5.png", (0, 0, 0, 0), mode="RGBA")
    told = ingest(root, tmp_path / "c.parquet")
    assert (told["layout"], told["rows"]) == ("xyz", 2)
    assert "zoom 3" in told["skipped"][0]["reason"]
    rows = rows_of(tmp_path / "c.parquet")
    assert read_view(rows["xyz/4/8/5"]).valid.all()
    assert not read_view(rows["xyz/4/9/5"]).valid.any()
    west = rows["xyz/4/8/5"]["bbox"]
    assert west["xmin"] == pytest.approx(0) and west["xmax"] == pytest.approx(22.5)


def named_rasters(root):
    for place in ("a", "b"):
        for date in ("20210605", "20210905"):
            for band in ("B2", "B8A"):
                path = root / place / f"{date}_{band}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_raster(path, np.full((1, 8, 8), 700, np.uint16), **UTM_10M)
    return root


def test_a_pattern_tells_places_dates_and_bands(tmp_path):
    rules = FolderRules("{place}/{date}_{band}.tif", product="s2-l2a")
    out = tmp_path / "c.parquet"
    told = ingest(named_rasters(tmp_path / "root"), out, layout="folder", rules=rules)
    assert (told["rows"], told["places"]) == (4, 2)
    row = rows_of(out)["folder/a/20210605/s2-l2a"]
    assert row["bands"] == ["B02", "B8A"]
    assert row["datetime"] == datetime(2021, 6, 5, tzinfo=UTC)
    np.testing.assert_allclose(read_view(row).values, 0.07, rtol=1e-5)


def test_names_that_do_not_fit_are_skipped_and_unknown_fields_refused(tmp_path):
    root = named_rasters(tmp_path / "root")
    rules = FolderRules("a/{date}_{band}.tif", product="s2-l2a")
    told = ingest(root, tmp_path / "c.parquet", layout="folder", rules=rules)
    assert told["rows"] == 2 and len(told["skipped"]) == 4
    with pytest.raises(InputError, match=r"\{when\} is unknown; known ones are \{place\}"):
        ingest(root, tmp_path / "d.parquet", layout="folder", rules=FolderRules("{when}.tif"))


def test_without_a_product_a_raster_means_nothing(tmp_path):
    with pytest.raises(InputError, match="its product is not told; give one of s2-l1c"):
        ingest(named_rasters(tmp_path / "root"), tmp_path / "c.parquet", layout="folder")


def test_an_index_in_text_tells_what_files_do_not(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    write_raster(root / "x.tif", np.full((2, 8, 8), 0.25, np.float32), **UTM_10M)
    write_raster(root / "y.tif", np.full((1, 8, 8), 3, np.uint8), **UTM_10M)
    (root / "index.csv").write_text(
        "file,place,product,date,unit,split\n"
        "x.tif,p,s1-rtc,2021-06-05T05:00:00,linear,train\n"
        "y.tif,p,label,,,train\n"
        "z.tif,p,label,,,train\n"
        "x.tif,p,sentinel,,,\n"
    )
    told = ingest(root, tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("folder", 2, 1)
    assert {one["reason"].split(":")[-1].strip()[:12] for one in told["skipped"]} == {
        "No such file", "unknown; giv",
    }  # fmt: skip
    rows = rows_of(tmp_path / "c.parquet")
    np.testing.assert_allclose(read_view(rows["folder/x.tif"]).values, -6.0206, atol=1e-4)
    assert rows["folder/x.tif"]["bands"] == ["VV", "VH"]
    assert read_view(rows["folder/y.tif"]).values.max() == 3


def test_rules_of_a_folder_are_refused_for_other_layouts(tmp_path):
    with pytest.raises(InputError, match="--pattern, --product, --bands and --unit"):
        ingest(sat2map(tmp_path / "root"), tmp_path / "c.parquet", rules=FolderRules(product="rgb"))


def test_a_damaged_zarr_file_is_skipped_and_the_rest_goes_on(tmp_path):
    root = of_synth("ssl4eo-v1.1")(tmp_path / "root")
    path = next(root.glob("train/S2L1C/*.zip"))
    path.write_bytes(path.read_bytes()[:500])
    told = ingest(root, tmp_path / "c.parquet")
    assert told["rows"] == 2 * 3
    assert "not readable as a Zarr archive" in told["skipped"][0]["reason"]


def test_the_zarr_archive_has_the_same_bytes_twice(tmp_path):
    one, other = (of_synth("ssl4eo-v1.1")(tmp_path / name) for name in "ab")
    for path in one.rglob("*.zip"):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()
