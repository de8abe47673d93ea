"""Rasters on a web server and inside archives are translated as if they lay on the disk."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster
from web_folder import WebFolder, served


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    # In a process of its own: GDAL holds the interpreter while it waits for the server here.
    command = [sys.executable, "-m", "eo_contrast", "translate", *map(str, words), "--quiet"]
    return subprocess.run(
        [*command, "--model", "identity"], capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    folder.mkdir()
    write_raster(folder / "a.tif", random_values(3, 60, 50), **UTM_10M)
    return folder


@pytest.fixture
def web(folder: Path) -> Iterator[WebFolder]:
    with served(folder) as web:
        yield web


def assert_copied(source: Path, out: Path) -> None:
    with rasterio.open(source) as before, rasterio.open(out) as after:
        np.testing.assert_array_equal(before.read(), after.read())
        assert (before.crs, before.transform) == (after.crs, after.transform)


def test_a_raster_is_read_from_its_address(folder, web, tmp_path):
    result = run(f"{web.address}/a.tif", tmp_path / "b.tif")
    assert result.returncode == 0, result.stderr
    assert_copied(folder / "a.tif", tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as raster:
        assert raster.tags()["EO_CONTRAST_SOURCE"] == "a.tif"


def test_an_address_with_a_signature_is_no_glob(folder, web, tmp_path):
    result = run(f"{web.address}/a.tif?sig=x*y", tmp_path / "b.tif")
    assert result.returncode == 0, result.stderr
    with rasterio.open(tmp_path / "b.tif") as raster:
        assert raster.tags()["EO_CONTRAST_SOURCE"] == "a.tif"


def test_of_a_small_part_not_the_whole_file_is_fetched(folder, web, tmp_path):
    values = random_values(3, 2048, 2048)
    write_raster(folder / "large.tif", values, tiled=True, blockxsize=256, blockysize=256)
    result = run(f"{web.address}/large.tif", tmp_path / "b.tif", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert web.given["large.tif"] < (folder / "large.tif").stat().st_size / 20


def test_a_busy_server_is_asked_again(folder, web, tmp_path):
    web.busy = 1
    result = run(f"{web.address}/a.tif", tmp_path / "b.tif")
    assert result.returncode == 0, result.stderr
    assert_copied(folder / "a.tif", tmp_path / "b.tif")


def test_what_is_not_there_is_one_line_with_its_address(web, tmp_path):
    result = run(f"{web.address}/absent.tif", tmp_path / "b.tif")
    assert result.returncode == 2
    assert f"{web.address}/absent.tif: is not a raster that can be read" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "b.tif").exists()


def test_a_raster_inside_an_archive_is_read_by_its_vsi_path(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(folder / "a.tif", "a.tif")
    result = run(f"/vsizip/{tmp_path}/all.zip/a.tif", tmp_path / "b.tif")
    assert result.returncode == 0, result.stderr
    assert_copied(folder / "a.tif", tmp_path / "b.tif")


def test_the_page_of_a_remote_raster_shows_it(web, tmp_path):
    page = tmp_path / "page.html"
    result = run(f"{web.address}/a.tif", tmp_path / "b.tif", "--report", page)
    assert result.returncode == 0, result.stderr
    assert "Map of a.tif" in page.read_text()


def test_a_run_goes_on_by_another_signature_but_not_with_another_file(folder, web, tmp_path):
    out = tmp_path / "b.tif"
    assert run(f"{web.address}/a.tif?sig=1", out, "--shard", "0/2").returncode == 0
    assert run(f"{web.address}/a.tif?sig=2", out, "--shard", "1/2").returncode == 0
    write_raster(folder / "a.tif", random_values(3, 60, 50), **UTM_10M)
    done = run(f"{web.address}/a.tif?sig=3", out, "--resume")
    assert done.returncode == 2
    assert "the run begun here has source" in done.stderr


def test_what_signs_an_address_stands_in_no_output(web, tmp_path):
    assert run(f"{web.address}/a.tif?sig=SECRET", tmp_path / "b.tif").returncode == 0
    for path in tmp_path.iterdir():
        assert path.is_dir() or b"SECRET" not in path.read_bytes()
