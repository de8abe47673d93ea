"""How far scores would move with other test places: a bootstrap over places.

Pixels of a place are alike, so that places are drawn anew and never pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.evaluate.land_cover import confusion_scores, multi_label_scores

COVERED = 95
"""Per cent of the draws that an interval holds."""
MOST_DRAWS, LEAST_DRAWS = 1000, 40
WORK = 20_000_000
"""Numbers looked at in all draws together, which decides how many there are."""
SORTED = 10
"""What a number costs that average precision sorts."""
Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """Of each score the interval, and from how many draws it is."""

    of: Mapping[str, Interval]
    draws: int


@dataclass(frozen=True)
class PlaceConfusions:
    """Confusion matrices of places, their cells that are not 0.

    Attributes:
        places: how many there are.
        classes: how many there are.
        cells: int64 (M, 3): place, true class times ``classes`` plus predicted one, how many.
    """

    places: int
    classes: int
    cells: Tensor

    @property
    def matrix(self) -> Tensor:
        """Of all places together, int64 (C, C)."""
        return self._summed(torch.ones(self.places, dtype=torch.int64))

    def drawn(self, generator: np.random.Generator) -> Tensor:
        """Of as many places, drawn with replacement."""
        often = np.bincount(generator.integers(0, self.places, self.places), minlength=self.places)
        return self._summed(torch.from_numpy(often))

    def _summed(self, often: Tensor) -> Tensor:
        place, cell, count = self.cells.unbind(1)
        # In float64, where whole numbers up to 2**53 are exact.
        weights = (often[place] * count).double()
        summed = torch.bincount(cell, weights, minlength=self.classes**2)
        return summed.long().view(self.classes, self.classes)


def of_single_labels(predicted: Tensor, true: Tensor, classes: int) -> PlaceConfusions:
    """Of places that have one class each, both int64 (N,)."""
    place = torch.arange(len(true))
    cells = torch.stack([place, true * classes + predicted, torch.ones_like(place)], dim=1)
    return PlaceConfusions(len(true), classes, cells)


def confusion_intervals(confusions: PlaceConfusions, *, seed: int = 0) -> Intervals:
    """Of every score that :func:`confusion_scores` gives."""
    return _intervals(
        lambda generator: confusion_scores(confusions.drawn(generator)),
        len(confusions.cells) + confusions.places,
        seed,
    )


def multi_label_intervals(scores: Tensor, true: Tensor, *, seed: int = 0) -> Intervals:
    """Of every score that :func:`multi_label_scores` gives; arguments as there."""

    def drawn(generator: np.random.Generator) -> dict[str, float]:
        chosen = torch.from_numpy(generator.integers(0, len(true), len(true)))
        return multi_label_scores(scores[chosen], true[chosen])

    return _intervals(drawn, SORTED * true.numel(), seed)


def _intervals(
    draw: Callable[[np.random.Generator], Mapping[str, float]], numbers: int, seed: int
) -> Intervals:
    draws = min(max(WORK // max(numbers, 1), LEAST_DRAWS), MOST_DRAWS)
    generator = np.random.default_rng(seed)
    found = [draw(generator) for _ in range(draws)]
    return Intervals({name: _middle([each[name] for each in found]) for name in found[0]}, draws)


def _middle(values: Sequence[float]) -> Interval:
    beyond = (100 - COVERED) / 2
    limits: NDArray[np.float64] = np.nanpercentile(values, (beyond, 100 - beyond))
    return float(limits[0]), float(limits[1])
