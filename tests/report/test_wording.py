"""How numbers, durations and settings are worded."""

from __future__ import annotations

import math

import pytest

from eo_contrast.report.wording import counted, decimal, duration, flattened, setting


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0421, "42 ms"),
        (0.42, "0.42 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (425, "7 min 05 s"),
        (11520, "3 h 12 min"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_a_duration_is_told_in_units_that_fit_it(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_a_number_that_is_not_finite_is_a_dash() -> None:
    assert [decimal(value) for value in (None, math.nan, math.inf, 1234.5)] == [
        "–",
        "–",
        "–",
        "1,234.50",
    ]


def test_one_is_singular() -> None:
    assert (counted(1, "step"), counted(2000, "step")) == ("1 step", "2,000 steps")


def test_nested_settings_get_the_names_that_set_takes() -> None:
    assert flattened({"a": {"b": {"c": 1}, "d": []}, "e": {}}) == {"a.b.c": 1, "a.d": [], "e": {}}


def test_settings_read_as_in_yaml() -> None:
    assert [setting(value) for value in (None, True, ["x", 2], 1e-4)] == [
        "none",
        "true",
        "x, 2",
        "0.0001",
    ]
