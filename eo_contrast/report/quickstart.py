"""The page of the quickstart: what was made, how good it is, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eo_contrast.report.page import write_page
from eo_contrast.report.run_folder import read_run
from eo_contrast.report.score_table import flat_scores
from eo_contrast.report.training import training_context
from eo_contrast.report.translation import score_tables, translation_context
from eo_contrast.report.wording import RECIPE_NAMES, counted, duration
from eo_contrast.training.describe import REPORT_FILE


@dataclass(frozen=True)
class Stage:
    """How long one stage took; ``share`` of the longest, 0..1, is its bar's length."""

    name: str
    seconds: float
    share: float


def quickstart_report(
    folder: Path,
    *,
    training_run: Path,
    source: Path,
    translated: Path,
    truth: Path | None,
    scores: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    summary: Mapping[str, Any],
    seconds: Mapping[str, float],
    command_lines: Sequence[str],
) -> Path:
    """Write ``folder/report.html``, replacing an older one.

    Args:
        training_run: the run folder of the translator that was trained.
        source, translated, truth: the scene, its map, and the true map on the same grid.
        scores: of the map, as ``evaluate`` gives them.
        baselines: the same scores of what the map should beat, by name.
        summary: what ``translate`` returned.
        seconds: by stage, in the order they ran.
        command_lines: the commands that do the same by hand.

    Raises:
        InputError: a raster or the run folder cannot be read.
        WorldError: the disk is full or failing.
    """
    run = read_run(training_run)
    rows = {"this run": scores, **baselines}
    return write_page(
        folder / REPORT_FILE,
        "quickstart",
        title="From satellite image to map",
        lead=_lead(RECIPE_NAMES[run.config.recipe], run.step, sum(seconds.values()), summary),
        score_tables=score_tables({name: flat_scores(row) for name, row in rows.items()}),
        stages=_stages(seconds),
        command_lines=list(command_lines),
        **translation_context(source, translated, truth=truth, summary=summary),
        **training_context(run),
    )


def _lead(recipe: str, steps: int, seconds: float, summary: Mapping[str, Any]) -> str:
    return (
        f"A {recipe} translator was trained for {counted(steps, 'step')} and then drew this map "
        f"of {summary['width']:,} × {summary['height']:,} pixels from the satellite image beside "
        f"it. Everything together took {duration(seconds)}."
    )


def _stages(seconds: Mapping[str, float]) -> list[Stage]:
    longest = max(seconds.values(), default=0.0)
    return [
        Stage(name, taken, taken / longest if longest else 0.0) for name, taken in seconds.items()
    ]
