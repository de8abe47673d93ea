"""Split places by longitude: the westernmost train, the next validate, the easternmost test.

Three regions side by side, as publishers of geographic splits have them. There is no guard band,
and the borders lie where the shares of all places say: other places move them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eo_contrast.catalog.splits import NAMES, Box, refuse_fractions


@dataclass(frozen=True)
class LongitudeRule:
    """How places are split from west to east.

    Attributes:
        fractions: of the places that are train, val and test; they sum to 1.
    """

    fractions: tuple[float, float, float]

    def __post_init__(self) -> None:
        refuse_fractions(self.fractions)


def split_by_longitude(places: Mapping[str, Box], rule: LongitudeRule) -> dict[str, str]:
    """Split of each place, by the middle of its box; of two on one meridian by their names."""
    eastward = sorted(places, key=lambda place: (_middle(places[place]), place))
    train, val, _ = rule.fractions
    ends = (round(train * len(eastward)), round((train + val) * len(eastward)), len(eastward))
    split: dict[str, str] = {}
    for name, end in zip(NAMES, ends, strict=True):
        split |= dict.fromkeys(eastward[len(split) : end], name)
    return split


def _middle(box: Box) -> float:
    west, _, east, _ = box
    return (west + east) / 2
