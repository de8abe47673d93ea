"""Split places into train, val and test by where they lie, so that no two splits come near.

The Earth is laid out in blocks of equal size; a hash of a block's position and the seed decides
its split. A place belongs to a split only if it lies in that split's blocks with half the guard
band around it, so two places of different splits are a whole guard band apart. Neither the order
of rows nor other rows have a say.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eo_contrast.errors import InputError

KM_A_DEGREE = 111.195
"""Along a meridian, on a sphere of 6371.0 km."""
NAMES = ("train", "val", "test")
GUARD = "guard"
"""The split of places that lie too near to another split's blocks: of none."""
# A great circle is shorter than the parallel along which longitudes are counted.
SLACK = 1.01

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


@dataclass(frozen=True)
class SplitRule:
    """How places are split.

    Attributes:
        fractions: of the blocks that are train, val and test; they sum to 1.
        block_km: side of a block, > 0.
        guard_km: least distance of two splits, >= 0.
    """

    fractions: tuple[float, float, float]
    block_km: float
    guard_km: float
    seed: int

    def __post_init__(self) -> None:
        refuse_fractions(self.fractions)
        if not self.block_km > 0 or self.guard_km < 0:
            raise InputError(
                f"--block-km {self.block_km:g} --guard-km {self.guard_km:g}: a block must be "
                "larger than 0, the guard band must not be negative"
            )


def refuse_fractions(fractions: Sequence[float]) -> None:
    """Refuse what are no shares of a whole.

    Raises: InputError: one is negative or no number, or they do not sum to 1.
    """
    if not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6):
        given = ",".join(f"{part:g}" for part in fractions)
        raise InputError(f"--fractions {given}: must be 0 or more and sum to 1")


def split_places(places: Mapping[str, Box | None], rule: SplitRule) -> dict[str, str]:
    """Split of each place, by what its box covers; of those without a position by their name."""
    return {
        place: _by_hash(rule, f"place {place}") if box is None else split_of(box, rule)
        for place, box in places.items()
    }


def split_of(box: Box, rule: SplitRule) -> str:
    """train, val, test, or guard: the one split of all blocks around a box, if it is one."""
    found = {_by_hash(rule, f"block {row} {column}") for row, column in _blocks(box, rule)}
    return found.pop() if len(found) == 1 else GUARD


def _blocks(box: Box, rule: SplitRule) -> Iterator[tuple[int, int]]:
    """Row and column of every block that the box and half the guard band around it touch.

    Blocks are as high as wide on the ground: columns are counted along the middle of their row.
    """
    west, south, east, north = box
    margin = rule.guard_km / 2 * SLACK / KM_A_DEGREE
    south, north = south - margin, north + margin
    widest = min(max(abs(south), abs(north)), 89.0)
    across = margin / math.cos(math.radians(widest))
    side = rule.block_km / KM_A_DEGREE
    for row in range(math.floor(south / side), math.floor(north / side) + 1):
        shrink = math.cos(math.radians(min(abs((row + 0.5) * side), 89.0)))
        first = math.floor((west - across) * shrink / side)
        last = math.floor((east + across) * shrink / side)
        yield from ((row, column) for column in range(first, last + 1))


def _by_hash(rule: SplitRule, what: str) -> str:
    digest = hashlib.blake2b(f"{rule.seed} {what}".encode(), digest_size=8).digest()
    drawn = int.from_bytes(digest) / 2**64
    return _drawn(rule.fractions, drawn)


def _drawn(fractions: Sequence[float], drawn: float) -> str:
    reached = 0.0
    for name, fraction in zip(NAMES, fractions, strict=True):
        reached += fraction
        if drawn < reached:
            return name
    return next(name for name, part in reversed(list(zip(NAMES, fractions, strict=True))) if part)
