"""Scores of a land-cover model in a table: how sure they are, and what a guess would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from eo_contrast.evaluate.intervals import (
    Intervals,
    confusion_intervals,
    multi_label_intervals,
    of_single_labels,
)
from eo_contrast.evaluate.land_cover import (
    confusion_scores,
    multi_label_scores,
    single_label_scores,
)
from eo_contrast.landcover.predictions import PixelPredictions, Predictions
from eo_contrast.report.finetuning_run import FinetuningRun
from eo_contrast.report.score_table import Score, worded

SCORES: Mapping[str, Score] = {
    "accuracy": Score("Overall accuracy", "%", 1, 100, "share that is right"),
    "average_accuracy": Score(
        "Average accuracy", "%", 1, 100, "mean recall: every class counts alike"
    ),
    "macro_f1": Score("Mean F1", "%", 1, 100, "mean over classes"),
    "micro_f1": Score("F1 of all decisions", "%", 1, 100, "common classes count more"),
    "macro_map": Score(
        "mAP, mean of classes", "%", 1, 100, "average precision: area under precision over recall"
    ),
    "micro_map": Score("mAP, all in one list", "%", 1, 100, "common classes count more"),
    "mean_iou": Score("Mean IoU", "%", 1, 100, "overlap of prediction and truth, mean of classes"),
    "mean_iou_true": Score(
        "Mean IoU, true classes", "%", 1, 100, "over classes that the truth has"
    ),
    "kappa": Score("Kappa", "", 3, 1, "agreement beyond chance; 0 is chance"),
    "ece": Score("Calibration error", "%", 1, 100, "probability against the share that is so"),
    "nll": Score("Negative log-likelihood", "", 3, 1, "the lower the better"),
}
LOWER_IS_BETTER = ("ece", "nll")
OF_TASK: Mapping[str, Sequence[str]] = {
    "classification": ("accuracy", "average_accuracy", "macro_f1", "kappa", "ece", "nll"),
    "multi-label": (
        "macro_map", "micro_map", "macro_f1", "micro_f1", "accuracy", "average_accuracy",
        "ece",
    ),
    "segmentation": (
        "mean_iou", "accuracy", "average_accuracy", "macro_f1", "mean_iou_true", "kappa",
        "ece",
    ),
}  # fmt: skip
"""Which scores are told, what the task is known by first."""


@dataclass(frozen=True)
class ScoreRow:
    """A score in words; an empty cell is not known.

    Attributes:
        interval: in which it would lie with other test places.
        guess: of the best answer that is the same for every place or pixel.
    """

    score: Score
    test: str
    interval: str
    val: str
    guess: str


@dataclass(frozen=True)
class ScoreTable:
    """The scores of a run.

    Attributes:
        draws: how many the intervals are from; 0: there are none.
    """

    rows: Sequence[ScoreRow]
    draws: int


def score_table(run: FinetuningRun, intervals: Intervals | None) -> ScoreTable | None:
    """What the model was found to be worth; None while there is no model."""
    if run.card is None:
        return None
    test, val = run.card.trained.get("test", {}), run.card.trained.get("val", {})
    guess = {} if run.tested is None else guess_scores(run.tested.predictions)
    rows = []
    for key in OF_TASK[run.config.task]:
        if key not in test:
            continue
        score = SCORES[key]
        between = intervals.of.get(key) if intervals else None
        words = [_cell(each.get(key), score) for each in (test, val, guess)]
        middle = " to ".join(worded(limit, score) for limit in between) if between else ""
        rows.append(ScoreRow(score, words[0], middle, words[1], words[2]))
    return ScoreTable(rows, intervals.draws if intervals else 0)


def intervals_of(predictions: Predictions) -> Intervals:
    """How far each score would move with other test places."""
    if isinstance(predictions, PixelPredictions):
        return confusion_intervals(predictions.confusions)
    probabilities, true = predictions.probabilities, predictions.true
    if true.ndim == 2:
        return multi_label_intervals(probabilities, true)
    return confusion_intervals(
        of_single_labels(probabilities.argmax(1), true, probabilities.shape[1])
    )


def guess_scores(predictions: Predictions) -> Mapping[str, float]:
    """Of an answer that knows how common classes are, and nothing of the place."""
    if isinstance(predictions, PixelPredictions):
        matrix = predictions.confusions.matrix
        guessed = torch.zeros_like(matrix)
        guessed[:, matrix.sum(1).argmax()] = matrix.sum(1)
        return confusion_scores(guessed)
    true, (places, classes) = predictions.true, predictions.probabilities.shape
    if true.ndim == 2:
        return multi_label_scores(true.float().mean(0).expand(places, classes).contiguous(), true)
    shares = torch.bincount(true, minlength=classes) / places
    return single_label_scores(shares.expand(places, classes).contiguous(), true)


def _cell(value: float | None, score: Score) -> str:
    return "" if value is None else worded(value, score)
