"""Scores of many draws of places and seeds at once, for intervals and for paired differences.

Draws of one generator are the same places and seeds for every method, so that what two methods
have in common, hard places above all, does not widen the interval of their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.evaluate.intervals import COVERED, PlaceConfusions
from eo_contrast.evaluate.land_cover import multi_label_scores

DRAWS, MULTI_LABEL_DRAWS = 1000, 100
"""Average precision sorts every class of every draw, so that there are fewer of them."""


@dataclass(frozen=True)
class Draws:
    """Which places and seeds each draw has.

    Attributes:
        often: (D, P), how many times each place is drawn; a row sums to P.
        seeds: (D, S), positions of seeds, with replacement.
    """

    often: NDArray[np.int64]
    seeds: NDArray[np.int64]


@dataclass(frozen=True)
class Summary:
    """A score over seeds: its mean, what other places and seeds would give, and its draws."""

    mean: float
    low: float
    high: float
    draws: NDArray[np.float64]


def draw_places(places: int, seeds: int, *, draws: int = DRAWS, seed: int = 0) -> Draws:
    """Draw with replacement; the same arguments give the same draws."""
    generator = np.random.default_rng(seed)
    often = generator.multinomial(places, np.full(places, 1 / places), size=draws)
    return Draws(often, generator.integers(0, seeds, (draws, seeds)))


def confusion_draws(of_seeds: Sequence[PlaceConfusions], draws: Draws) -> dict[str, Summary]:
    """Of ``accuracy``, ``average_accuracy``, ``macro_f1``, ``mean_iou`` and ``kappa``.

    Means over classes are as in :mod:`eo_contrast.evaluate.land_cover`, of each draw by itself.

    Args:
        of_seeds: (S,), of the same places.
    """
    whole = np.ones((1, of_seeds[0].places), dtype=np.int64)
    once = [scores_of_matrices(_matrices(own, whole)) for own in of_seeds]
    drawn = [scores_of_matrices(_matrices(own, draws.often)) for own in of_seeds]
    return {
        name: summary(
            float(np.mean([own[name][0] for own in once])),
            np.stack([own[name] for own in drawn]),
            draws,
        )
        for name in once[0]
    }


def multi_label_draws(
    of_seeds: Sequence[tuple[Tensor, Tensor]], draws: Draws
) -> dict[str, Summary]:
    """Of everything that :func:`eo_contrast.evaluate.land_cover.multi_label_scores` gives.

    Args:
        of_seeds: (S,), scores (P, C) and truth (P, C) of the same places.
    """
    once = [multi_label_scores(*own) for own in of_seeds]
    drawn: list[dict[str, list[float]]] = []
    for scores, true in of_seeds:
        found: dict[str, list[float]] = {}
        for often in draws.often:
            chosen = torch.from_numpy(np.repeat(np.arange(len(often)), often))
            for name, value in multi_label_scores(scores[chosen], true[chosen]).items():
                found.setdefault(name, []).append(value)
        drawn.append(found)
    return {
        name: summary(
            float(np.mean([own[name] for own in once])),
            np.stack([np.array(own[name]) for own in drawn]),
            draws,
        )
        for name in once[0]
    }


def summary(mean: float, of_seeds: NDArray[np.float64], draws: Draws) -> Summary:
    """A score's mean over seeds, and percentiles of the same mean over draws.

    Args:
        of_seeds: (S, D), each seed's score of each draw's places.
    """
    rows = np.arange(len(draws.seeds))
    means = np.mean([of_seeds[position, rows] for position in draws.seeds.T], axis=0)
    return Summary(mean, *_middle(means), means)


def difference(one: Summary, other: Summary) -> Summary:
    """How much more the first scores, draw by draw; both of the same draws."""
    apart = one.draws - other.draws
    return Summary(one.mean - other.mean, *_middle(apart), apart)


def scores_of_matrices(matrices: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Scores of confusion matrices (D, C, C), true class by row: each (D,)."""
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    true, predicted, total = matrices.sum(2), matrices.sum(1), matrices.sum((1, 2))
    seen = (true + predicted) > 0
    chance = (true * predicted).sum(1) / total**2
    right = hits.sum(1) / total
    return {
        "accuracy": right,
        "average_accuracy": _mean(hits, true, true > 0),
        "macro_f1": _mean(2 * hits, true + predicted, seen),
        "mean_iou": _mean(hits, true + predicted - hits, seen),
        # 0 / 0, as for one matrix, where truth and prediction are of one class alone.
        "kappa": np.divide(
            right - chance, 1 - chance, out=np.full_like(right, np.nan), where=chance < 1
        ),
    }


def _matrices(confusions: PlaceConfusions, often: NDArray[np.int64]) -> NDArray[np.float64]:
    """Confusion matrices (D, C, C) of draws, exact: whole numbers in float64."""
    place, cell, count = confusions.cells.numpy().T
    of_place = np.zeros((confusions.places, confusions.classes**2))
    np.add.at(of_place, (place, cell), count)
    return (often @ of_place).reshape(len(often), confusions.classes, confusions.classes)


def _mean(
    hits: NDArray[np.float64], of: NDArray[np.float64], over: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean over the chosen classes of hits / of, by row."""
    shares = np.divide(hits, of, out=np.zeros_like(of), where=of > 0)
    found: NDArray[np.float64] = (shares * over).sum(1) / over.sum(1)
    return found


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    beyond = (100 - COVERED) / 2
    low, high = np.nanpercentile(values, (beyond, 100 - beyond))
    return float(low), float(high)
