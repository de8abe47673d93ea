"""Scores by name: how each is called, in which unit, and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """How one score is shown; ``factor`` brings it to its unit."""

    label: str
    unit: str = ""
    digits: int = 3
    factor: float = 1.0
    meaning: str = ""


SCORES = {
    "psnr": Score("PSNR", "dB", 2, meaning="closeness of colours, the higher the better"),
    "ssim": Score("SSIM", meaning="closeness of structure, at most 1"),
    "within_5": Score("within 5", "%", 1, 100, "pixels with every channel within 5 of 255"),
    "within_10": Score("within 10", "%", 1, 100, "pixels with every channel within 10 of 255"),
    "iou/mean_iou": Score(
        "mean IoU", meaning="overlap of map classes with the true ones, at most 1"
    ),
    "road/completeness": Score("roads found", "%", 1, 100, "true road that was drawn"),
    "road/correctness": Score("roads right", "%", 1, 100, "drawn road that is true"),
}
NUMBER = Score("pairs", digits=0, meaning="true maps that were compared")
CLASS_PREFIX = "iou/"


@dataclass(frozen=True)
class Table:
    """Rows of worded numbers; ``best[row][column]`` marks the highest of each column."""

    columns: Sequence[Score]
    rows: Sequence[tuple[str, Sequence[str]]]
    best: Sequence[Sequence[bool]]


def flat_scores(scores: Mapping[str, Any]) -> dict[str, float]:
    """What ``evaluate`` gives, by the names that the training log uses.

    ``agreement.water`` becomes ``iou/water``, ``road.correctness`` ``road/correctness``;
    what is not a number is left out.
    """
    flat: dict[str, float] = {}
    for name, value in scores.items():
        if isinstance(value, Mapping):
            prefix = CLASS_PREFIX if name == "agreement" else f"{name}/"
            flat |= {f"{prefix}{part}": of for part, of in flat_scores(value).items()}
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            flat[name] = float(value)
    return flat


def class_names(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Keys of the map classes' IoU that any row has, in their first order."""
    keys = {key: None for row in rows for key in row if key.startswith(CLASS_PREFIX)}
    return [key for key in keys if key not in SCORES]


def score_of(key: str) -> Score:
    """How the score ``key`` is shown."""
    if key == "n":
        return NUMBER
    return SCORES.get(key) or Score(key.removeprefix(CLASS_PREFIX).replace("_", " "))


def table_of(rows: Mapping[str, Mapping[str, float]], keys: Sequence[str]) -> Table:
    """The scores ``keys`` that any row has, one row a name, the best of each column marked.

    Args:
        rows: flat scores by the name of what was scored.
    """
    keys = [key for key in keys if any(key in row for row in rows.values())]
    columns = [score_of(key) for key in keys]
    highest = [max(_finite(row.get(key)) for row in rows.values()) for key in keys]
    lines, best = [], []
    for name, row in rows.items():
        lines.append((name, [worded(row.get(key), score_of(key)) for key in keys]))
        best.append(
            [
                len(rows) > 1 and _finite(row.get(key)) == top > -math.inf
                for key, top in zip(keys, highest, strict=True)
            ]
        )
    return Table(columns, lines, best)


def worded(value: float | None, score: Score) -> str:
    """The number without its unit; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value * score.factor:,.{score.digits}f}"


def _finite(value: float | None) -> float:
    return -math.inf if value is None or math.isnan(value) else value
