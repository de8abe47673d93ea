"""The page of the quickstart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eo_contrast.report.quickstart import quickstart_report

ReadPage = Callable[[Path], Any]
SUMMARY = {
    "output": "map.tif",
    "width": 64,
    "height": 48,
    "tiles": 1,
    "skipped_tiles": 0,
    "megapixels": 0.003072,
    "seconds": {"total": 2.0, "read": 0.01, "infer": 1.9, "write": 0.05},
    "peak_rss_mib": 300.0,
    "limited_by": "network",
}


def scores(psnr: float, water: float) -> dict[str, Any]:
    return {"n": 1, "psnr": psnr, "agreement": {"water": water, "mean_iou": water}}


@pytest.fixture(scope="module")
def page_path(make_run: Callable[..., Path], make_raster: Callable[..., Path]) -> Path:
    draws = np.random.default_rng(0)
    rasters = [
        make_raster(name, draws.integers(0, 256, (3, 48, 64)).astype(np.uint8))
        for name in ("scene.tif", "map.tif", "true.tif")
    ]
    run = make_run("training")
    return quickstart_report(
        run.parent / "quickstart",
        training_run=run,
        source=rasters[0],
        translated=rasters[1],
        truth=rasters[2],
        scores=scores(20.0, 0.5),
        baselines={"untrained": scores(9.0, 0.1), "commonest colour": scores(15.0, 0.6)},
        summary=SUMMARY,
        seconds={"make the world": 4.0, "train": 100.0, "translate": 2.0},
        command_lines=["eo-contrast synth sat2map data", "eo-contrast translate a.tif b.tif"],
    )


def test_the_pictures_are_the_first_thing_seen(page_path: Path, read_page: ReadPage) -> None:
    assert page_path.name == "report.html"
    assert read_page(page_path).alternatives[:3] == [
        "Satellite, whole raster",
        "Translated map, whole raster",
        "True map, whole raster",
    ]


def test_the_first_words_say_what_was_made_and_how_long_it_took(
    page_path: Path, read_page: ReadPage
) -> None:
    text = read_page(page_path).text
    assert "trained for 20 steps and then drew this map of 64 × 48 pixels" in text
    assert "Everything together took 1 min 46 s." in text


def test_scores_stand_beside_the_baselines_and_the_best_is_marked_where_it_is(
    page_path: Path, read_page: ReadPage
) -> None:
    text = read_page(page_path).text
    assert "this run 20.00 0.500 untrained 9.00 0.100 commonest colour 15.00 0.600" in text
    html = page_path.read_text()
    assert '<td class="number best">20.00</td>' in html
    assert '<td class="number best">0.600</td>' in html
    assert '<td class="number best">0.500</td>' not in html


def test_curves_and_sample_pictures_of_the_training_are_shown(
    page_path: Path, read_page: ReadPage
) -> None:
    alternatives = " ".join(read_page(page_path).alternatives)
    assert "Adversarial losses" in alternatives
    assert "true map after 20 steps" in alternatives


def test_each_stage_has_its_time_and_a_bar(page_path: Path, read_page: ReadPage) -> None:
    assert "make the world 4.00 s train 1 min 40 s translate 2.00 s" in read_page(page_path).text
    html = page_path.read_text()
    assert [f"width: {share}%" in html for share in ("4.0", "100.0", "2.0")] == [True] * 3


def test_the_commands_to_repeat_and_to_go_on_are_given(
    page_path: Path, read_page: ReadPage
) -> None:
    text = read_page(page_path).text
    assert "eo-contrast synth sat2map data eo-contrast translate a.tif b.tif" in text
    assert "eo-contrast train-translator fastcut --data TILES --out runs/mine" in text


def test_the_page_is_whole_and_fetches_nothing(page_path: Path, read_page: ReadPage) -> None:
    page = read_page(page_path)
    assert page.unclosed == []
    assert all(source.startswith(("data:image/", "#")) for source in page.sources)
    links = {source[1:] for source in page.sources if source.startswith("#")}
    assert links <= set(page.identifiers)
