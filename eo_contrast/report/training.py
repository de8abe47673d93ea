"""The page of a training run: scores, curves, pictures, settings, and how to use the model."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from eo_contrast.report.charts import drawn_charts
from eo_contrast.report.page import Headline, write_page
from eo_contrast.report.pictures import RGB, Picture, png, read_png, shrunk
from eo_contrast.report.run_folder import Run, Speed, read_run, speed
from eo_contrast.report.score_table import (
    SCORES,
    Table,
    class_names,
    table_of,
    worded,
)
from eo_contrast.report.training_charts import loss_charts, score_charts
from eo_contrast.report.warning_signs import warning_signs
from eo_contrast.report.wording import RECIPE_NAMES, counted, duration, flattened, setting
from eo_contrast.training.card import Card
from eo_contrast.training.describe import REPORT_FILE
from eo_contrast.translate.config import TranslatorConfig

COLUMNS = ("Satellite", "Translated", "True map")
TIMELINE_LENGTH = 8
TIMELINE_TILE = 160
LARGEST_TRIPTYCH = 1536
GAP = 8


@dataclass(frozen=True)
class Triptychs:
    """Rows satellite, translated, true map, as training saw them at ``step``."""

    step: int
    picture: Picture


@dataclass(frozen=True)
class Moment:
    """One column of the timeline: the same tiles, as drawn at one step."""

    caption: str
    picture: Picture


def training_report(run_folder: Path) -> Path:
    """Write ``report.html`` into a run folder, replacing an older one.

    Returns: the page's path.

    Raises:
        InputError: no training run lies there, or a file of it is damaged.
        WorldError: the disk is full or failing.
    """
    run = read_run(run_folder)
    return write_page(
        run_folder / REPORT_FILE, "training", title=_title(run), **training_context(run)
    )


def training_context(run: Run) -> dict[str, Any]:
    """Everything that the templates tell of a training run."""
    took = speed(run.timings)
    return {
        "run": run,
        "summary": summary_sentence(run, took),
        "status": _status(run),
        "warnings": warning_signs(run),
        "headlines": headlines(run),
        "class_table": class_table(run),
        "loss_charts": drawn_charts(loss_charts(run)),
        "score_charts": drawn_charts(score_charts(run)),
        "triptychs": last_triptychs(run),
        "columns": COLUMNS,
        "timeline": timeline(run),
        "changed": changed_settings(run.config),
        "config_text": yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False),
        "card_facts": _card_facts(run.card) if run.card else [],
        "speed": took,
        "commands": _commands(run),
    }


def summary_sentence(run: Run, took: Speed) -> str:
    """Recipe, steps, tiles and time in one sentence."""
    focal = " with focal PatchNCE" if run.config.loss.weighting.kind == "focal" else ""
    recipe = RECIPE_NAMES[run.config.recipe] + focal
    tiles = run.card.trained.get("tiles") if run.card else None
    on_tiles = f" on {counted(int(tiles), 'tile')}" if tiles else ""
    in_time = f" in {duration(took.total_s)}" if run.timings else ""
    return (
        f"A {recipe} translator, satellite to map, trained for "
        f"{counted(run.step, 'step')}{on_tiles}{in_time}."
    )


def headlines(run: Run) -> list[Headline]:
    """The scores of the last look, and how they changed since the first."""
    if not run.watch:
        return []
    first, last = run.watch[0], run.watch[-1]
    shown = []
    for key in ("psnr", "ssim", "iou/mean_iou"):
        if key not in last:
            continue
        score = SCORES[key]
        change = ""
        if len(run.watch) > 1 and key in first:
            change = f"was {worded(first[key], score)} at step {int(first['step']):,}"
        shown.append(
            Headline(score.label, worded(last[key], score), score.unit, score.meaning, change)
        )
    return shown


def class_table(run: Run) -> Table | None:
    """IoU of every map class at the first and the last look."""
    keys = class_names(run.watch)
    if not keys:
        return None
    looks = [run.watch[0], run.watch[-1]] if len(run.watch) > 1 else [run.watch[-1]]
    return table_of({f"step {int(look['step']):,}": look for look in looks}, keys)


def last_triptychs(run: Run) -> Triptychs | None:
    """The newest sample picture, large."""
    if not run.samples:
        return None
    step, path = run.samples[-1]
    alt = f"Rows of satellite tile, translation and true map after {counted(step, 'step')}"
    return Triptychs(step, png(shrunk(spaced(read_png(path)), LARGEST_TRIPTYCH), alt))


def timeline(run: Run) -> list[Moment]:
    """The same tiles over training: satellite, some looks, true map; empty for one look."""
    if len(run.samples) < 2:
        return []
    chosen = np.linspace(0, len(run.samples) - 1, min(TIMELINE_LENGTH, len(run.samples)))
    looks = [run.samples[round(float(place))] for place in chosen]
    satellite, _, true_map = _columns(read_png(looks[-1][1]))
    moments = [Moment("satellite", _small(satellite, "Satellite tiles"))]
    for step, path in looks:
        drawing = _columns(read_png(path))[1]
        moments.append(Moment(f"step {step:,}", _small(drawing, f"Translations at step {step:,}")))
    return [*moments, Moment("true map", _small(true_map, "True maps"))]


def changed_settings(config: TranslatorConfig) -> list[tuple[str, str, str]]:
    """Settings that differ from the recipe's defaults: name, value here, default."""
    here = flattened(config.model_dump(mode="json"))
    defaults = flattened(
        TranslatorConfig.model_validate({"recipe": config.recipe}).model_dump(mode="json")
    )
    return [
        (name, setting(value), setting(defaults.get(name)))
        for name, value in here.items()
        if defaults.get(name) != value
    ]


def spaced(triptychs: RGB, columns: int = 3) -> RGB:
    """Tiles that touch, (rows * side, columns * width, 3), with white gaps between them.

    Only square tiles tell how many rows there are; others get gaps between columns alone.
    """
    width = triptychs.shape[1] // columns
    rows = triptychs.shape[0] // width if triptychs.shape[0] % width == 0 else 1
    for axis, parts in ((0, rows), (1, columns)):
        tiles = np.array_split(triptychs, parts, axis=axis)
        gap = np.full_like(tiles[0], 255)
        gap = gap[:GAP] if axis == 0 else gap[:, :GAP]
        triptychs = np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=axis)
    return triptychs


def _columns(triptych: RGB) -> tuple[RGB, RGB, RGB]:
    width = triptych.shape[1] // 3
    return triptych[:, :width], triptych[:, width : 2 * width], triptych[:, 2 * width : 3 * width]


def _small(column: RGB, alt: str) -> Picture:
    column = spaced(column, columns=1)
    height, width = column.shape[:2]
    side = round(max(height, width) * min(TIMELINE_TILE / width, 1.0))
    return png(shrunk(column, side), alt)


def _title(run: Run) -> str:
    return f"Training run: {run.folder.resolve().name}"


def _status(run: Run) -> str:
    """What is missing of an unfinished run; empty when it is finished."""
    if run.card is not None:
        saved = int(run.card.trained.get("steps", run.step))
        if saved >= run.step:
            return ""
        return f"Training went on since: the model is of step {saved:,}, the log of {run.step:,}."
    then = (
        "The same train-translator command with --resume goes on from its checkpoint."
        if run.resumable
        else "It has no checkpoint yet."
    )
    last = f"the last row is of step {run.step:,}" if run.step else "nothing is logged yet"
    return f"This run is unfinished: there is no model yet, {last}. {then}"


def _card_facts(card: Card) -> list[tuple[str, str]]:
    scaling, resolution = card.scaling, card.ground_resolution_m
    return [
        ("Task", card.task),
        ("Bands in", ", ".join(card.bands_in)),
        ("Values in", f"{scaling.minimum:g} to {scaling.maximum:g}; clipped beyond"),
        (
            "Ground resolution",
            "not known: rasters are taken to have the training tiles' pixels"
            if resolution is None
            else f"{resolution:.3g} m a pixel; rasters of another are resampled",
        ),
        ("Scale", f"training tiles at {card.zoom:.3g} of their size"),
        ("Bands out", ", ".join(card.bands_out) + "; 0 to 255"),
        ("Map style", card.palette or "not stated"),
        (
            "Generator",
            f"ResNet, width {card.architecture.width}, {card.architecture.blocks} blocks",
        ),
    ]


def _commands(run: Run) -> list[str]:
    folder = shlex.quote(str(run.folder))
    return [
        f"eo-contrast translate scene.tif map.tif --model {folder}",
        f"eo-contrast evaluate translation --data TILES --model {folder} --split test",
        f"eo-contrast info {folder}",
    ]
