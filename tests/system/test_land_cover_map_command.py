"""``land-cover-map`` gives the same bytes however it is run; what it prints is one JSON object."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent.parent / "landcover"))
sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))

from map_scenes import CLASSES, card, decibel, optical, radar, reflectance, saved
from translate_runs import killed_midway, names
from typed import typed

HEIGHT, WIDTH = 2300, 90  # five pieces
OUTPUTS = ("map.tif", "map.tif.aux.xml", "map.gpkg", "p.tif")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two sensors, a raster of each on another grid, and the map of one process."""
    folder = tmp_path_factory.mktemp("everywhere")
    saved(folder / "model", card("s1", "s2", size=64))
    optical(folder / "s2.tif", reflectance(HEIGHT, WIDTH))
    moved = Affine(11, 0, 499_970, 0, -11, 5_400_050)
    radar(folder / "s1.tif", decibel(HEIGHT, WIDTH), transform=moved)
    (folder / "expected").mkdir()
    mapped(folder, folder / "expected")
    return folder


def words(folder: Path, place: Path) -> tuple[str | Path, ...]:
    made = ("--vector", place / "map.gpkg", "--probabilities", place / "p.tif", "--no-stac")
    model = ("--model", folder / "model", "--with", f"s1={folder / 's1.tif'}")
    return ("land-cover-map", folder / "s2.tif", place / "map.tif", *model, *made, "--quiet")


def mapped(folder: Path, place: Path, *more: str) -> str:
    done = typed([*words(folder, place), *more])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def assert_as_expected(folder: Path, place: Path) -> None:
    assert names(place) == sorted(OUTPUTS)
    for name in OUTPUTS:
        assert (place / name).read_bytes() == (folder / "expected" / name).read_bytes(), name


def test_two_processes(folder: Path, tmp_path: Path) -> None:
    mapped(folder, tmp_path, "--workers", "2")
    assert_as_expected(folder, tmp_path)


def test_shards_and_merge(folder: Path, tmp_path: Path) -> None:
    mapped(folder, tmp_path, "--shard", "2/2")
    lacking = typed(["merge", tmp_path / "map.tif"])
    assert lacking.exit_code == 2
    assert "pieces are missing" in lacking.stderr
    mapped(folder, tmp_path, "--shard", "1/2")
    assert not (tmp_path / "map.tif").exists()
    merged = typed(["merge", tmp_path / "map.tif", "--json", "--quiet"])
    assert merged.exit_code == 0, merged.stderr
    assert sum(json.loads(merged.stdout)["classes"].values()) > 0
    assert_as_expected(folder, tmp_path)


def test_a_run_that_is_killed_goes_on_with_resume(folder: Path, tmp_path: Path) -> None:
    by = signal.SIGKILL
    assert killed_midway(tmp_path / "map.tif", *words(folder, tmp_path), by=by) == -by
    assert not any((tmp_path / name).exists() for name in OUTPUTS)
    refused = typed(words(folder, tmp_path))
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    other = typed([*words(folder, tmp_path), "--resume", "--overlap", "8"])
    assert other.exit_code == 2
    assert "--overlap not given, this one 8" in other.stderr
    mapped(folder, tmp_path, "--resume")
    assert_as_expected(folder, tmp_path)


def test_what_is_printed_is_one_object_that_fits_the_map(folder: Path, tmp_path: Path) -> None:
    told = json.loads(mapped(folder, tmp_path, "--json"))
    assert set(told) == {
        "output", "width", "height", "tiles", "skipped_tiles", "megapixels", "seconds",
        "peak_rss_mib", "limited_by", "classes",
    }  # fmt: skip
    assert set(told["seconds"]) == {"total", "read", "infer", "write"}
    assert (told["width"], told["height"]) == (WIDTH, HEIGHT)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        numbers = dataset.read(1)
    counted = np.bincount(numbers.ravel(), minlength=256)
    assert told["classes"] == {name: counted[k] for k, name in enumerate(CLASSES)}
    assert counted[255] + sum(told["classes"].values()) == WIDTH * HEIGHT
    assert len([count for count in told["classes"].values() if count]) > 1
    facts = json.loads(typed(["info", tmp_path / "map.tif", "--json"]).stdout)
    assert facts["classes"] == {str(number): name for number, name in enumerate(CLASSES)}


def test_many_rasters_are_mapped_into_a_folder(tmp_path: Path) -> None:
    saved(tmp_path / "model", card())
    (tmp_path / "scenes").mkdir()
    for name in ("a.tif", "b.tif"):
        optical(tmp_path / "scenes" / name, reflectance(64, 70))
    done = typed([
        "land-cover-map", tmp_path / "scenes", tmp_path / "maps", "--model", tmp_path / "model",
        "--json", "--quiet",
    ])  # fmt: skip
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert sum(told["classes"].values()) == sum(sum(f["classes"].values()) for f in told["files"])
    assert {"a.tif", "b.tif", "a.tif.aux.xml", "a.stac.json"} <= set(names(tmp_path / "maps"))
