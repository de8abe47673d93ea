"""The page of a training run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from eo_contrast.errors import InputError
from eo_contrast.report.run_folder import read_run
from eo_contrast.report.training import changed_settings, spaced, timeline, training_report

MakeRun = Callable[..., Path]
ReadPage = Callable[[Path], Any]


@pytest.fixture(scope="module")
def finished(make_run: MakeRun) -> Path:
    """A finished run with its page; not to be changed."""
    folder = make_run("a run")
    training_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(finished: Path, read_page: ReadPage) -> Any:
    return read_page(finished / "report.html")


def test_the_page_tells_recipe_steps_tiles_and_time(page: Any) -> None:
    assert (
        "A FastCUT translator, satellite to map, trained for 20 steps on 6 tiles in 10 s."
        in page.text
    )


def test_an_older_page_is_replaced(make_run: MakeRun) -> None:
    folder = make_run(rows=[])
    (folder / "report.html").write_text("old")
    assert training_report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert not list(folder.glob(".*"))


def test_the_page_fetches_nothing(finished: Path, page: Any) -> None:
    assert page.sources
    assert all(source.startswith(("data:image/", "#")) for source in page.sources)
    html = (finished / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(|<script", html)


def test_the_page_is_well_formed_and_its_links_lead_somewhere(page: Any) -> None:
    assert page.unclosed == []
    links = {source[1:] for source in page.sources if source.startswith("#")}
    assert links <= set(page.identifiers)
    assert len(set(page.identifiers)) == len(page.identifiers)
    assert all(page.alternatives)


def test_the_same_run_gives_the_same_bytes(finished: Path) -> None:
    first = (finished / "report.html").read_bytes()
    assert training_report(finished).read_bytes() == first


def test_headline_scores_are_those_of_the_last_look(page: Any) -> None:
    assert "PSNR 18.20 dB was 18.10 at step 10" in page.text
    assert "mean IoU 0.375" in page.text


def test_every_curve_that_was_logged_is_drawn(page: Any) -> None:
    text = " ".join(page.alternatives)
    for curve in ("generator", "discriminator", "real maps", "translated", "satellite to map"):
        assert curve in text
    for curve in ("block1", "learning rate", "PSNR", "SSIM", "water", "mean", "spread"):
        assert curve in text
    assert "identity" not in text
    assert "Paired" not in text


def test_the_level_of_chance_is_told(page: Any) -> None:
    assert "ln(64 patches) = 4.16" in page.text


def test_all_settings_and_those_changed_are_shown(finished: Path, page: Any) -> None:
    assert "generator.width 2 64" in page.text
    for line in (finished / "config.yaml").read_text().splitlines():
        assert line.strip() in page.text


def test_settings_of_the_recipe_itself_are_no_changes(make_run: MakeRun) -> None:
    names = [name for name, _, _ in changed_settings(read_run(make_run()).config)]
    assert "generator.blocks" in names
    assert "loss.lambda_nce" not in names
    assert "recipe" not in names


def test_the_card_and_the_command_that_uses_the_model_are_shown(finished: Path, page: Any) -> None:
    assert "Bands in red, green, blue" in page.text
    assert "2 m a pixel" in page.text
    assert f"eo-contrast translate scene.tif map.tif --model '{finished}'" in page.text


def test_an_unfinished_run_gives_a_page_that_says_so(
    make_run: MakeRun, read_page: ReadPage
) -> None:
    rows = [{"step": 20, "phase": "train", "lr": 1e-4}]
    folder = make_run(rows=rows, finished=False)
    (folder / "last.ckpt").write_bytes(b"")
    text = read_page(training_report(folder)).text
    assert "This run is unfinished: there is no model yet, the last row is of step 20." in text
    assert "--resume" in text
    assert "eo-contrast translate scene.tif" not in text


def test_a_run_that_has_logged_nothing_gives_a_page(make_run: MakeRun, read_page: ReadPage) -> None:
    folder = make_run(rows=[], finished=False)
    for path in (*folder.glob("samples/*"), folder / "metrics.jsonl", folder / "timings.jsonl"):
        path.unlink()
    text = read_page(training_report(folder)).text
    assert "nothing is logged yet" in text
    assert "No sample pictures" in text
    assert "No times were logged yet" in text


def test_a_model_older_than_the_log_is_told(make_run: MakeRun, read_page: ReadPage) -> None:
    rows = [{"step": 50, "phase": "train", "loss_nce": 1.0}]
    text = read_page(training_report(make_run(rows=rows))).text
    assert "the model is of step 20, the log of 50" in text


def test_warning_signs_stand_on_the_page(make_run: MakeRun, read_page: ReadPage, page: Any) -> None:
    rows = [{"step": 10, "phase": "watch", "output_spread": 0.3}]
    warned = read_page(training_report(make_run(rows=rows)))
    assert "Warning All translations look alike" in warned.text
    assert "warnings" in warned.identifiers
    assert "warnings" not in page.identifiers


def test_names_from_files_are_text_and_never_markup(make_run: MakeRun, read_page: ReadPage) -> None:
    folder = make_run("<b>bold", rows=[])
    assert "Training run: <b>bold" in read_page(training_report(folder)).text


def test_a_configuration_of_something_else_is_refused(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "config.yaml").write_text(yaml.safe_dump({"recipe": "fastcut", "colour": 1}))
    with pytest.raises(InputError, match="unknown key 'colour'"):
        training_report(folder)
    assert not (folder / "report.html").exists()


def test_the_timeline_runs_from_satellite_to_true_map(make_run: MakeRun) -> None:
    captions = [moment.caption for moment in timeline(read_run(make_run()))]
    assert captions == ["satellite", "step 10", "step 20", "true map"]


def test_one_look_is_no_timeline(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "samples/step-0000010.png").unlink()
    assert timeline(read_run(folder)) == []


def test_tiles_that_touch_are_set_apart_and_keep_their_pixels() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    apart = spaced(tiles)
    assert apart.shape == (28, 46, 3)
    np.testing.assert_array_equal(apart[:10, :10], tiles[:10, :10])
    np.testing.assert_array_equal(apart[18:, 36:], tiles[10:, 20:])
    assert (apart[10:18] == 255).all()
    assert (apart[:, 10:18] == 255).all()
