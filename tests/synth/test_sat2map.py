"""``eo-contrast synth sat2map``: the whole folder, from plan to files."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from PIL import Image

from eo_contrast.cli.synth import command
from eo_contrast.errors import InputError, WorldError
from eo_contrast.synth.sat2map import COLUMNS, Sat2mapPlan, picture_pair, write_sat2map
from eo_contrast.synth.world import ORIGIN_EAST_M, ORIGIN_NORTH_M, Extent, World

PLAN = Sat2mapPlan(pairs=5, size=32, seed=1, scene_size=528, ground_resolution=4.0)
SMALL = Sat2mapPlan(pairs=1, size=32, scene_size=32)


def nothing(_done: int, _note: str) -> None:
    """Report no progress."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "archive"
    write_sat2map(folder, PLAN, nothing)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["sat2map", *map(str, arguments)])


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "pairs.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_folder_holds_the_files_of_the_layout_and_no_other(archive: Path) -> None:
    found = {path.relative_to(archive).as_posix() for path in archive.rglob("*") if path.is_file()}
    train = {f"train/{index:05d}.png" for index in range(5)}
    test = {f"test/{index:05d}.png" for index in range(4)}
    assert found == train | test | {"scene.tif", "scene_map.tif", "pairs.csv"}


def test_a_pair_is_satellite_left_and_map_right(archive: Path) -> None:
    for path in archive.glob("t*/*.png"):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (32, 64, 3)
        # A map is lighter than a picture of the same ground.
        assert pixels[:, 32:].mean() > pixels[:, :32].mean() + 40


def test_the_table_has_a_row_a_pair_with_shares_that_add_up(archive: Path) -> None:
    rows = table(archive)
    assert tuple(rows[0]) == COLUMNS
    assert {row["file"] for row in rows} == {
        path.relative_to(archive).as_posix() for path in archive.glob("t*/*.png")
    }
    for row in rows:
        assert row["split"] == row["file"].split("/")[0]
        named = ("water", "park", "motorway", "road_white", "other")
        assert sum(float(row[f"share_{name}"]) for name in named) == pytest.approx(1, abs=3e-4)
        assert 8 < float(row["lon"]) < 10.5
        assert 47 < float(row["lat"]) < 49


def test_the_table_has_the_columns_of_the_real_sat2map_table(shared: Path) -> None:
    with (shared / "data" / "sat2map" / "pairs.csv").open(newline="", encoding="utf-8") as file:
        real = next(csv.reader(file))
    assert [name for name in real if name != "city"] == list(COLUMNS)


@pytest.mark.parametrize("name", ["scene.tif", "scene_map.tif"])
def test_the_scene_is_a_tiled_georeferenced_rgb_geotiff(archive: Path, name: str) -> None:
    with rasterio.open(archive / name) as scene:
        assert (scene.count, scene.height, scene.width) == (3, 528, 528)
        assert scene.dtypes == ("uint8",) * 3
        assert scene.crs.to_epsg() == 32632
        assert scene.descriptions == ("red", "green", "blue")
        assert scene.profile["tiled"]
        assert (scene.transform.a, scene.transform.e) == (4.0, -4.0)


def test_the_scene_written_in_windows_is_the_picture_drawn_at_once(archive: Path) -> None:
    with (
        rasterio.open(archive / "scene.tif") as scene,
        rasterio.open(archive / "scene_map.tif") as true_map,
    ):
        row = round((ORIGIN_NORTH_M - scene.transform.f) / 4.0)
        column = round((scene.transform.c - ORIGIN_EAST_M) / 4.0)
        # This part lies across the seam of the windows, at 512 pixels.
        part = Extent(row + 490, column + 480, 30, 40)
        window = rasterio.windows.Window(480, 490, 40, 30)
        for dataset, pixels in zip(
            (scene, true_map), picture_pair(World(1, 4.0), part), strict=True
        ):
            written = np.moveaxis(dataset.read(window=window), 0, -1)
            np.testing.assert_array_equal(written, pixels)


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("once", "again"):
        write_sat2map(tmp_path / name, SMALL, nothing)
    for path in (tmp_path / "once").rglob("*.*"):
        again = tmp_path / "again" / path.relative_to(tmp_path / "once")
        assert again.read_bytes() == path.read_bytes(), path.name


def test_progress_reaches_the_announced_number_of_steps(tmp_path: Path) -> None:
    reported: list[int] = []
    write_sat2map(tmp_path / "out", SMALL, lambda done, _note: reported.append(done))
    assert reported == list(range(1, SMALL.steps + 1))


def test_tags_are_balanced_over_a_larger_set(tmp_path: Path) -> None:
    plan = Sat2mapPlan(pairs=10, size=64, seed=2, scene_size=32, ground_resolution=8.0)
    write_sat2map(tmp_path / "out", plan, nothing)
    tags = [row["tag"] for row in table(tmp_path / "out") if row["split"] == "train"]
    for tag in ("water", "highway", "park", "dense_urban"):
        assert tags.count(tag) >= 1, tags


def test_the_command_prints_one_json_object(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(out, "--pairs", 1, "--size", 32, "--scene-size", 32, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told.pop("seconds") > 0
    assert told == {"folder": str(out), "train": 1, "test": 4, "scene": str(out / "scene.tif")}


@pytest.mark.parametrize(
    ("option", "value", "advice"),
    [
        ("--size", 31, "--size 31: too small; give 32 pixels or more"),
        ("--scene-size", 0, "--scene-size 0: too small; give 32 pixels or more"),
        ("--pairs", 0, "--pairs 0: no pair to make; give 1 or more"),
        ("--ground-resolution", 0, "--ground-resolution 0: give metres a pixel from 0.25 to 16"),
        ("--ground-resolution", "nan", "--ground-resolution nan: give metres a pixel"),
    ],
)
def test_a_value_out_of_range_is_refused_before_anything_is_written(
    tmp_path: Path, option: str, value: object, advice: str
) -> None:
    result = run(tmp_path / "out", option, value)
    assert isinstance(result.exception, InputError)
    assert advice in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_archive_is_refused_untouched_and_replaced_with_overwrite(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "pairs.csv").write_text("old")
    small = ("--pairs", 1, "--size", 32, "--scene-size", 32)
    refused = run(out, *small)
    assert isinstance(refused.exception, InputError)
    assert "give --overwrite" in str(refused.exception)
    assert (out / "pairs.csv").read_text() == "old"
    assert run(out, *small, "--overwrite").exit_code == 0
    assert (out / "pairs.csv").read_text() != "old"


def test_overwrite_does_not_delete_a_folder_that_holds_more_than_an_archive(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    small = ("--pairs", 1, "--size", 32, "--scene-size", 32)
    refused = run(out, *small, "--overwrite")
    assert isinstance(refused.exception, InputError)
    assert "thesis.tex" in str(refused.exception)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_a_failure_halfway_leaves_no_folder(tmp_path: Path) -> None:
    def fail(done: int, _note: str) -> None:
        if done == 3:
            raise WorldError("stopped")

    with pytest.raises(WorldError, match="stopped"):
        write_sat2map(tmp_path / "out", Sat2mapPlan(pairs=4, size=32, scene_size=32), fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [20_000, 60_000, 90_000])
def test_a_disk_that_takes_no_more_is_reported_and_leaves_no_folder(
    tmp_path: Path, limit: int
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(WorldError, match="free some space"):
            write_sat2map(tmp_path / "out", Sat2mapPlan(1, 32, 0, scene_size=256), nothing)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []
