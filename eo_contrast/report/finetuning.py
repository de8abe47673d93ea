"""The page of a fine-tuning run: scores with their doubt, classes, confusions, test places."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from eo_contrast.config import load_config, shipped_folder
from eo_contrast.evaluate.intervals import COVERED
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.report.charts import drawn_charts
from eo_contrast.report.class_tables import class_table, confusion_rows, matrix_of, taken_for
from eo_contrast.report.finetuning_charts import finetuning_charts
from eo_contrast.report.finetuning_facts import (
    headlines,
    run_facts,
    summary_sentence,
    warnings_of,
)
from eo_contrast.report.finetuning_run import FinetuningRun, Tested, read_finetuning
from eo_contrast.report.land_cover_pictures import examples_of, legend_of, mistakes_of
from eo_contrast.report.land_cover_scores import intervals_of, score_table
from eo_contrast.report.page import write_page
from eo_contrast.report.reliability_chart import reliability_of, reliability_picture
from eo_contrast.report.run_folder import speed
from eo_contrast.report.wording import changes
from eo_contrast.training.describe import REPORT_FILE


def finetuning_report(run_folder: Path) -> Path:
    """Write ``report.html`` into a run folder, replacing an older one.

    Returns: the page's path.

    Raises:
        InputError: no fine-tuning run lies there, or a file of it is damaged.
        WorldError: the disk is full or failing.
    """
    run = read_finetuning(run_folder)
    return write_page(
        run_folder / REPORT_FILE, "finetuning", **_of_run(run), **_of_test(run, run.tested)
    )


def _of_run(run: FinetuningRun) -> dict[str, Any]:
    took = speed(run.log.timings)
    table = score_table(run, None if run.tested is None else intervals_of(run.tested.predictions))
    return {
        "title": f"Land-cover run: {run.folder.resolve().name}",
        "run": run,
        "summary": summary_sentence(run, took),
        "status": _status(run),
        "warnings": warnings_of(run),
        "headlines": headlines(run, table),
        "facts": run_facts(run),
        "scores": table,
        "covered": COVERED,
        "charts": drawn_charts(finetuning_charts(run)),
        "commands": _commands(run),
        "speed": took,
        "changed": _changed(run.config),
        "config_text": yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False),
    }


def _of_test(run: FinetuningRun, tested: Tested | None) -> dict[str, Any]:
    if tested is None:
        lacking = "It was made by a release that did not keep what the model said of test places."
        return {"tested": None, "lacking": lacking if run.card else ""}
    predictions, classes = tested.predictions, tested.told.classes
    matrix = None if run.config.task == "multi-label" else matrix_of(predictions)
    reliability = reliability_of(predictions)
    mistakes, no_pictures = mistakes_of(run, tested)
    examples, no_images = examples_of(run, tested)
    return {
        "tested": tested,
        "lacking": "",
        "unit": "pixels" if run.config.task == "segmentation" else "places",
        "classes": class_table(predictions, classes),
        "confusion": [] if matrix is None else confusion_rows(matrix, classes),
        "taken_for": [] if matrix is None else taken_for(matrix, classes),
        "reliability": reliability_picture(reliability),
        "calibration_error": reliability.error,
        "mistakes": mistakes,
        "no_pictures": no_pictures or no_images,
        "examples": examples,
        "legend": legend_of(tested),
    }


def _status(run: FinetuningRun) -> str:
    """What is missing of an unfinished run; empty when it is finished."""
    step = run.log.step
    if run.card is not None:
        saved = int(run.card.trained.get("steps", step))
        if saved >= step:
            return ""
        return f"Training went on since: the model is of step {saved:,}, the log of {step:,}."
    last = f"the last row is of step {step:,}" if step else "nothing is logged yet"
    then = (
        "The same finetune command with --resume goes on from its checkpoint."
        if run.resumable
        else "It has no checkpoint yet."
    )
    return f"This run is unfinished: there is no model yet, {last}. {then}"


def _changed(config: FinetuneConfig) -> list[tuple[str, str, str]]:
    """Settings that differ from the shipped configuration of the task: name, here, there."""
    shipped = load_config(
        FinetuneConfig, shipped_folder("configs/landcover") / f"{config.task}.yaml"
    )
    return changes(config.model_dump(mode="json"), shipped.model_dump(mode="json"))


def _commands(run: FinetuningRun) -> list[str]:
    folder = shlex.quote(str(run.folder))
    return [f"eo-contrast info {folder}", f"eo-contrast report {folder} --overwrite"]
