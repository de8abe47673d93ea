"""How each class fared: a table of them, and which are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eo_contrast.evaluate.land_cover import (
    THRESHOLD,
    average_precision_by_class,
    confusion,
    f1_by_class,
    iou_by_class,
    recall_by_class,
)
from eo_contrast.landcover.predictions import PixelPredictions, Predictions
from eo_contrast.report.wording import decimal

MOST_SHOWN = 40
"""Classes of a confusion matrix that still can be read."""
MANY = 100_000
"""Pixels from which shares are read better than counts."""
PAIRS = 5
RIGHT, WRONG = (10, 95, 134), (190, 76, 0)
DARK = 0.55
"""Strength of a colour from which white letters are read better on it."""


@dataclass(frozen=True)
class ClassRow:
    """One class; numbers in words, a dash where there is none."""

    name: str
    support: str
    cells: Sequence[str]
    share: float


@dataclass(frozen=True)
class ClassTable:
    """All classes; ``share`` of a row, 0..1, is the last column's, for a bar."""

    columns: Sequence[str]
    rows: Sequence[ClassRow]


@dataclass(frozen=True)
class Cell:
    """Of a confusion matrix: per cent of the true class, its colours, and the count in words."""

    text: str
    style: str
    title: str


@dataclass(frozen=True)
class ConfusionRow:
    """A true class and what it was taken for."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class TakenFor:
    """What often goes wrong."""

    true: str
    predicted: str
    count: str
    share: str


def class_table(predictions: Predictions, classes: Sequence[str]) -> ClassTable:
    """Support, precision, recall and what sums them up, class by class."""
    if isinstance(predictions, PixelPredictions) or predictions.true.ndim == 1:
        matrix = matrix_of(predictions)
        counts = (matrix.diagonal(), matrix.sum(1), matrix.sum(0))
        last = {"F1": f1_by_class(matrix)}
        if isinstance(predictions, PixelPredictions):
            last["IoU"] = iou_by_class(matrix)
        recall = recall_by_class(matrix)
    else:
        given, true = predictions.probabilities >= THRESHOLD, predictions.true == 1
        counts = ((given & true).sum(0), true.sum(0), given.sum(0))
        recall = counts[0].double() / counts[1]
        last = {
            "F1": 2 * counts[0].double() / (counts[1] + counts[2]),
            "AP": average_precision_by_class(predictions.probabilities, predictions.true),
        }
    columns = {"precision": counts[0].double() / counts[2], "recall": recall, **last}
    return ClassTable(list(columns), _class_rows(columns, counts[1], classes))


def matrix_of(predictions: Predictions) -> Tensor:
    """Places or pixels by true class (row) and predicted class, where each has one."""
    if isinstance(predictions, PixelPredictions):
        return predictions.confusions.matrix
    probabilities = predictions.probabilities
    return confusion(probabilities.argmax(1), predictions.true, probabilities.shape[1])


def confusion_rows(matrix: Tensor, classes: Sequence[str]) -> list[ConfusionRow]:
    """The matrix in per cent of each true class; empty where classes are too many to read."""
    if len(classes) > MOST_SHOWN:
        return []
    rows = []
    for number, (name, counts) in enumerate(zip(classes, matrix.tolist(), strict=True)):
        cells = [
            _cell(count, sum(counts), name, classes[other], right=number == other)
            for other, count in enumerate(counts)
        ]
        rows.append(ConfusionRow(name, cells))
    return rows


def taken_for(matrix: Tensor, classes: Sequence[str]) -> list[TakenFor]:
    """The commonest errors, most places or pixels first."""
    wrong = matrix.clone().fill_diagonal_(0)
    counts, cells = wrong.flatten().sort(descending=True, stable=True)
    found = []
    for count, cell in zip(counts[:PAIRS].tolist(), cells[:PAIRS].tolist(), strict=True):
        true, predicted = divmod(cell, len(classes))
        if count:
            share = count / int(matrix[true].sum())
            found.append(
                TakenFor(
                    classes[true], classes[predicted], f"{count:,}", f"{decimal(100 * share, 1)} %"
                )
            )
    return found


def never_predicted(predictions: Predictions, classes: Sequence[str]) -> list[str]:
    """Classes that the truth has and the model never said."""
    if isinstance(predictions, PixelPredictions) or predictions.true.ndim == 1:
        matrix = matrix_of(predictions)
        lacking = (matrix.sum(1) > 0) & (matrix.sum(0) == 0)
    else:
        said = (predictions.probabilities >= THRESHOLD).any(0)
        lacking = (predictions.true == 1).any(0) & ~said
    return [classes[number] for number in torch.nonzero(lacking).flatten().tolist()]


def _class_rows(
    columns: dict[str, Tensor], support: Tensor, classes: Sequence[str]
) -> list[ClassRow]:
    values = [each.tolist() for each in columns.values()]
    total = max(int(support.sum()), 1)
    rows = []
    for number, (name, count) in enumerate(zip(classes, support.tolist(), strict=True)):
        numbers = [column[number] for column in values]
        cells = [decimal(100 * value, 1) for value in numbers]
        few = total < MANY or not count
        of_all = f"{count:,}" if few else f"{decimal(100 * count / total, 2)} %"
        last = numbers[-1]
        rows.append(ClassRow(name, of_all, cells, last if last == last else 0.0))
    return rows


def _cell(count: int, total: int, true: str, predicted: str, *, right: bool) -> Cell:
    share = count / total if total else 0.0
    title = f"{true} taken for {predicted}: {count:,} of {total:,}"
    if not count:
        return Cell("", "", title)
    # Errors are few where a model is good, and are to be seen all the same.
    strength = share if right else share**0.5
    red, green, blue = RIGHT if right else WRONG
    ink = "; color: #fff" if strength > DARK else ""
    style = f"background: rgb({red} {green} {blue} / {0.06 + 0.94 * strength:.2f}){ink}"
    return Cell("<1" if share < 0.005 else f"{100 * share:.0f}", style, title)
