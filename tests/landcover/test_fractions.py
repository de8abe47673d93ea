"""Shares of the labels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eo_contrast.errors import InputError
from eo_contrast.landcover.fractions import label_share

NAMES = ("forest", "lake", "town")


def one_class_each(*counts: int) -> np.ndarray:
    return np.repeat(np.eye(len(counts), dtype=bool), counts, axis=0)


@st.composite
def presences(draw):
    seed, places = draw(st.integers(0, 999)), draw(st.integers(1, 80))
    drawn = np.random.default_rng(seed).random((places, 3))
    return drawn < draw(st.floats(0.05, 0.9))


def test_a_tenth_of_each_class_is_taken():
    presence = one_class_each(200, 100, 50)
    chosen = label_share(presence, 0.1, seed=0, classes=NAMES)
    assert presence[chosen].sum(0).tolist() == [20, 10, 5]


def test_all_is_all():
    presence = one_class_each(3, 1, 2)
    assert label_share(presence, 1.0, seed=3, classes=NAMES).tolist() == list(range(6))


@given(presence=presences(), seed=st.integers(0, 99), shares=st.tuples(*[st.floats(0.01, 1.0)] * 2))
def test_a_small_share_lies_within_a_larger_one(presence, seed, shares):
    few, many = sorted(shares)
    try:
        smaller = label_share(presence, few, seed=seed, classes=NAMES)
    except InputError:
        return
    larger = label_share(presence, many, seed=seed, classes=NAMES)
    assert set(smaller) <= set(larger)


@given(presence=presences(), seed=st.integers(0, 99), fraction=st.floats(0.01, 1.0))
def test_no_place_is_drawn_twice_and_no_class_is_left_empty(presence, seed, fraction):
    try:
        chosen = label_share(presence, fraction, seed=seed, classes=NAMES)
    except InputError:
        return
    assert len(set(chosen)) == len(chosen)
    assert (presence[chosen].any(0) == presence.any(0)).all()


@given(presence=presences(), seed=st.integers(0, 99), fraction=st.floats(0.001, 0.3))
def test_the_least_share_that_is_named_works(presence, seed, fraction):
    try:
        label_share(presence, fraction, seed=seed, classes=NAMES)
    except InputError as error:
        least = float(re.search(r"at least (\S+)$", str(error))[1])
        assert len(label_share(presence, least, seed=seed, classes=NAMES))


def test_other_seeds_draw_other_places():
    presence = one_class_each(100, 100, 100)
    drawn = {tuple(label_share(presence, 0.1, seed=seed, classes=NAMES)) for seed in range(5)}
    assert len(drawn) == 5


def test_a_class_that_would_be_empty_is_named_with_what_to_give():
    with pytest.raises(InputError) as caught:
        label_share(one_class_each(100, 20, 100), 0.01, seed=0, classes=NAMES)
    assert str(caught.value) == (
        "label fraction 0.01: leaves class 'lake' without a place; give at least 0.025"
    )


def test_a_class_that_no_place_has_is_not_missed():
    presence = np.hstack([one_class_each(10, 10), np.zeros((20, 1), bool)])
    assert len(label_share(presence, 0.5, seed=0, classes=NAMES)) == 10


def test_a_place_of_several_classes_counts_for_its_rarest():
    presence = np.zeros((40, 3), bool)
    presence[:, 0] = True
    presence[:4, 1] = True
    chosen = label_share(presence, 0.5, seed=0, classes=NAMES)
    assert (chosen < 4).sum() == 2
    assert len(chosen) == 20
