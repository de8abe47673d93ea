"""Which places are a share of the labels: without replacement, by class, one share in the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eo_contrast.errors import InputError


def label_share(
    presence: NDArray[np.bool_], fraction: float, *, seed: int, classes: Sequence[str]
) -> NDArray[np.int64]:
    """A share of the places, as large of each class.

    A place belongs to the rarest of its classes. Of a group's n places the first
    round(fraction * n), halves up, in an order that hangs on the seed alone are taken: so a small
    share lies within every larger one of the same seed.

    Args:
        presence: (N, C), which classes each place has.
        fraction: above 0, at most 1.
        classes: names of the C classes.

    Returns: positions of the chosen places, rising.
    Raises: InputError: a class that places have would be left without any; names the class and
        the least share that leaves none empty.
    """
    needed = shares_needed(presence, seed)
    chosen = np.flatnonzero(needed <= fraction)
    least = {
        name: float(needed[has].min())
        for name, has in zip(classes, presence.T, strict=True)
        if has.any()
    }
    empty = [name for name, share in least.items() if share > fraction]
    if empty:
        more = f" and {len(empty) - 1} more classes" if len(empty) > 1 else ""
        raise InputError(
            f"label fraction {fraction:g}: leaves class '{empty[0]}'{more} without a place; "
            f"give at least {_rounded_up(max(least.values()))}"
        )
    if not len(chosen):
        raise InputError(
            f"label fraction {fraction:g}: is less than one of {len(needed)} places; "
            f"give at least {_rounded_up(float(needed.min()))}"
        )
    return chosen


def shares_needed(presence: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """The least fraction that takes each place in: (N,), above 0, below 1."""
    counts = presence.sum(0)
    # Of equally rare ones the first; a place without any class is in a group of its own.
    rarity = np.where(presence, counts[None], np.iinfo(np.int64).max)
    group = np.where(presence.any(1), rarity.argmin(1), -1)
    needed = np.empty(len(presence))
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        sequence = np.random.SeedSequence((seed, int(number) + 1))
        order = np.random.Generator(np.random.Philox(sequence)).permutation(len(members))
        # round(fraction * n) > rank holds from here on.
        needed[members[order]] = (np.arange(len(members)) + 0.5) / len(members)
    return needed


def _rounded_up(share: float) -> str:
    """With three figures that matter, never below the share."""
    digits = 2 - math.floor(math.log10(share))
    return f"{math.ceil(round(share * 10**digits, 6)) / 10**digits:.{max(digits, 0)}g}"
