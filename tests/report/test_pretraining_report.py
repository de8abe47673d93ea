"""The page of a pretraining run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.cli import main
from eo_contrast.config import find_config, load_config, save_config
from eo_contrast.data.sensors import sensor_input
from eo_contrast.errors import InputError
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.embed import EmbedOptions, embed
from eo_contrast.report.pretraining import pretraining_report
from eo_contrast.report.pretraining_charts import look_charts, space_charts, vector_charts
from eo_contrast.report.pretraining_run import chance_of, read_pretraining
from eo_contrast.report.run_report import run_report
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders, save_encoder

ReadPage = Callable[[Path], Any]
SPACES = ("instance",)


def train_row(step: int, spaces: tuple[str, ...] = SPACES, **changes: float) -> dict[str, Any]:
    """A row of what a healthy run logs at a step."""
    told = {
        "loss": 3.0,
        "over_chance": 0.7,
        "deviation": 0.08,
        "spread": 0.9,
        "alignment": 1.0,
        "uniformity": -3.0,
        "positive": 0.6,
        "hardest": 0.4,
        "found": 0.5,
        "bound": 1.2,
    }
    of_spaces = {f"{what}/{name}": value for what, value in told.items() for name in spaces}
    return {"step": step, "phase": "train", "loss": 3.0, **of_spaces, "lr": 0.1} | changes


def watch_row(step: int, **changes: float) -> dict[str, Any]:
    return {"step": step, "phase": "watch", "rank": 40.0 + step, "knn": step / 100} | changes


def saved(folder: Path, config: PretrainConfig, products: dict[str, str]) -> None:
    """A random encoder, as the run would have left one."""
    layers = {
        name: Layer(
            product,
            "",
            PRODUCTS[product].bands if product in PRODUCTS else ("red", "green", "blue"),
            1,
            STORAGE[product],
        )
        for name, product in products.items()
    }
    card = EncoderCard(
        architecture=config.encoder,
        sensors={name: sensor_input(layer) for name, layer in layers.items()},
        size=24,
        trained={"method": config.method, "steps": 20, "places": 1200, "split": "train"},
    )
    save_encoder(SensorEncoders(card, seed=0), card, folder / "model.safetensors")


@pytest.fixture(scope="module")
def make_pretraining(tmp_path_factory) -> Callable[..., Path]:
    """``make_pretraining(method, rows, products=..., overrides=...)`` writes a run folder."""

    def make(
        method: str = "simclr",
        rows: list[dict[str, Any]] | None = None,
        products: dict[str, str] | None = None,
        overrides: tuple[str, ...] = ("data.batch_size=64", "encoder.name=resnet18"),
    ) -> Path:
        folder = tmp_path_factory.mktemp("pretraining") / "a run"
        folder.mkdir()
        path = find_config(method, "configs/pretrain")
        config = load_config(PretrainConfig, path, overrides)
        save_config(config, folder / "config.yaml")
        if rows is None:
            rows = [train_row(10), watch_row(10), train_row(20), watch_row(20)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "metrics.jsonl").write_text(lines)
        timings = [{"step": s, "seconds": 5.0, "peak_rss_mib": 900.0} for s in (10, 20)]
        lines = "".join(json.dumps(row) + "\n" for row in timings)
        (folder / "timings.jsonl").write_text(lines)
        if products is not None:
            saved(folder, config, products)
        return folder

    return make


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """A catalogue of 24 labelled pictures."""
    folder = tmp_path_factory.mktemp("labelled")
    plan = ArchivePlan(places=24, dates=1, size=24)
    write_archive(folder / "rgb", "eurosat-rgb", plan, lambda _done, _what="": None)
    ingest(folder / "rgb", folder / "c.parquet")
    return folder / "c.parquet"


@pytest.fixture(scope="module")
def finished(make_pretraining, labelled) -> Path:
    """A finished run with its page, and ``e.parquet`` made by its encoder; not to be changed."""
    folder: Path = make_pretraining(products={"image": "rgb"})
    options = EmbedOptions(device="cpu", quiet=True)
    embed(labelled, folder, folder.parent / "e.parquet", options)
    pretraining_report(folder, folder.parent / "e.parquet")
    return folder


@pytest.fixture(scope="module")
def page(finished: Path, read_page: ReadPage) -> Any:
    return read_page(finished / "report.html")


def test_the_page_tells_method_encoder_steps_places_and_time(page):
    said = "ResNet-18 pretrained by SimCLR without labels for 20 steps on 1,200 places in 10 s."
    assert said in page.text


def test_the_page_fetches_nothing_and_is_well_formed(finished, page):
    assert all(source.startswith(("data:image/", "#")) for source in page.sources)
    html = (finished / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(|<script", html)
    assert page.unclosed == []
    links = {source[1:] for source in page.sources if source.startswith("#")}
    assert links <= set(page.identifiers)
    assert all(page.alternatives)


def test_the_same_run_gives_the_same_bytes(finished):
    first = (finished / "report.html").read_bytes()
    pretraining_report(finished, finished.parent / "e.parquet")
    assert (finished / "report.html").read_bytes() == first


def test_headlines_are_of_the_last_look_and_tell_the_change(page):
    assert "kNN accuracy 20.0 % was 10.0 % at step 10" in page.text
    assert "Rank 60.0 was 50.0 at step 10" in page.text
    assert "Loss over guess 0.70" in page.text


def test_every_curve_that_was_logged_is_drawn_and_no_other(page):
    alternatives = " ".join(page.alternatives)
    for title in ("Loss: loss", "Cosine: own place, nearest other place", "Found", "Spread"):
        assert title in alternatives
    for title in ("Alignment", "Uniformity", "mutual information", "kNN accuracy", "Rank"):
        assert title in alternatives
    assert "False negatives" not in alternatives


def test_the_guess_is_that_of_the_batch(make_pretraining, page):
    run = read_pretraining(make_pretraining(overrides=("data.batch_size=32",)))
    assert chance_of(run.config, "instance") == pytest.approx(math.log(63))
    (level,) = space_charts(run, "instance")[0].levels
    assert level.value == pytest.approx(math.log(63))
    assert f"A guess has {math.log(127):.2f}" in page.text


def test_settings_that_differ_from_the_shipped_method_are_shown(finished, page):
    assert "data.batch_size 64" in page.text
    for line in (finished / "config.yaml").read_text().splitlines():
        assert line.strip() in page.text


def test_a_method_of_ones_own_has_no_defaults_to_differ_from(make_pretraining, read_page):
    folder = make_pretraining(overrides=("method=mine",))
    text = read_page(pretraining_report(folder)).text
    assert "pretrained by mine" in text
    assert "departs" not in text and "All settings" in text


def test_views_and_spaces_of_a_graph_are_told(make_pretraining, read_page):
    spaces = tuple(
        load_config(PretrainConfig, find_config("seco", "configs/pretrain")).graph.spaces
    )
    rows = [train_row(10, spaces), watch_row(10)]
    folder = make_pretraining("seco", rows, overrides=())
    found = read_page(pretraining_report(folder))
    assert "pretrained by SeCo" in found.text
    assert "a queue of 16,384" in found.text
    for space in spaces:
        assert f"Space {space} " in found.text
    drawn = [text for text in found.alternatives if text.startswith("Spread")]
    assert drawn == [f"Spread: {', '.join(spaces)}, over steps"]


def test_each_sensor_of_several_has_its_own_curve(make_pretraining):
    looks = {f"{what}/{name}": 1.0 for what in ("rank", "knn") for name in ("s1", "s2")}
    run = read_pretraining(
        make_pretraining("s1s2", [train_row(5, ("sensors",)), watch_row(5, **looks)], overrides=())
    )
    assert [curve.label for curve in look_charts(run)[0].curves] == ["all sensors", "s1", "s2"]


def test_a_collapse_stands_on_the_page_in_words(make_pretraining, read_page):
    rows = [train_row(10, **{"spread/instance": 0.02})]
    found = read_page(pretraining_report(make_pretraining(rows=rows)))
    assert "Warning Step 10, space instance: collapsed" in found.text


def test_a_healthy_run_has_no_warning(page):
    assert "warnings" not in page.identifiers


def test_an_unfinished_run_says_so(make_pretraining, read_page):
    folder = make_pretraining(rows=[])
    text = read_page(pretraining_report(folder)).text
    assert "This run is unfinished: there is no encoder yet, nothing is logged yet." in text
    assert "There is no encoder to use" in text
    (folder / "last.ckpt").write_bytes(b"")
    assert "--resume goes on" in read_page(pretraining_report(folder)).text


def test_an_encoder_older_than_the_log_is_told(make_pretraining, read_page):
    folder = make_pretraining(rows=[train_row(50)], products={"image": "rgb"})
    text = read_page(pretraining_report(folder)).text
    assert "the encoder is of step 20, the log of 50" in text


def test_rows_that_lack_a_number_leave_a_gap(make_pretraining):
    lacking = {name: v for name, v in train_row(10).items() if name != "spread/instance"}
    run = read_pretraining(make_pretraining(rows=[lacking, train_row(20)]))
    spread = next(chart for chart in vector_charts(run) if chart.title == "Spread")
    np.testing.assert_array_equal(spread.curves[0].values, [math.nan, 0.9])


def test_neighbours_and_the_map_are_shown_with_how_often_classes_agree(page):
    assert {"neighbours", "map"} <= set(page.identifiers)
    assert "like this" in page.text
    assert re.search(r"nearest to each of 24, [\d.]+ % have its class; drawn at random", page.text)
    assert any(text.startswith("24 vectors of image as points") for text in page.alternatives)


def test_without_embeddings_the_page_has_neither_map_nor_neighbours(make_pretraining, read_page):
    found = read_page(run_report(make_pretraining()))
    assert not {"neighbours", "map"} & set(found.identifiers)


def test_images_that_are_gone_leave_the_rest_of_the_page(finished, tmp_path, read_page, labelled):
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("config.yaml", "metrics.jsonl", "model.safetensors"):
        (copy / name).write_bytes((finished / name).read_bytes())
    moved = labelled.parent / "rgb"
    moved.rename(labelled.parent / "elsewhere")
    try:
        text = read_page(pretraining_report(copy, finished.parent / "e.parquet")).text
    finally:
        (labelled.parent / "elsewhere").rename(moved)
    assert "cannot be read" in text


def test_embeddings_of_another_encoder_are_refused(make_pretraining, finished):
    other = make_pretraining(products={"image": "s2-l2a"})
    with pytest.raises(InputError, match="made with another encoder"):
        pretraining_report(other, finished.parent / "e.parquet")
    assert not (other / "report.html").exists()


def test_the_command_tells_the_kinds_of_runs_apart(make_pretraining, finished, tmp_path):
    folder = make_pretraining()
    done = CliRunner().invoke(main, ["report", str(folder), "--json"])
    assert json.loads(done.stdout) == {"run": str(folder), "report": f"{folder}/report.html"}
    translator = tmp_path / "translator"
    translator.mkdir()
    (translator / "config.yaml").write_text("recipe: fastcut\n")
    words = ["report", str(translator)]
    assert CliRunner().invoke(main, words).exit_code == 0
    words += ["--embeddings", str(finished.parent / "e.parquet"), "--overwrite"]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "is no pretraining run" in done.stderr) == (2, True)
