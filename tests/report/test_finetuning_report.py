"""The page of a fine-tuning run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from finetuned import CLASSES, SIDE, of_one_label, pack_of, renamed, run_of

from eo_contrast.cli import main
from eo_contrast.errors import InputError
from eo_contrast.report.finetuning import finetuning_report
from eo_contrast.report.finetuning_charts import finetuning_charts
from eo_contrast.report.finetuning_run import read_finetuning
from eo_contrast.report.run_report import run_report

ReadPage = Callable[[Path], Any]
TASKS = ("classification", "multi-label", "segmentation")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_of(tmp_path_factory.mktemp("data") / "pack")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> dict[str, Path]:
    """A finished run of each task with its page; not to be changed."""
    folders = {}
    for task in TASKS:
        folders[task] = run_of(tmp_path_factory.mktemp("runs") / "a run", task, data=pack)
        finetuning_report(folders[task])
    return folders


@pytest.fixture(scope="module")
def pages(finished: dict[str, Path], read_page: ReadPage) -> dict[str, Any]:
    return {task: read_page(folder / "report.html") for task, folder in finished.items()}


@pytest.mark.parametrize("task", TASKS)
def test_the_page_fetches_nothing_and_is_well_formed(finished, pages, task):
    page = pages[task]
    assert all(source.startswith(("data:image/", "#")) for source in page.sources)
    html = (finished[task] / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(|<script", html)
    assert page.unclosed == []
    links = {source[1:] for source in page.sources if source.startswith("#")}
    assert links <= set(page.identifiers)
    assert all(page.alternatives)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_run_gives_the_same_bytes(finished, task):
    first = (finished[task] / "report.html").read_bytes()
    finetuning_report(finished[task])
    assert (finished[task] / "report.html").read_bytes() == first


def test_what_was_trained_on_what_is_told(pages):
    text = pages["classification"].text
    said = (
        "ResNet-18 pretrained by SimCLR, kept as it is, with a linear layer behind it, trained to "
        "tell one of 3 classes a place on 4 labelled places in 10 s."
    )
    assert said in text
    assert "Encoder runs/simclr (0123456789abcdef)" in text
    assert "Mode linear: kept as it is" in text
    assert "Sensor s1 s1-grd: VV, VH Sensor rgb rgb: red, green, blue" in text
    assert f"Images {SIDE} pixels a side of 10 m; the first date of a place" in text
    assert "Labels 100 % of the training labels are used" in text
    assert "Training train: 4 places Validation val: 2 places Test test: 6 places" in text
    assert "Seed 0 Kept epoch 3 of 4" in text


def test_a_share_of_labels_and_a_validation_split_held_out_are_told(tmp_path, read_page):
    folder = run_of(tmp_path / "run", labels={"val": None}, mode="full", seed=7)
    text = read_page(finetuning_report(folder)).text
    assert "Validation 10 % of train, held out: 2 places" in text
    assert "Mode full: tuned together with a linear layer behind it" in text
    assert "0.0001 of the encoder" in text
    assert "Seed 7" in text


def test_scores_are_told_with_their_interval_and_a_guess(pages):
    text = pages["classification"].text
    row = r"Overall accuracy, % share that is right 66\.7 [\d.]+ to 100\.0 66\.7 33\.3"
    assert re.search(row, text)
    assert "Overall accuracy 66.7 % 95 %: " in text
    assert "95 % of 1,000 draws of as many of these places" in text


@pytest.mark.parametrize(
    ("task", "scores"),
    [
        ("classification", ("Overall accuracy", "Average accuracy", "Mean F1")),
        ("multi-label", ("mAP, mean of classes", "mAP, all in one list", "Mean F1")),
        ("segmentation", ("Mean IoU", "Overall accuracy", "Mean F1", "Kappa")),
    ],
)
def test_each_task_is_told_by_its_own_scores(pages, task, scores):
    for score in scores:
        assert f"{score}, %" in pages[task].text or f"{score} agreement" in pages[task].text


def test_each_class_is_told_with_support_precision_and_recall(pages):
    assert "field 2 50.0 50.0 50.0 lake 2 66.7 100.0 80.0 town 2 100.0 50.0 66.7" in (
        pages["classification"].text
    )
    assert "class test places precision recall F1 AP" in pages["multi-label"].text
    assert "class test pixels precision recall F1 IoU" in pages["segmentation"].text


def test_confusions_are_a_coloured_table_and_a_list(finished, pages):
    html = (finished["classification"] / "report.html").read_text()
    cell = re.search(r'<td title="field taken for lake: 1 of 2" style="([^"]+)">50</td>', html)
    assert cell
    assert cell[1].startswith("background: rgb(190 76 0 / ")
    right = 'style="background: rgb(10 95 134 / 1.00); color: #fff">100</td>'
    assert f'title="lake taken for lake: 2 of 2" {right}' in html
    assert "field lake 1 50.0 %" in pages["classification"].text
    assert "town lake 128 16.7 %" in pages["segmentation"].text


def test_several_labels_a_place_have_no_confusion_matrix(pages):
    assert "confusion" not in pages["multi-label"].identifiers
    assert "confusion" in pages["segmentation"].identifiers


def test_the_kept_step_is_marked_in_the_curves(finished, pages):
    run = read_finetuning(finished["classification"])
    charts = {chart.title: chart for chart in finetuning_charts(run)}
    for title in ("Loss on training places", "Overall accuracy on validation"):
        assert [(mark.label, mark.step) for mark in charts[title].marks] == [("kept", 15)]
    alternatives = " ".join(pages["classification"].alternatives)
    assert "Loss on training places: loss, over steps; kept: step 15" in alternatives
    assert "Mean IoU on validation: mean IoU" in " ".join(pages["segmentation"].alternatives)


@pytest.mark.parametrize("task", TASKS)
def test_calibration_is_drawn(pages, task):
    assert "Share that is right over confidence, in bins" in pages[task].alternatives
    assert re.search(r"Expected calibration error [\d.]+ %", pages[task].text)


def test_the_surest_mistakes_are_shown_first_with_names_and_pictures(pages):
    page = pages["classification"]
    mistakes = [text for text in page.alternatives if "; truth: " in text]
    assert mistakes == ["place/7: lake; truth: field", "place/11: field; truth: town"]
    assert "lake , 98 % true: field 7 field , 60 % true: town 11" in page.text


def test_of_several_labels_what_was_missed_is_a_mistake_too(pages):
    mistakes = [text for text in pages["multi-label"].alternatives if "; truth: " in text]
    assert mistakes == ["place/6: town; truth: field", "place/11: no town; truth: field, town"]


def test_maps_stand_beside_the_image_and_the_truth_with_a_legend(finished, pages):
    page = pages["segmentation"]
    for place in ("place/6", "place/11"):
        for what in ("the image", "true classes", "predicted classes"):
            assert f"{place}: {what}" in page.alternatives
    html = (finished["segmentation"] / "report.html").read_text()
    legend = re.findall(r'<li><span style="background: (#\w{6})"></span>([\w ]+)</li>', html)
    assert [name for _, name in legend] == [*CLASSES, "no label"]
    assert len({colour for colour, _ in legend}) == 4


@pytest.mark.parametrize("task", TASKS)
def test_data_that_are_gone_are_one_sentence(tmp_path, read_page, task):
    gone = tmp_path / "gone"
    page = read_page(finetuning_report(run_of(tmp_path / "run", task, data=gone)))
    assert f"Pictures are not shown: the data are no longer at {gone}." in page.text
    assert not any("the image" in text or "; truth: " in text for text in page.alternatives)
    if task == "segmentation":
        assert "place/6: predicted classes" in page.alternatives
    else:
        assert "place/11" in page.text


def test_other_data_at_the_same_path_are_not_taken_for_the_tests(tmp_path, read_page):
    other = pack_of(tmp_path / "pack", names=[f"other/{number}" for number in range(12)])
    text = read_page(finetuning_report(run_of(tmp_path / "run", data=other))).text
    assert f"Pictures are not shown: other data lie at {other} by now." in text


def test_data_that_are_damaged_are_one_sentence(tmp_path, read_page):
    (tmp_path / "pack").mkdir()
    folder = run_of(tmp_path / "run", data=tmp_path / "pack")
    assert "Pictures are not shown: " in read_page(finetuning_report(folder)).text


def test_a_run_that_kept_no_predictions_has_the_rest_of_the_page(tmp_path, pack, read_page):
    folder = run_of(tmp_path / "run", data=pack)
    (folder / "test.safetensors").unlink()
    page = read_page(finetuning_report(folder))
    assert "did not keep what the model said of test places" in page.text
    assert "Overall accuracy, %" in page.text
    assert {"classes", "places", "calibration"}.isdisjoint(page.identifiers)
    links = {source[1:] for source in page.sources if source.startswith("#")}
    assert links <= set(page.identifiers)


def test_an_unfinished_run_says_so(tmp_path, read_page):
    folder = run_of(tmp_path / "run", finished=False)
    page = read_page(finetuning_report(folder))
    assert "This run is unfinished: there is no model yet, the last row is of step 20." in page.text
    assert "Best so far epoch 3 of 4" in page.text
    assert "best so far: step 15" in " ".join(page.alternatives)
    assert "There is no model to use" in page.text
    (folder / "last.ckpt").write_bytes(b"")
    (folder / "metrics.jsonl").write_text("")
    text = read_page(finetuning_report(folder)).text
    assert "nothing is logged yet. The same finetune command with --resume goes on" in text


def test_a_model_that_is_no_better_than_a_guess_is_warned_of(tmp_path, pack, read_page):
    said = of_one_label()
    always = renamed(said, torch.tensor([[0.5, 0.3, 0.2]]).repeat(6, 1))
    text = read_page(
        finetuning_report(run_of(tmp_path / "run", data=pack, predictions=always))
    ).text
    assert "Overall accuracy is 33.3 %, and one answer for all has 33.3 %" in text
    assert "Never said, though test places have them: lake, town." in text


def test_a_run_whose_last_epoch_is_the_best_is_told_to_go_on(tmp_path, read_page):
    text = read_page(finetuning_report(run_of(tmp_path / "run", epochs=3))).text
    assert "The last epoch is the best on validation" in text
    assert "try schedule.epochs=6" in text


def test_a_healthy_run_has_no_warning(pages):
    assert "warnings" not in pages["classification"].identifiers


def test_settings_that_differ_from_the_shipped_ones_are_shown(finished, pages):
    assert "mode linear full" in pages["classification"].text
    for line in (finished["classification"] / "config.yaml").read_text().splitlines():
        assert line.strip() in pages["classification"].text


def test_the_command_writes_the_page(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished["classification"], folder)
    words = ["report", str(folder), "--overwrite", "--json"]
    done = CliRunner().invoke(main, words)
    assert json.loads(done.stdout) == {"run": str(folder), "report": f"{folder}/report.html"}


def test_embeddings_are_for_pretraining_runs(finished, tmp_path):
    with pytest.raises(InputError, match="is no pretraining run; leave it out"):
        run_report(finished["classification"], embeddings=tmp_path / "e.parquet")


@pytest.mark.parametrize("name", ["model.safetensors", "test.safetensors", "metrics.jsonl"])
def test_a_damaged_file_is_refused_by_name(tmp_path, pack, name):
    folder = run_of(tmp_path / "run", data=pack)
    (folder / name).write_text('{"no": "step"}\n')
    done = CliRunner().invoke(main, ["report", str(folder)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {folder / name}: ")
    assert done.stderr.count("\n") == 1
