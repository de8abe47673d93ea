"""Districts: the cells of a jittered grid, each of one kind, with through roads between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.noise import directions, hash_bits, hash_units, stream, units
from eo_contrast.synth.terrain import urbanity

SPACING_M = 640.0
JITTER = 0.36
COARSE_SPACING_M = 2100.0

Metres = NDArray[np.float64]
Integers = NDArray[np.int64]


class Kind(IntEnum):
    """What a district is used for."""

    FIELDS = 0
    WOODLAND = 1
    MEADOW = 2
    PARK = 3
    SUBURB = 4
    COMMERCIAL = 5
    CITY = 6


class Rank(IntEnum):
    """Rank of a road."""

    MINOR = 0
    SECONDARY = 1
    PRIMARY = 2
    MOTORWAY = 3


@dataclass(frozen=True)
class Districts:
    """The district at each of some positions; all arrays of one shape.

    Attributes:
        number: uint64, the district's own random bits.
        kind: its :class:`Kind`.
        east, north: vector from its centre to the position, metres.
        cosine, sine: direction of its streets.
        edge_m: (3, ...) distance to the nearest bordering road of rank minor,
            secondary, primary; infinite where there is none.
    """

    number: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    east: Metres
    north: Metres
    cosine: Metres
    sine: Metres
    edge_m: NDArray[np.float32]


@dataclass(frozen=True)
class _Sites:
    """District centres on a rectangle of the lattice; arrays (rows, columns)."""

    first_row: int
    first_column: int
    x: Metres
    y: Metres
    number: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    quarter: NDArray[np.uint64]


def districts_at(seed: int, x: Metres, y: Metres) -> Districts:
    """The district around each position (already bent by :func:`terrain.bend`).

    Args:
        x, y: positions in metres, both of the same full shape.
    """
    column, row = (np.floor(axis / SPACING_M).astype(np.int64) for axis in (x, y))
    sites = _sites(
        seed,
        np.arange(int(row.min()) - 3, int(row.max()) + 4),
        np.arange(int(column.min()) - 3, int(column.max()) + 4),
    )
    row, column = _nearest_site(sites, row, column, x, y)
    place = (row - sites.first_row, column - sites.first_column)
    number = sites.number[place]
    cosine, sine = directions(hash_units(stream(seed, "street direction"), sites.number))
    return Districts(
        number=number,
        kind=sites.kind[place],
        east=x - sites.x[place],
        north=y - sites.y[place],
        cosine=cosine[place],
        sine=sine[place],
        edge_m=_edge_distances(sites, place, x, y),
    )


def _sites(seed: int, rows: Integers, columns: Integers) -> _Sites:
    row, column = np.broadcast_arrays(rows[:, None], columns[None, :])
    x, y = _jittered(stream(seed, "district"), row, column, SPACING_M)
    number = hash_bits(stream(seed, "district number"), row, column)
    return _Sites(
        first_row=int(rows[0]),
        first_column=int(columns[0]),
        x=x,
        y=y,
        number=number,
        kind=_kinds(seed, number, urbanity(seed, x, y)),
        quarter=_quarters(seed, x, y),
    )


def _jittered(seed: int, row: Integers, column: Integers, spacing: float) -> tuple[Metres, Metres]:
    x = (column + 0.5 + JITTER * (2 * hash_units(seed, row, column, 0) - 1)) * spacing
    y = (row + 0.5 + JITTER * (2 * hash_units(seed, row, column, 1) - 1)) * spacing
    return x, y


def _quarters(seed: int, x: Metres, y: Metres) -> NDArray[np.uint64]:
    """Which coarse cell each district belongs to: primary roads run where it changes."""
    row, column = (np.floor(axis / COARSE_SPACING_M).astype(np.int64) for axis in (y, x))
    nearest = np.full(x.shape, np.inf)
    quarter = np.zeros(x.shape, dtype=np.uint64)
    for up in (-1, 0, 1):
        for right in (-1, 0, 1):
            cx, cy = _jittered(stream(seed, "quarter"), row + up, column + right, COARSE_SPACING_M)
            square = (cx - x) ** 2 + (cy - y) ** 2
            nearer = square < nearest
            nearest = np.where(nearer, square, nearest)
            quarter = np.where(nearer, hash_bits(seed, row + up, column + right), quarter)
    return quarter


def _kinds(seed: int, number: NDArray[np.uint64], town: NDArray[np.float32]) -> NDArray[np.uint8]:
    chance = hash_units(stream(seed, "district kind"), number)
    town = town + (0.2 * (hash_units(stream(seed, "town edge"), number) - 0.5)).astype(np.float32)
    country = np.select(
        [chance < 0.55, chance < 0.78, chance < 0.92], [Kind.FIELDS, Kind.WOODLAND, Kind.MEADOW],
        default=Kind.SUBURB,
    )  # fmt: skip
    suburbs = np.select(
        [chance < 0.13, chance < 0.21, chance < 0.36],
        [Kind.PARK, Kind.WOODLAND, Kind.COMMERCIAL],
        default=Kind.SUBURB,
    )
    inner = np.select([chance < 0.12, chance < 0.25], [Kind.PARK, Kind.COMMERCIAL], Kind.CITY)
    return np.select([town < -0.12, town < 0.22], [country, suburbs], inner).astype(np.uint8)


def _nearest_site(
    sites: _Sites, row: Integers, column: Integers, x: Metres, y: Metres
) -> tuple[Integers, Integers]:
    nearest = np.full(x.shape, np.inf)
    best_row, best_column = row, column
    for up in (-1, 0, 1):
        for right in (-1, 0, 1):
            place = (row + up - sites.first_row, column + right - sites.first_column)
            square = (sites.x[place] - x) ** 2 + (sites.y[place] - y) ** 2
            nearer = square < nearest
            nearest = np.where(nearer, square, nearest)
            best_row = np.where(nearer, row + up, best_row)
            best_column = np.where(nearer, column + right, best_column)
    return best_row, best_column


def _edge_distances(
    sites: _Sites, place: tuple[Integers, Integers], x: Metres, y: Metres
) -> NDArray[np.float32]:
    """Distance to the perpendicular bisector with each neighbour, least per road rank."""
    flat = np.ravel_multi_index(place, sites.x.shape).reshape(-1)
    members = np.argsort(flat, kind="stable")
    present, first = np.unique(flat[members], return_index=True)
    distance = np.full((3, flat.size), np.inf, dtype=np.float32)
    for site, inside in zip(present.tolist(), np.split(members, first[1:]), strict=True):
        own = np.unravel_index(site, sites.x.shape)
        east = x.reshape(-1)[inside] - sites.x[own]
        north = y.reshape(-1)[inside] - sites.y[own]
        distance[:, inside] = _edges_of_one(sites, own, east, north)
    return distance.reshape(3, *x.shape)


def _edges_of_one(
    sites: _Sites, own: tuple[np.intp, ...], east: Metres, north: Metres
) -> NDArray[np.float32]:
    """Edge distances (3, n) of positions within one district, given from its centre."""
    least = np.full((3, east.size), np.inf)
    for up in (-2, -1, 0, 1, 2):
        for right in (-2, -1, 0, 1, 2):
            if up == right == 0:
                continue
            other = (own[0] + up, own[1] + right)
            gap_x, gap_y = sites.x[other] - sites.x[own], sites.y[other] - sites.y[own]
            length = np.sqrt(gap_x**2 + gap_y**2)
            metres = 0.5 * length - (gap_x / length) * east - (gap_y / length) * north
            rank = _edge_rank(sites, own, other)
            np.minimum(least[rank], metres, out=least[rank])
    return least.astype(np.float32)


def _edge_rank(sites: _Sites, one: tuple[np.intp, ...], other: tuple[np.intp, ...]) -> Rank:
    """Rank of the road between two districts, the same from either side."""
    if sites.quarter[one] != sites.quarter[other]:
        return Rank.PRIMARY
    rural = sites.kind[one] < Kind.PARK and sites.kind[other] < Kind.PARK
    chance = float(units(sites.number[one] ^ sites.number[other]))
    return Rank.SECONDARY if chance < (0.25 if rural else 0.7) else Rank.MINOR
