"""Curves as SVG pictures: small, sharp at any size, the same bytes for the same numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eo_contrast.report.pictures import Picture, data_uri

# Okabe and Ito's colours, told apart by colour-blind readers too; yellow is too light here.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
INK, FAINT = "#333333", "#d9d9d6"
INCHES = (4.6, 2.9)
POINTS_PER_INCH = 72
MARKED_POINTS = 12
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "eo-contrast",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "path.simplify": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-3, 5),
}


@dataclass(frozen=True)
class Curve:
    """One line: ``values[i]`` at training step ``steps[i]``; NaN leaves a gap.

    ``summary`` marks the one curve that sums up the others: it is drawn in black, and thicker.
    """

    label: str
    steps: Sequence[float]
    values: Sequence[float]
    summary: bool = False


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare curves with."""

    label: str
    value: float


@dataclass(frozen=True)
class Mark:
    """A step that something happened at: a vertical line."""

    label: str
    step: float


@dataclass(frozen=True)
class Chart:
    """Curves over training steps that share an axis.

    Attributes:
        title: what is shown, unit included.
        note: one sentence on how to read it; goes below the picture.
        from_zero: begin the value axis at 0.
    """

    title: str
    note: str
    curves: Sequence[Curve]
    levels: Sequence[Level] = ()
    from_zero: bool = False
    marks: Sequence[Mark] = ()


def drawn_charts(charts: Sequence[Chart]) -> list[tuple[Chart, Picture]]:
    """Those that have something to show, each with its picture."""
    pictures = [(chart, drawn(chart)) for chart in charts]
    return [(chart, picture) for chart, picture in pictures if picture is not None]


def curves_of(rows: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> list[Curve]:
    """A curve a name that any row has; rows that lack it leave gaps.

    Args:
        rows: of a log, each with its ``step``.
        names: label of a curve by the key of its value.
    """
    return [
        Curve(label, [row["step"] for row in rows], [row.get(name, math.nan) for row in rows])
        for name, label in names.items()
        if any(name in row for row in rows)
    ]


def drawn(chart: Chart) -> Picture | None:
    """The chart as an SVG picture; None when no curve has a finite value."""
    curves = [curve for curve in chart.curves if any(map(math.isfinite, curve.values))]
    if not curves:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        for number, curve in enumerate(sorted(curves, key=lambda curve: curve.summary)):
            _draw(axes, curve, number)
        for level in chart.levels:
            axes.axhline(level.value, color=INK, linewidth=1, linestyle=":", label=level.label)
        for mark in chart.marks:
            axes.axvline(mark.step, color=INK, linewidth=1, linestyle="--", label=mark.label)
        _dress(axes, chart, legend=len(curves) + len(chart.levels) + len(chart.marks) > 1)
        marked = "".join(f"; {mark.label}: step {mark.step:,.0f}" for mark in chart.marks)
        names = ", ".join(curve.label for curve in curves)
        return svg_picture(figure, f"{chart.title}: {names}, over steps{marked}")


def plain_axes(axes: Axes) -> None:
    """Take away what is no data: a box, ticks; leave faint lines to read values by."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)


def svg_picture(figure: Figure, alt: str) -> Picture:
    """A figure as it is, drawn under ``STYLE``."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    width, height = (round(inches * POINTS_PER_INCH) for inches in figure.get_size_inches())
    return Picture(data_uri(buffer.getvalue(), "image/svg+xml"), alt, width, height)


def _draw(axes: Axes, curve: Curve, number: int) -> None:
    axes.plot(
        curve.steps,
        [value if math.isfinite(value) else math.nan for value in curve.values],
        "-" if number < len(COLOURS) or curve.summary else "--",
        color=INK if curve.summary else COLOURS[number % len(COLOURS)],
        linewidth=2.4 if curve.summary else 1.6,
        # one logged point is no line: it needs a mark to be seen
        marker="o" if len(curve.values) <= MARKED_POINTS else None,
        markersize=3.5,
        label=curve.label,
    )


def _dress(axes: Axes, chart: Chart, *, legend: bool) -> None:
    plain_axes(axes)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.margins(x=0.02)
    if chart.from_zero:
        axes.set_ylim(bottom=0)
    if legend:
        axes.figure.legend(
            loc="outside upper left",
            ncols=3,
            frameon=False,
            fontsize=8,
            handlelength=1.4,
            columnspacing=1.2,
        )
