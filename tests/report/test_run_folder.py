"""What a training run has written so far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eo_contrast.errors import InputError
from eo_contrast.report.run_folder import Row, patches_by_layer, read_run, speed
from eo_contrast.translate.config import TranslatorConfig

MakeRun = Callable[..., Path]


def test_a_finished_run_has_rows_pictures_and_a_card(make_run: MakeRun) -> None:
    run = read_run(make_run())
    assert [row["step"] for row in run.train] == [10, 20]
    assert [row["step"] for row in run.watch] == [10, 20]
    assert [step for step, _ in run.samples] == [10, 20]
    assert run.card is not None
    assert run.card.trained["tiles"] == 6
    assert run.step == 20


def test_a_row_cut_short_by_a_kill_is_left_out(make_run: MakeRun) -> None:
    folder = make_run()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 30, "pha')
    assert read_run(folder).step == 20


def test_foreign_folders_are_refused_by_name(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_run(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: holds no config\.yaml"):
        read_run(tmp_path / "empty")
    with pytest.raises(InputError, match="is a file, not a folder"):
        read_run(make_run() / "config.yaml")


def test_another_log_is_refused_with_its_line(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "metrics.jsonl").write_text('{"step": 1, "phase": "train"}\n{"epoch": 2}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl: line 2 names no step"):
        read_run(folder)


def test_speed_is_the_median_of_seconds_a_step() -> None:
    rows: list[Row] = [
        {"step": 10, "seconds": 5.0},
        {"step": 20, "seconds": 40.0},
        {"step": 30, "seconds": 6.0},
    ]
    took = speed(rows)
    assert took.total_s == 51.0
    assert took.step_s == 0.6
    assert took.peak_rss_mib is None


def test_a_row_after_a_resume_counts_for_the_total_alone() -> None:
    rows = [{"step": 100, "seconds": 50.0}, {"step": 60, "seconds": 5.0}]
    assert speed(rows).step_s == 0.5
    assert speed(rows).total_s == 55.0


def test_no_rows_have_no_speed() -> None:
    assert speed([]).step_s is None


def test_small_crops_have_fewer_patches_in_deep_layers() -> None:
    config = TranslatorConfig.model_validate(
        {
            "recipe": "fastcut",
            "generator": {"width": 2, "blocks": 1},
            "patch_sampler": {"layers": ["stem.pad", "block1"], "patches": 256},
            "data": {"crop": {"load_size": None, "crop_size": 32}},
        }
    )
    assert patches_by_layer(config) == {"stem.pad": 256, "block1": 64}


def test_negatives_from_the_whole_batch_multiply_the_patches() -> None:
    config = TranslatorConfig.model_validate(
        {
            "recipe": "fastcut",
            "generator": {"width": 2, "blocks": 1},
            "patch_sampler": {"layers": ["block1"], "patches": 16},
            "loss": {"whole_batch_negatives": True},
            "data": {"batch_size": 4},
        }
    )
    assert patches_by_layer(config) == {"block1": 64}
