"""The quickstart, small: a world, an encoder, a land-cover map, a translated map, one page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import rasterio
from typed import done

SMALL = [
    "archive.places=12",
    "archive.size=32",
    "pretrain.set.data.size=24",
    "pretrain.set.data.batch_size=6",
    "pretrain.set.schedule.epochs=2",
    "pretrain.set.schedule.warmup=0",
    "world.places=48",
    "world.size=32",
    "benchmark.set.fractions=[1]",
    "land_cover.set.schedule.epochs=2",
    "scene.size=96",
    "tiles.pairs=4",
    "tiles.size=128",
    "tiles.scene_size=160",
    "train.set.schedule.constant=2",
    "train.set.schedule.decay=0",
]


def quickstart(folder: Path, *more: str) -> dict[str, Any]:
    sets = [word for value in SMALL for word in ("--set", value)]
    result = done(["quickstart", folder, *sets, *more, "--json"])
    told: dict[str, Any] = json.loads(result.stdout)
    return told


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("first") / "quickstart"
    return folder, quickstart(folder)


def test_it_leaves_a_report_and_two_maps(made: tuple[Path, dict[str, Any]]) -> None:
    folder, told = made
    assert told["report"] == str(folder / "report.html")
    assert len(told["ran"]) == len(told["stages"])
    with rasterio.open(told["map"]) as drawn, rasterio.open(folder / "tiles/scene.tif") as scene:
        assert (drawn.crs, drawn.transform, drawn.shape) == (scene.crs, scene.transform, (160, 160))
    with rasterio.open(told["land_cover"]) as classes:
        assert classes.shape == (96, 96)
        assert classes.colormap(1)


def test_the_page_tells_the_whole_story_and_loads_nothing(
    made: tuple[Path, dict[str, Any]],
) -> None:
    folder, _ = made
    page = (folder / "report.html").read_text()
    for heading in ("Translated map", "Land cover", "How good the maps are", "How they learned"):
        assert heading in page
    assert page.count("<svg") + page.count("image/svg+xml") >= 5
    assert "random-init" in page or "random" in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    linked = re.findall(r'<a href="([^"#]+)"', page)
    assert len(linked) >= 4
    assert all((folder / each).is_file() for each in linked)


def test_a_second_one_does_nothing(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    before = (folder / "report.html").read_bytes()
    assert quickstart(folder)["ran"] == []
    assert (folder / "report.html").read_bytes() == before
