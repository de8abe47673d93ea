"""Curves as SVG pictures."""

from __future__ import annotations

import base64
import math

from eo_contrast.report.charts import Chart, Curve, Level, drawn


def svg(chart: Chart) -> str:
    picture = drawn(chart)
    assert picture is not None
    return base64.b64decode(picture.uri.split(",")[1]).decode()


def test_a_chart_names_its_curves_and_levels_in_text() -> None:
    curves = [Curve("generator", [1, 2], [0.3, 0.4]), Curve("discriminator", [1, 2], [0.2, 0.1])]
    text = svg(Chart("Losses", "", curves, [Level("chance", 0.5)]))
    for name in ("generator", "discriminator", "chance", "step"):
        assert f">{name}</text>" in text


def test_the_same_numbers_give_the_same_bytes() -> None:
    chart = Chart("Losses", "", [Curve("a", range(30), [1 / (n + 1) for n in range(30)])])
    assert svg(chart) == svg(chart)
    assert "date" not in svg(chart).lower()


def test_gaps_are_left_where_values_are_not_finite() -> None:
    gap = Chart("Losses", "", [Curve("a", [1, 2, 3, 4, 5], [1, 2, math.inf, 3, 4])])
    whole = Chart("Losses", "", [Curve("a", [1, 2, 3, 4, 5], [1, 2, 2.5, 3, 4])])
    assert svg(gap).count("<use") == svg(whole).count("<use") - 1


def test_nothing_finite_makes_no_picture() -> None:
    assert drawn(Chart("Losses", "", [])) is None
    assert drawn(Chart("Losses", "", [Curve("a", [1, 2], [math.nan, math.inf])])) is None
