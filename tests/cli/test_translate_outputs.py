"""What ``translate`` makes besides a COG, and of what part: formats, polygons, areas, STAC."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pystac
import pytest
import rasterio
import shapely
from click.testing import CliRunner, Result
from rio_cogeo import cog_validate

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.cli import main

PARK, WATER = (205, 247, 201), (182, 208, 209)  # of the palette osm16


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["translate", *map(str, words), "--model", "identity"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    values = np.empty((3, 700, 600), np.uint8)
    values[:] = np.array(PARK, np.uint8)[:, None, None]
    values[:, 100:400, 50:300] = np.array(WATER, np.uint8)[:, None, None]
    return write_raster(tmp_path / "a.tif", values, **UTM_10M)


def area(path: Path, *corners: tuple[float, float]) -> Path:
    """One polygon in the raster's own CRS."""
    wkb = np.array([shapely.to_wkb(shapely.Polygon(corners))], dtype=object)
    pyogrio.raw.write(path, wkb, [], [], geometry_type="Polygon", crs="EPSG:32633")
    return path


@pytest.mark.parametrize("options", [[], ["--compat"]])
def test_a_cog_is_valid_without_a_warning(tmp_path, source, options):
    assert run(source, tmp_path / "b.tif", *options).exit_code == 0
    assert cog_validate(tmp_path / "b.tif", strict=True, quiet=True) == (True, [], [])
    with rasterio.open(tmp_path / "b.tif") as dataset:
        compression = dataset.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"]
    assert compression == ("DEFLATE" if options else "ZSTD")


def test_a_cog_with_tags_of_own_domains_is_valid_too(tmp_path):
    def edit(dataset):
        dataset.update_tags(ns="OWN", what="ever & <more>")
        dataset.update_tags(1, wavelength="490")

    source = write_raster(tmp_path / "a.tif", random_values(2, 700, 600), edit=edit, **UTM_10M)
    assert run(source, tmp_path / "b.tif").exit_code == 0
    assert cog_validate(tmp_path / "b.tif", strict=True, quiet=True) == (True, [], [])
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.tags(ns="OWN") == {"what": "ever & <more>"}
        assert dataset.tags(1) == {"wavelength": "490"}


def test_the_stac_item_says_where_the_raster_is(tmp_path, source):
    assert run(source, tmp_path / "b.tif").exit_code == 0
    item = pystac.Item.from_file(str(tmp_path / "b.stac.json"))
    assert item.properties["proj:code"] == "EPSG:32633"
    assert item.properties["proj:shape"] == [700, 600]
    assert [band["name"] for band in item.assets["data"].extra_fields["bands"]] == ["1", "2", "3"]
    west, south, east, north = item.bbox
    assert 15 <= west < east < 15.1
    assert 48.6 < south < north < 48.8


def test_png_xyz_mbtiles_and_pmtiles(tmp_path, source):
    for name, kind in {"b.png": "png", "tiles": "xyz", "b.mbtiles": "mbtiles"}.items():
        result = run(source, tmp_path / name, "--format", kind)
        assert result.exit_code == 0, result.stderr
    assert run(source, tmp_path / "b.pmtiles", "--format", "pmtiles").exit_code == 0
    with rasterio.open(tmp_path / "b.png") as picture, rasterio.open(source) as original:
        assert np.array_equal(picture.read()[:3], original.read())
        assert picture.transform == original.transform
        assert picture.crs == original.crs
    assert list((tmp_path / "tiles").glob("*/*/*.png"))
    with sqlite3.connect(tmp_path / "b.mbtiles") as database:
        assert database.execute("select count(*) from tiles").fetchone()[0] > 3
    assert (tmp_path / "b.pmtiles").read_bytes()[:7] == b"PMTiles"


def test_a_name_that_does_not_fit_the_format_is_refused(tmp_path, source):
    result = run(source, tmp_path / "b.tif", "--format", "mbtiles")
    assert result.exit_code == 2
    assert "give a name that ends in .mbtiles" in result.stderr


def test_polygons_of_the_palette_s_classes(tmp_path, source):
    words = ["--vector", tmp_path / "b.gpkg", "--palette", "osm16"]
    result = run(source, tmp_path / "b.tif", *words)
    assert result.exit_code == 0, result.stderr
    _, _, wkb, fields = pyogrio.raw.read(tmp_path / "b.gpkg")
    names, areas = fields[0], fields[1]
    assert sorted(names) == ["park", "water"]
    assert areas[list(names).index("water")] == pytest.approx(300 * 250 * 100, rel=0.01)
    assert shapely.is_valid(shapely.from_wkb(wkb)).all()


def test_an_area_cuts_out_its_rectangle_and_masks_the_rest(tmp_path, source):
    left, top = 500_000, 5_400_000
    corners = ((left + 1000, top - 1000), (left + 3000, top - 1000), (left + 1000, top - 3000))
    aoi = area(tmp_path / "aoi.gpkg", *corners)
    result = run(source, tmp_path / "b.tif", "--aoi", aoi)
    assert result.exit_code == 0, result.stderr
    with rasterio.open(tmp_path / "b.tif") as part, rasterio.open(source) as whole:
        # The rows and columns that hold the centre of a pixel inside: not the tips.
        assert (part.height, part.width) == (199, 199)
        assert part.transform.c == left + 1000
        inside = part.dataset_mask() > 0
        assert inside.sum() == pytest.approx(200 * 200 / 2, rel=0.02)
        expected = whole.read(window=((100, 299), (100, 299)))
        assert np.array_equal(part.read()[:, inside], expected[:, inside])


def test_an_area_elsewhere_or_a_raster_without_a_crs_is_refused(tmp_path, source):
    aoi = area(tmp_path / "aoi.gpkg", (0, 0), (1000, 0), (0, 1000))
    outside = run(source, tmp_path / "b.tif", "--aoi", aoi)
    assert outside.exit_code == 2
    assert outside.stderr.count("\n") == 1
    unplaced = write_raster(tmp_path / "c.tif", random_values(3, 20, 20))
    nowhere = run(unplaced, tmp_path / "b.tif", "--aoi", aoi)
    assert nowhere.exit_code == 2
    assert "CRS" in nowhere.stderr
    assert not (tmp_path / "b.tif").exists()


def test_bands_are_chosen_by_number_and_by_name(tmp_path):
    def edit(dataset):
        dataset.descriptions = ("B2", "B3", "B4", "B8")

    values = random_values(4, 40, 30, "uint16")
    source = write_raster(tmp_path / "a.tif", values, edit=edit, **UTM_10M)
    assert run(source, tmp_path / "b.tif", "--bands", "B8,1").exit_code == 0
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.descriptions == ("B8", "B2")
        assert np.array_equal(dataset.read(), values[[3, 0]])


def test_a_catalogue_names_the_rasters(tmp_path, source):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"href": ["a.tif", "a.tif"]}), tmp_path / "c.parquet")
    result = run(tmp_path / "c.parquet", tmp_path / "maps", "--json")
    assert result.exit_code == 0, result.stderr
    assert len(json.loads(result.stdout)["files"]) == 1
    assert (tmp_path / "maps" / "a.tif").exists()


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(tmp_path, source):
    result = run(source, tmp_path / "b.tif", "--dry-run", "--json")
    expected = json.loads(result.stdout)["expected"]
    assert set(expected) == {"seconds", "memory_mib", "disk_mib"}
    assert expected["disk_mib"] > 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
