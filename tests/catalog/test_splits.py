"""Splits are apart by the guard band, and depend on nothing but position and seed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.catalog.split_longitude import LongitudeRule, split_by_longitude
from eo_contrast.catalog.splits import GUARD, NAMES, SplitRule, split_of, split_places
from eo_contrast.errors import InputError

RULE = SplitRule((0.5, 0.2, 0.3), block_km=10, guard_km=2, seed=0)


def km(one, other):
    """Great-circle distance of two (longitude, latitude)."""
    (a, b), (c, d) = np.radians(one), np.radians(other)
    h = math.sin((d - b) / 2) ** 2 + math.cos(b) * math.cos(d) * math.sin((c - a) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(h))


def nearest_km(one, other):
    """Least distance of two boxes, over points on both outlines where it may lie."""

    def outline(box, against):
        west, south, east, north = box
        xs = {west, east, *(min(max(x, west), east) for x in against[::2])}
        ys = {south, north, *(min(max(y, south), north) for y in against[1::2])}
        return itertools.product(xs, ys)

    return min(km(a, b) for a in outline(one, other) for b in outline(other, one))


def boxes(latitude: float, count: int, seed: int) -> dict[str, tuple[float, ...]]:
    """Places of 0.5 to 3 km in a region of about 60 km."""
    rng = np.random.default_rng(seed)
    shrink = math.cos(math.radians(latitude))
    made = {}
    for number in range(count):
        x, y = rng.uniform(0, 0.5, 2)
        size = rng.uniform(0.005, 0.03)
        west, south = 20 + x / shrink, latitude + y
        made[f"p{number}"] = (west, south, west + size / shrink, south + size)
    return made


@settings(max_examples=25, deadline=None)
@given(st.floats(-78, 78), st.integers(0, 99), st.integers(0, 99))
def test_two_places_of_different_splits_are_a_guard_band_apart(latitude, seed, of_places):
    rule = SplitRule((0.5, 0.2, 0.3), block_km=10, guard_km=2, seed=seed)
    places = boxes(latitude, 40, of_places)
    splits = split_places(places, rule)
    for one, other in itertools.combinations(places, 2):
        if splits[one] != splits[other] and GUARD not in (splits[one], splits[other]):
            assert nearest_km(places[one], places[other]) >= 2


@given(st.permutations(list(boxes(45, 30, 0).items())), st.integers(1, 29))
def test_neither_order_nor_other_places_decide(items, count):
    whole = split_places(dict(boxes(45, 30, 0)), RULE)
    part = split_places(dict(items[:count]), RULE)
    assert part == {name: whole[name] for name in part}


def test_every_split_occurs_in_the_share_asked_for():
    places = {f"{n}": (n * 0.5, 10.0, n * 0.5 + 0.001, 10.001) for n in range(3000)}
    rule = SplitRule((0.7, 0.1, 0.2), block_km=10, guard_km=0, seed=3)
    found = list(split_places(places, rule).values())
    for name, fraction in zip(NAMES, rule.fractions, strict=True):
        assert abs(found.count(name) / len(found) - fraction) < 0.03


def test_without_a_guard_band_a_place_on_a_border_still_belongs_to_none():
    rule = SplitRule((0.5, 0.0, 0.5), block_km=10, guard_km=0, seed=0)
    large = (0.0, 0.0, 3.0, 3.0)
    assert split_of(large, rule) == GUARD


def test_a_split_of_no_fraction_never_occurs():
    rule = SplitRule((1.0, 0.0, 0.0), block_km=10, guard_km=1, seed=0)
    assert set(split_places(boxes(0, 50, 1), rule).values()) == {"train"}


def test_places_without_a_position_are_split_by_name():
    places = dict.fromkeys((f"p{n}" for n in range(300)), None)
    splits = split_places(places, RULE)
    assert set(splits.values()) == set(NAMES)
    assert split_places({"p7": None}, RULE)["p7"] == splits["p7"]


@pytest.mark.parametrize(
    ("fractions", "block", "guard"),
    [
        ((0.5, 0.2, 0.2), 10, 1),
        ((math.nan, 0, 1), 10, 1),
        ((1.2, -0.2, 0), 10, 1),
        ((1, 0, 0), 0, 1),
        ((1, 0, 0), 10, -1),
    ],
)
def test_rules_that_make_no_sense_are_refused(fractions, block, guard):
    with pytest.raises(InputError, match=r"--fractions|--block-km"):
        SplitRule(fractions, block_km=block, guard_km=guard, seed=0)


WESTWARD = {f"p{n}": (float(-n), 10.0, -n + 0.5, 10.5) for n in range(20)}
"""Of twenty places the first is the easternmost."""


def test_by_longitude_the_west_trains_and_the_east_tests():
    split = split_by_longitude(WESTWARD, LongitudeRule((0.6, 0.2, 0.2)))
    assert {place for place, name in split.items() if name == "test"} == {"p0", "p1", "p2", "p3"}
    assert {place for place, name in split.items() if name == "val"} == {"p4", "p5", "p6", "p7"}
    assert list(split.values()).count("train") == 12


def test_by_longitude_the_middle_of_a_place_counts():
    places = {"wide": (0.0, 0.0, 10.0, 1.0), "narrow": (1.0, 0.0, 2.0, 1.0)}
    split = split_by_longitude(places, LongitudeRule((0.5, 0, 0.5)))
    assert split == {"narrow": "train", "wide": "test"}


@given(st.permutations(list(WESTWARD)))
def test_places_on_one_meridian_are_split_by_name_in_any_order(names):
    split = split_by_longitude(
        dict.fromkeys(names, (5.0, 0.0, 6.0, 1.0)), LongitudeRule((0.6, 0.2, 0.2))
    )
    assert [place for place in sorted(names) if split[place] == "train"] == sorted(names)[:12]
    assert [place for place in sorted(names) if split[place] == "test"] == sorted(names)[16:]


@pytest.mark.parametrize("fractions", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.7, 0.1, 0.2)])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 27000])
def test_by_longitude_every_place_has_a_split_and_shares_are_met(fractions, count):
    places = {f"p{n}": (float(n), 0.0, n + 1.0, 1.0) for n in range(count)}
    found = list(split_by_longitude(places, LongitudeRule(fractions)).values())
    assert len(found) == count
    for name, fraction in zip(NAMES, fractions, strict=True):
        assert abs(found.count(name) - fraction * count) <= 1


def test_eurosat_by_longitude_has_the_published_numbers():
    places = {f"p{n}": (float(n), 0.0, n + 1.0, 1.0) for n in range(27000)}
    found = list(split_by_longitude(places, LongitudeRule((0.6, 0.2, 0.2))).values())
    assert [found.count(name) for name in NAMES] == [16200, 5400, 5400]


def test_shares_that_make_no_whole_are_refused_by_longitude_too():
    with pytest.raises(InputError, match=r"--fractions 0\.6,0\.2,0\.1: must be 0 or more"):
        LongitudeRule((0.6, 0.2, 0.1))
