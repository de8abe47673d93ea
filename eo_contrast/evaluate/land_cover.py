"""Scores of land-cover predictions, each of a whole split at once.

A mean over batches of a score is not the score of the split, so that nothing here takes a batch:
places are collected, pixels counted in one confusion matrix, and scored at the end.

Classes that a split lacks are treated by one rule, which each name states: ``average_accuracy`` and
``macro_map`` are means over the classes that the truth has; ``macro_f1`` and ``mean_iou`` over the
classes that the truth or the prediction has; :func:`mean_over` gives the other conventions.

Average precision and the calibration error are torchmetrics', which computes them in float32;
everything else is float64.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchmetrics.functional import classification

Over = Literal["seen", "true", "all"]
"""Which classes a mean is over: those that truth or prediction has, that the truth has, or all; a
class without a value of its own then counts as 0."""
BINS = 15
"""Of the calibration error (Guo et al. 2017)."""
THRESHOLD = 0.5
"""Score from which a label of several is taken as given."""


def confusion(
    predicted: Tensor, true: Tensor, classes: int, *, ignore: int | None = None
) -> Tensor:
    """Places or pixels by true class (row) and predicted class (column), int64 (C, C).

    Matrices of parts of a split add up to that of the split.

    Args:
        predicted, true: whole numbers of one shape, 0 .. classes - 1.
        ignore: value of ``true`` that does not count.
    """
    if ignore is not None:
        counted = true != ignore
        predicted, true = predicted[counted], true[counted]
    if true.numel() == 0:
        return torch.zeros(classes, classes, dtype=torch.int64)
    matrix: Tensor = classification.multiclass_confusion_matrix(
        predicted.flatten(), true.flatten(), num_classes=classes
    )
    return matrix.cpu()


def accuracy(matrix: Tensor) -> float:
    """Share of a confusion matrix on its diagonal: overall accuracy."""
    return float(matrix.trace().double() / matrix.sum())


def kappa(matrix: Tensor) -> float:
    """Cohen's: accuracy beyond what the two distributions of classes would agree in by chance."""
    shares = matrix.double() / matrix.sum()
    chance = (shares.sum(0) * shares.sum(1)).sum()
    return float((shares.trace() - chance) / (1 - chance))


def recall_by_class(matrix: Tensor) -> Tensor:
    """float64 (C,), NaN of classes that the truth lacks."""
    return matrix.diagonal().double() / matrix.sum(1)


def f1_by_class(matrix: Tensor) -> Tensor:
    """2 TP / (2 TP + FP + FN), float64 (C,); NaN of classes in neither truth nor prediction."""
    hits = 2 * matrix.diagonal().double()
    return hits / (matrix.sum(0) + matrix.sum(1))


def iou_by_class(matrix: Tensor) -> Tensor:
    """TP / (TP + FP + FN), float64 (C,); NaN of classes in neither truth nor prediction."""
    hits = matrix.diagonal().double()
    return hits / (matrix.sum(0) + matrix.sum(1) - matrix.diagonal())


def mean_over(values: Tensor, matrix: Tensor, over: Over = "seen") -> float:
    """Mean of a score by class over the classes that ``over`` names.

    Args:
        values: (C,), NaN where a class has none.
        matrix: the confusion matrix that they are of.
    """
    if over == "all":
        return float(values.nan_to_num(0.0).mean())
    true = matrix.sum(1) > 0
    chosen = true if over == "true" else true | (matrix.sum(0) > 0)
    return float(values[chosen].mean())


def confusion_scores(matrix: Tensor) -> dict[str, float]:
    """Everything that a confusion matrix tells.

    Returns: ``accuracy``, ``average_accuracy``, ``macro_f1``, ``mean_iou``, ``mean_iou_true`` (over
        the classes that the truth has, whatever else is predicted) and ``kappa``.
    """
    iou = iou_by_class(matrix)
    return {
        "accuracy": accuracy(matrix),
        "average_accuracy": mean_over(recall_by_class(matrix), matrix, "true"),
        "macro_f1": mean_over(f1_by_class(matrix), matrix),
        "mean_iou": mean_over(iou, matrix),
        "mean_iou_true": mean_over(iou, matrix, "true"),
        "kappa": kappa(matrix),
    }


def single_label_scores(probabilities: Tensor, true: Tensor) -> dict[str, float]:
    """Scores of places that have one class each.

    >>> said = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> scores = eo_contrast.single_label_scores(said, torch.tensor([0, 1, 1]))
    >>> round(scores["accuracy"], 3), round(scores["average_accuracy"], 3)
    (0.667, 0.75)

    Args:
        probabilities: (N, C), each row sums to 1.
        true: (N,), 0 .. C - 1.

    Returns: ``accuracy``, ``average_accuracy``, ``macro_f1``, ``micro_f1`` (equal to accuracy,
        since each place has one class), ``kappa``, ``ece``, ``nll``.
    """
    found = confusion_scores(confusion(probabilities.argmax(1), true, probabilities.shape[1]))
    names = ("accuracy", "average_accuracy", "macro_f1")
    return {
        **{name: found[name] for name in names},
        "micro_f1": found["accuracy"],
        "kappa": found["kappa"],
        "ece": calibration_error(probabilities, true),
        "nll": negative_log_likelihood(probabilities, true),
    }


def multi_label_scores(scores: Tensor, true: Tensor) -> dict[str, float]:
    """Scores of places that have any number of classes each.

    Args:
        scores: (N, C), 0..1; a class is taken as given from ``THRESHOLD`` on.
        true: (N, C), 0 or 1.

    Returns:
        ``micro_map``: average precision of all (place, class) pairs in one list.
        ``macro_map``: mean of average precision over the classes that the truth has.
        ``micro_f1``, ``macro_f1``: the latter over all classes, an absent one as 0.
        ``accuracy``: share of (place, class) pairs that are right.
        ``average_accuracy``: mean recall over the classes that the truth has.
    """
    true = true.long()
    precisions = average_precision_by_class(scores, true)
    given, has = scores >= THRESHOLD, true == 1
    hits, of_each = (given & has).sum(0).double(), given.sum(0) + has.sum(0)
    present = has.any(0)
    return {
        "micro_map": _average_precision(scores.flatten(), true.flatten()),
        "macro_map": float(precisions[present].mean()),
        "micro_f1": float(2 * hits.sum() / of_each.sum().clamp_min(1)),
        "macro_f1": float((2 * hits / of_each.clamp_min(1)).mean()),
        "accuracy": float((given == has).double().mean()),
        "average_accuracy": float((hits / has.sum(0))[present].mean()),
    }


def average_precision_by_class(scores: Tensor, true: Tensor) -> Tensor:
    """Area under precision over recall in steps, (C,); NaN of classes that the truth lacks.

    Args:
        scores: (N, C), 0..1.
        true: (N, C), 0 or 1.
    """
    found = torch.full((scores.shape[1],), torch.nan, dtype=torch.float64)
    for number in torch.nonzero(true.sum(0)).flatten().tolist():
        found[number] = _average_precision(scores[:, number], true[:, number].long())
    return found


def calibration_error(probabilities: Tensor, true: Tensor, bins: int = BINS) -> float:
    """Expected calibration error: |confidence - accuracy|, averaged over bins of equal width.

    Confidence is the largest probability of a row.

    Args:
        probabilities: (N, C).
        true: (N,).
    """
    return float(
        classification.multiclass_calibration_error(
            probabilities, true, num_classes=probabilities.shape[1], n_bins=bins, norm="l1"
        )
    )


def pair_calibration_error(scores: Tensor, true: Tensor, bins: int = BINS) -> float:
    """Expected calibration error of (place, class) pairs: |score - share that has the class|.

    Averaged over bins of equal width of the score, all classes together.

    Args:
        scores: (N, C), 0..1.
        true: (N, C), 0 or 1.
    """
    return float(
        classification.binary_calibration_error(
            scores.flatten(), true.flatten().long(), n_bins=bins, norm="l1"
        )
    )


def negative_log_likelihood(probabilities: Tensor, true: Tensor) -> float:
    """Mean of -log of the true class's probability, natural logarithm.

    Args:
        probabilities: (N, C); one of 0 counts as the smallest that its type has.
        true: (N,).
    """
    least = torch.finfo(probabilities.dtype).tiny
    of_true = probabilities.gather(1, true[:, None]).clamp_min(least)
    return float(-of_true.log().mean())


def _average_precision(scores: Tensor, true: Tensor) -> float:
    return float(classification.binary_average_precision(scores, true))
