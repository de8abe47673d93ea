"""What tells two areas apart: everything that says what they are, and not where they lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine

from eo_contrast.errors import InputError
from eo_contrast.raster.area import load_area
from eo_contrast.raster.area_digest import area_digest
from eo_contrast.raster.meta import RasterMeta


def written(path: Path, side: float = 200, driver: str | None = None) -> Path:
    """A square in UTM, the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    square = shapely.box(500_000, 5_400_000 - side, 500_000 + side, 5_400_000)
    wkb = np.array([shapely.to_wkb(square)], dtype=object)
    choices = {"geometry_type": "Polygon", "crs": "EPSG:32633", "driver": driver}
    pyogrio.raw.write(path, wkb, [], [], **choices)
    return path


def loads(path: Path) -> bool:
    transform = Affine(10, 0, 500_000, 0, -10, 5_400_000)
    crs = CRS.from_epsg(32633)
    meta = RasterMeta("GTiff", 80, 60, ("uint8",), crs=crs, transform=transform)
    return bool(load_area(path, meta, name="a.tif").inside(0, 60, 0, 80).any())


def test_the_content_of_a_file_counts_and_its_place_does_not(tmp_path):
    one = written(tmp_path / "one" / "area.geojson")
    same = tmp_path / "two" / "area.geojson"
    same.parent.mkdir()
    shutil.copy(one, same)
    assert area_digest(one) == area_digest(same)
    assert len(area_digest(one)) == 64
    written(same, side=300)
    assert area_digest(one) != area_digest(same)


@pytest.mark.parametrize("suffix", [".prj", ".dbf", ".shx", ".cpg"])
def test_the_files_beside_a_shapefile_count(tmp_path, suffix):
    path = written(tmp_path / "area.shp")
    before = area_digest(path)
    beside = path.with_suffix(suffix)
    beside.write_bytes(beside.read_bytes() + b" ")
    changed = area_digest(path)
    assert changed != before
    beside.unlink()
    assert area_digest(path) not in (before, changed)


def test_strangers_beside_a_file_do_not_count(tmp_path):
    path = written(tmp_path / "area.shp")
    before = area_digest(path)
    for name in ("area.txt", "area.shp.xml", "areas.prj", "other.dbf"):
        (tmp_path / name).write_text("of something else")
    assert area_digest(path) == before


def test_content_does_not_pass_from_one_file_to_another(tmp_path):
    path = tmp_path / "area.shp"
    path.write_bytes(b"a")
    path.with_suffix(".dbf").write_bytes(b"b")
    before = area_digest(path)
    path.with_suffix(".dbf").rename(path.with_suffix(".prj"))
    assert area_digest(path) != before


def test_a_folder_counts_with_all_its_files(tmp_path):
    folder = written(tmp_path / "area.gdb", driver="OpenFileGDB")
    assert folder.is_dir()
    assert loads(folder)
    before = area_digest(folder)
    assert area_digest(folder) == before
    moved = folder.rename(tmp_path / "renamed.gdb")
    assert area_digest(moved) == before
    largest = max(moved.iterdir(), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes() + b"\0")
    assert area_digest(moved) != before


def test_the_folder_of_a_shapefile_is_taken(tmp_path):
    folder = written(tmp_path / "area" / "area.shp").parent
    assert loads(folder)
    before = area_digest(folder)
    written(folder / "area.shp", side=300)
    assert area_digest(folder) != before


def test_no_such_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"none\.gpkg: no such file; give --aoi"):
        area_digest(tmp_path / "none.gpkg")
