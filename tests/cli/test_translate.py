"""``eo-contrast translate`` as others script against it: words, JSON, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.cli import main


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["translate", *map(str, words), "--model", "identity"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "a.tif", random_values(3, 60, 50), **UTM_10M)


def test_json_is_one_object_with_the_promised_keys(tmp_path, source):
    result = run(source, tmp_path / "b.tif", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert set(told) == {
        "output",
        "width",
        "height",
        "tiles",
        "skipped_tiles",
        "megapixels",
        "seconds",
        "peak_rss_mib",
        "limited_by",
    }
    assert (told["output"], told["width"], told["height"]) == (str(tmp_path / "b.tif"), 50, 60)


def test_without_json_the_result_is_told_in_words(tmp_path, source):
    result = run(source, tmp_path / "b.tif")
    assert result.stdout.startswith(f"{tmp_path / 'b.tif'}: written (1 tiles, 0.00 megapixels; ")
    assert "limited by" in result.stdout


def test_a_second_run_is_refused_with_2_until_told_to_overwrite(tmp_path, source):
    out = tmp_path / "b.tif"
    assert run(source, out).exit_code == 0
    before = out.read_bytes()
    again = run(source, out)
    assert again.exit_code == 2
    assert again.stderr.startswith("error: ")
    assert "--overwrite" in again.stderr
    assert out.read_bytes() == before
    assert run(source, out, "--overwrite").exit_code == 0


def test_a_missing_source_or_model_is_one_line_and_exit_2(tmp_path, source):
    missing = run(tmp_path / "none.tif", tmp_path / "b.tif")
    assert missing.exit_code == 2
    assert missing.stderr.count("\n") == 1
    assert "none.tif: no such file" in missing.stderr
    words = ["translate", str(source), str(tmp_path / "b.tif"), "--model", str(tmp_path / "gone")]
    assert CliRunner().invoke(main, words).exit_code == 2


def test_dry_run_writes_nothing(tmp_path, source):
    result = run(source, tmp_path / "b.tif", "--dry-run", "--json")
    assert json.loads(result.stdout)["tiles"] == 1
    assert not (tmp_path / "b.tif").exists()


def test_gtiff_has_no_overviews_and_cog_has(tmp_path):
    source = write_raster(tmp_path / "a.tif", random_values(1, 1200, 1200))
    run(source, tmp_path / "plain.tif", "--format", "gtiff")
    run(source, tmp_path / "cog.tif")
    with rasterio.open(tmp_path / "plain.tif") as plain, rasterio.open(tmp_path / "cog.tif") as cog:
        assert plain.overviews(1) == []
        assert cog.overviews(1) != []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "rasters"
    folder.mkdir()
    for name in ("a", "c"):
        write_raster(folder / f"{name}.tif", random_values(3, 20, 30), **UTM_10M)
    (folder / "notes.txt").write_text("not a raster, and not called one")
    return folder


def test_a_folder_becomes_a_folder(tmp_path, folder):
    result = run(folder, tmp_path / "maps", "--json")
    assert result.exit_code == 0
    assert sorted(file.name for file in (tmp_path / "maps").glob("*.tif")) == ["a.tif", "c.tif"]
    told = json.loads(result.stdout)
    assert (len(told["files"]), told["failed"], told["tiles"]) == (2, [], 2)


def test_a_broken_raster_is_reported_and_the_others_are_done(tmp_path, folder):
    (folder / "b.tif").write_text("sign in to continue")
    result = run(folder, tmp_path / "maps", "--json")
    assert result.exit_code == 1
    assert sorted(file.name for file in (tmp_path / "maps").glob("*.tif")) == ["a.tif", "c.tif"]
    assert json.loads(result.stdout)["failed"][0]["path"].endswith("b.tif")
    assert "1 of 3 rasters failed" in result.stderr


def test_a_glob_takes_what_it_matches(tmp_path, folder):
    result = run(folder / "a*.tif", tmp_path / "maps")
    assert result.exit_code == 0
    assert [file.name for file in (tmp_path / "maps").glob("*.tif")] == ["a.tif"]


def test_a_folder_of_tiles_becomes_one_whose_tiles_lie_where_their_names_say(tmp_path):
    column = tmp_path / "tiles" / "16" / "10493"
    column.mkdir(parents=True)
    for row in (22826, 22827):
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(column / f"{row}.png")
    result = run(tmp_path / "tiles", tmp_path / "maps")
    assert result.exit_code == 0, result.stderr
    out = tmp_path / "maps" / "16" / "10493"
    assert sorted(file.name for file in out.glob("*.tif")) == ["22826.tif", "22827.tif"]
    with rasterio.open(out / "22826.tif") as upper, rasterio.open(out / "22827.tif") as lower:
        assert upper.crs.to_epsg() == lower.crs.to_epsg() == 3857
        assert upper.bounds.left == lower.bounds.left
        assert upper.bounds.bottom == pytest.approx(lower.bounds.top)


def test_a_folder_without_rasters_and_two_of_one_name_are_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    empty = run(tmp_path / "empty", tmp_path / "maps")
    assert (empty.exit_code, "no raster here" in empty.stderr) == (2, True)
    (folder / "a.png").write_bytes(b"")
    double = run(folder, tmp_path / "maps")
    assert (double.exit_code, "same a.tif" in double.stderr) == (2, True)
    assert not (tmp_path / "maps").exists()


def test_a_page_of_the_translation_is_written_beside_it_when_asked(tmp_path, source):
    page = tmp_path / "page.html"
    result = run(source, tmp_path / "b.tif", "--report", page, "--truth", source)
    assert result.exit_code == 0, result.stderr
    text = page.read_text()
    assert "True map, whole raster" in text
    assert "100.00" in text  # dB: the copy is the truth


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--truth", "a.tif"), "give --report FILE.html too"),
        (("--report", "page.pdf"), "give a name that ends in .html"),
        (("--report", "page.html", "--truth", "absent.tif"), "absent.tif: no such file"),
    ],
)
def test_a_page_that_cannot_be_is_refused_before_anything_is_translated(
    tmp_path, source, words, says, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = run(source, tmp_path / "b.tif", *words)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "b.tif").exists()


def test_a_page_of_several_rasters_is_refused(tmp_path, source):
    result = run(source.parent, tmp_path / "maps", "--report", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "is the page of one raster" in result.stderr


def test_a_truth_on_another_grid_is_refused_before_anything_is_translated(tmp_path, source):
    with rasterio.open(source) as raster:
        bands, height, width = raster.count, raster.height, raster.width
    small = write_raster(tmp_path / "small.tif", random_values(bands, height - 1, width))
    result = run(source, tmp_path / "b.tif", "--report", tmp_path / "p.html", "--truth", small)
    assert (result.exit_code, "on the same grid" in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "b.tif").exists()
