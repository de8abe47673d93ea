"""The ways to split places, and which options belong to which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from eo_contrast.catalog.split_lists import NameLists
from eo_contrast.catalog.split_longitude import LongitudeRule
from eo_contrast.catalog.splits import SplitRule

By = Literal["blocks", "longitude"]
Rule = SplitRule | LongitudeRule | NameLists

OF_BLOCKS = ("block_km", "guard_km", "seed")


def idle_options(by: By, files: Mapping[str, Path]) -> tuple[str, ...]:
    """Options that do nothing with these."""
    if files:
        return ("by", "fractions", *OF_BLOCKS)
    return OF_BLOCKS if by == "longitude" else ()


def rule_of(
    *,
    by: By,
    files: Mapping[str, Path],
    fractions: tuple[float, float, float],
    block_km: float,
    guard_km: float,
    seed: int,
) -> Rule:
    """The rule that options make.

    Raises: InputError: they make no sense.
    """
    if files:
        return NameLists(files)
    if by == "longitude":
        return LongitudeRule(fractions)
    return SplitRule(fractions, block_km, guard_km, seed)
