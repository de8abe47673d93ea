"""How often predictions of a confidence are right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eo_contrast.evaluate.land_cover import BINS


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of equal width of their confidence; those of parts add up.

    Attributes:
        sums: float64 (3, bins): how many, their confidences, how many of them are right.
    """

    sums: Tensor

    @property
    def counts(self) -> Tensor:
        """Predictions in each bin."""
        return self.sums[0]

    @property
    def confidence(self) -> Tensor:
        """Mean of each bin, NaN of an empty one."""
        return self.sums[1] / self.sums[0]

    @property
    def accuracy(self) -> Tensor:
        """Share that is right of each bin, NaN of an empty one."""
        return self.sums[2] / self.sums[0]

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017): mean of |confidence - accuracy|."""
        return float((self.sums[1] - self.sums[2]).abs().sum() / self.sums[0].sum())


def reliability(confidence: Tensor, right: Tensor, bins: int = BINS) -> Reliability:
    """Of predictions of any shape.

    Args:
        confidence: 0..1; a border belongs to the bin above it, and 1 to the last.
        right: bool of the same shape.
    """
    flat, hits = confidence.flatten().double().cpu(), right.flatten().double().cpu()
    places = (flat * bins).long().clamp(0, bins - 1)
    columns = [torch.ones_like(flat), flat, hits]
    return Reliability(
        torch.stack([torch.bincount(places, each, minlength=bins) for each in columns])
    )
