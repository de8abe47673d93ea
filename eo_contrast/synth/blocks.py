"""Blocks: how each kind of district is cut by its streets, or a field district into parcels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.districts import Districts, Kind
from eo_contrast.synth.noise import hash_bits, hash_units, stream

LINE_JITTER = 0.32
PARK_BLOCK_CHANCE = 0.06

Metres = NDArray[np.float64]


@dataclass(frozen=True)
class BlockStyle:
    """Typical block of a kind of district.

    Attributes:
        depth_m, length_m: spacing across and along the rows of blocks; a district's
            own lies within 25 % of it.
        shifted: whether cross streets of neighbouring rows miss each other.
        streets: whether blocks are parted by streets.
    """

    depth_m: float
    length_m: float
    shifted: bool
    streets: bool


BLOCK_STYLES = {
    Kind.FIELDS: BlockStyle(190.0, 300.0, shifted=True, streets=False),
    Kind.WOODLAND: BlockStyle(400.0, 400.0, shifted=True, streets=False),
    Kind.MEADOW: BlockStyle(260.0, 320.0, shifted=True, streets=False),
    Kind.PARK: BlockStyle(300.0, 300.0, shifted=True, streets=False),
    Kind.SUBURB: BlockStyle(84.0, 230.0, shifted=True, streets=True),
    Kind.COMMERCIAL: BlockStyle(150.0, 230.0, shifted=True, streets=True),
    Kind.CITY: BlockStyle(92.0, 150.0, shifted=False, streets=True),
}


@dataclass(frozen=True)
class Blocks:
    """The block at each of some positions; arrays of one shape.

    Attributes:
        number: uint64, the block's own random bits.
        u, v: position along and across the streets from the district's centre, metres.
        low_u, high_u, low_v, high_v: the block's sides, to the middle of the streets.
        street_m: distance to the middle of the nearest street, infinite where none.
        border_m: distance to the nearest side of the block, street or not.
        is_park: the block is a small park.
    """

    number: NDArray[np.uint64]
    u: Metres
    v: Metres
    low_u: Metres
    high_u: Metres
    low_v: Metres
    high_v: Metres
    street_m: NDArray[np.float32]
    border_m: NDArray[np.float32]
    is_park: NDArray[np.bool_]


def blocks_at(seed: int, districts: Districts) -> Blocks:
    """Cut each district into rows of blocks along its own street direction."""
    u = districts.cosine * districts.east + districts.sine * districts.north
    v = districts.cosine * districts.north - districts.sine * districts.east
    number = districts.number
    stretch = 0.75 + 0.5 * hash_units(stream(seed, "block size"), number)
    depth = _by_kind(districts.kind, "depth_m") * stretch
    length = _by_kind(districts.kind, "length_m") * stretch
    row, low_v, high_v = _between_lines(stream(seed, "rows"), v, depth, number)
    shifted = _by_kind(districts.kind, "shifted") > 0
    band = hash_bits(stream(seed, "band"), number, np.where(shifted, row, 0))
    offset = hash_units(stream(seed, "shift"), band) * length
    column, low_u, high_u = _between_lines(stream(seed, "columns"), u - offset, length, band)
    low_u, high_u = low_u + offset, high_u + offset
    block = hash_bits(stream(seed, "block"), number, row, column)
    sides = (u - low_u, high_u - u, v - low_v, high_v - v)
    border = np.minimum.reduce(sides).astype(np.float32)
    streets = _by_kind(districts.kind, "streets") > 0
    chance = hash_units(stream(seed, "park block"), block)
    return Blocks(
        number=block,
        u=u,
        v=v,
        low_u=low_u,
        high_u=high_u,
        low_v=low_v,
        high_v=high_v,
        street_m=np.where(streets, border, np.float32(np.inf)),
        border_m=border,
        is_park=streets & (chance < PARK_BLOCK_CHANCE),
    )


def _by_kind(kind: NDArray[np.uint8], attribute: str) -> Metres:
    values = np.array([float(getattr(BLOCK_STYLES[each], attribute)) for each in Kind])
    return values[kind]


def _between_lines(
    seed: int, position: Metres, spacing: Metres, group: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], Metres, Metres]:
    """Which two of a group's jittered parallel lines enclose each position.

    Returns: index of the lower line, its position, the upper line's position.
    """

    def line(index: NDArray[np.int64]) -> Metres:
        return (index + LINE_JITTER * (hash_units(seed, group, index) - 0.5)) * spacing

    index = np.floor(position / spacing).astype(np.int64)
    index = index - (position < line(index))
    index = index + (position >= line(index + 1))
    return index, line(index), line(index + 1)
