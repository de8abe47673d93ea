"""Lots within blocks, and the one building that may stand on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.blocks import Blocks
from eo_contrast.synth.districts import Districts, Kind
from eo_contrast.synth.noise import hash_bits, hash_units, stream

STREET_SPACE_M = 7.0
NOWHERE_M = np.float32(1e6)

Metres = NDArray[np.float64]
ScalarT = TypeVar("ScalarT", bound=np.generic)
Clearance = Callable[[Metres, Metres], NDArray[np.float32]]
"""``clearance(x, y)``: metres free of roads and water around a place of the street plan."""


@dataclass(frozen=True)
class BuildingStyle:
    """Typical building of a kind of district; pairs are (least, most).

    Attributes:
        lot_m: width of a lot along the street.
        two_rows: lots back to back, each facing its street; else one lot through.
        share: how many lots are built on.
        setback_m: from the pavement to the front.
        width_share: of the lot's width that the building takes.
        depth_m: of the building, never more than the lot has.
        height_m: of the building.
        wing_chance: how often it is L-shaped.
    """

    lot_m: float
    two_rows: bool
    share: float
    setback_m: tuple[float, float]
    width_share: tuple[float, float]
    depth_m: tuple[float, float]
    height_m: tuple[float, float]
    wing_chance: float


BUILDING_STYLES = {
    Kind.SUBURB: BuildingStyle(
        19.0, True, 0.92, (5.0, 9.0), (0.5, 0.78), (9.0, 14.0), (4.5, 7.5), 0.5
    ),
    Kind.COMMERCIAL: BuildingStyle(
        78.0, False, 0.92, (8.0, 34.0), (0.5, 0.86), (34.0, 95.0), (6.0, 13.0), 0.4
    ),
    Kind.CITY: BuildingStyle(
        30.0, True, 0.93, (0.5, 4.0), (0.72, 0.98), (14.0, 28.0), (8.0, 26.0), 0.45
    ),
}


@dataclass(frozen=True)
class Buildings:
    """The building on the lot of each of some positions; arrays of one shape.

    Attributes:
        number: uint64, the lot's own random bits.
        distance_m: signed distance to the walls, negative inside.
        height_m: of the building on this lot, 0 without one.
        ridge_along_u: whether the longer side, and the ridge, runs along the street.
        across_m: signed distance from the ridge, across it, along +v or +u.
        half_span_m: from the ridge to the eaves.
        front_m: distance along the street from the middle of the house to the position.
        faces_low: whether the building faces the low side of the block.
    """

    number: NDArray[np.uint64]
    distance_m: NDArray[np.float32]
    height_m: NDArray[np.float32]
    ridge_along_u: NDArray[np.bool_]
    across_m: NDArray[np.float32]
    half_span_m: NDArray[np.float32]
    front_m: NDArray[np.float32]
    faces_low: NDArray[np.bool_]


@dataclass(frozen=True)
class _Lots:
    """Lots as a table, one row each: their bits, kind, district frame and sides."""

    number: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    cosine: Metres
    sine: Metres
    centre_x: Metres
    centre_y: Metres
    low_u: Metres
    high_u: Metres
    low_v: Metres
    high_v: Metres
    faces_low: NDArray[np.bool_]


@dataclass(frozen=True)
class _Plans:
    """Ground plans as a table: a house and its wing, as centre and half sides in (u, v)."""

    house: tuple[Metres, Metres, Metres, Metres]
    wing: tuple[Metres, Metres, Metres, Metres]
    height_m: Metres


def buildings_at(
    seed: int, x: Metres, y: Metres, districts: Districts, blocks: Blocks, clearance: Clearance
) -> Buildings:
    """The lots of each block, and a building wherever one has room.

    Args:
        x, y: positions on the street plan (bent), metres.
        clearance: how much room a place has; a building that does not fit is left out
            whole, so that no road or shore cuts through a roof.
    """
    lots, lot_of = _cut_lots(seed, x, y, districts, blocks)
    plans = _plan(seed, lots)
    stands = _stands(seed, lots, plans, clearance)
    u, v = blocks.u, blocks.v
    house = _rectangle_distance(u, v, *(side[lot_of] for side in plans.house))
    wing = _rectangle_distance(u, v, *(side[lot_of] for side in plans.wing))
    centre_u, centre_v, half_u, half_v = plans.house
    along_u = (half_u >= half_v)[lot_of]
    across = np.where(along_u, v - centre_v[lot_of], u - centre_u[lot_of])
    built = stands[lot_of]
    return Buildings(
        number=lots.number[lot_of],
        distance_m=np.where(built, np.minimum(house, wing), NOWHERE_M),
        height_m=np.where(built, plans.height_m[lot_of], 0).astype(np.float32),
        ridge_along_u=along_u,
        across_m=across.astype(np.float32),
        half_span_m=np.minimum(half_u, half_v)[lot_of].astype(np.float32),
        front_m=(u - centre_u[lot_of]).astype(np.float32),
        faces_low=lots.faces_low[lot_of],
    )


def _cut_lots(
    seed: int, x: Metres, y: Metres, districts: Districts, blocks: Blocks
) -> tuple[_Lots, NDArray[np.intp]]:
    """All lots under some positions as a table, and the table's row at each position."""
    low_u, high_u = blocks.low_u + STREET_SPACE_M, blocks.high_u - STREET_SPACE_M
    low_v, high_v = blocks.low_v + STREET_SPACE_M, blocks.high_v - STREET_SPACE_M
    count = np.maximum(1.0, np.floor((high_u - low_u) / _style(districts.kind, "lot_m")))
    width = (high_u - low_u) / count
    place = np.clip(np.floor((blocks.u - low_u) / width), 0, count - 1)
    two_rows = _style(districts.kind, "two_rows") > 0
    middle = 0.5 * (low_v + high_v)
    upper = two_rows & (blocks.v > middle)
    chance = hash_units(stream(seed, "side faced"), blocks.number)
    faces_low = np.where(two_rows, ~upper, chance < 0.5)
    number = hash_bits(stream(seed, "lot"), blocks.number, place.astype(np.int64), upper)
    built_up = (districts.kind >= Kind.SUBURB) & ~blocks.is_park
    number = np.where(built_up, number, 0).astype(np.uint64)
    _, first, lot_of = np.unique(number, return_index=True, return_inverse=True)

    def pick(values: NDArray[ScalarT]) -> NDArray[ScalarT]:
        return np.broadcast_to(values, x.shape).reshape(-1)[first]

    lots = _Lots(
        number=pick(number),
        kind=pick(districts.kind),
        cosine=pick(districts.cosine),
        sine=pick(districts.sine),
        centre_x=pick(x - districts.east),
        centre_y=pick(y - districts.north),
        low_u=pick(low_u + place * width),
        high_u=pick(low_u + (place + 1) * width),
        low_v=pick(np.where(upper, middle, low_v)),
        high_v=pick(np.where(two_rows & ~upper, middle, high_v)),
        faces_low=pick(faces_low),
    )
    return lots, lot_of.reshape(x.shape)


def _plan(seed: int, lots: _Lots) -> _Plans:
    """Draw the ground plan of each lot's building."""

    def between(attribute: str) -> Metres:
        chance = hash_units(stream(seed, attribute), lots.number)
        low, high = _style(lots.kind, attribute, 0), _style(lots.kind, attribute, 1)
        return low + chance * (high - low)

    lot_width, lot_depth = lots.high_u - lots.low_u, lots.high_v - lots.low_v
    half_u = 0.5 * lot_width * between("width_share")
    setback = np.minimum(between("setback_m"), 0.4 * lot_depth)
    half_v = 0.5 * np.clip(between("depth_m"), 4.0, np.maximum(lot_depth - setback - 2.0, 4.0))
    shift = (hash_units(stream(seed, "sideways"), lots.number) - 0.5) * (lot_width - 2 * half_u)
    centre_u = 0.5 * (lots.low_u + lots.high_u) + 0.9 * shift
    inward = np.where(lots.faces_low, 1.0, -1.0)
    front = np.where(lots.faces_low, lots.low_v, lots.high_v)
    centre_v = front + inward * (setback + half_v)
    winged = hash_units(stream(seed, "wing"), lots.number) < _style(lots.kind, "wing_chance")
    side = np.where(hash_units(stream(seed, "wing side"), lots.number) < 0.5, -1.0, 1.0)
    wing_half_u = half_u * (0.3 + 0.25 * hash_units(stream(seed, "wing width"), lots.number))
    room = np.maximum(lot_depth - setback - 2 * half_v - 2.0, 0.0)
    beyond = np.minimum(room, 0.9 * half_v) * winged
    # It starts in the middle of the house: a shared wall would show as a line on the map,
    # and a wing that reaches nowhere changes no shape.
    wing_half_v = 0.5 * (half_v + beyond)
    wing_u = centre_u + side * (half_u - wing_half_u)
    wing_v = centre_v + inward * wing_half_v
    return _Plans(
        house=(centre_u, centre_v, half_u, half_v),
        wing=(wing_u, wing_v, wing_half_u, wing_half_v),
        height_m=between("height_m"),
    )


def _stands(seed: int, lots: _Lots, plans: _Plans, clearance: Clearance) -> NDArray[np.bool_]:
    centre_u, centre_v, half_u, half_v = plans.house
    x = lots.centre_x + lots.cosine * centre_u - lots.sine * centre_v
    y = lots.centre_y + lots.sine * centre_u + lots.cosine * centre_v
    # Between the inner and the outer circle of the rectangle: a corner may come near.
    needed = 0.5 * (np.minimum(half_u, half_v) + np.sqrt(half_u**2 + half_v**2)) + 2.0
    chance = hash_units(stream(seed, "built on"), lots.number)
    roomy = (half_u > 2.0) & (half_v > 2.0) & (lots.number != 0)
    built_up = chance < _style(lots.kind, "share")
    stands: NDArray[np.bool_] = roomy & built_up & (clearance(x, y) > needed)
    return stands


def _rectangle_distance(
    u: Metres, v: Metres, centre_u: Metres, centre_v: Metres, half_u: Metres, half_v: Metres
) -> NDArray[np.float32]:
    """Signed distance to an upright rectangle in (u, v), negative inside."""
    over_u = (np.abs(u - centre_u) - half_u).astype(np.float32)
    over_v = (np.abs(v - centre_v) - half_v).astype(np.float32)
    out_u, out_v = np.maximum(over_u, 0), np.maximum(over_v, 0)
    outside = np.sqrt(out_u * out_u + out_v * out_v)
    inside = np.minimum(np.maximum(over_u, over_v), np.float32(0))
    distance: NDArray[np.float32] = outside + inside
    return distance


def _style(kind: NDArray[np.uint8], attribute: str, end: int | None = None) -> Metres:
    """A building style's number for each district kind; suburban where nothing is built."""
    values = []
    for each in Kind:
        value = getattr(BUILDING_STYLES.get(each, BUILDING_STYLES[Kind.SUBURB]), attribute)
        values.append(float(value if end is None else value[end]))
    return np.array(values)[kind]
