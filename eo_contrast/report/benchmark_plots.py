"""Score over the share of labels, a picture a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from eo_contrast.landcover.benchmark_table import (
    PROTOCOLS,
    SPELT,
    Group,
    Summarised,
    columns_of,
    encoders_of,
)
from eo_contrast.report.charts import COLOURS, INCHES, STYLE, plain_axes, svg_picture
from eo_contrast.report.pictures import Picture

APART = 0.03
"""Encoders of one share lie beside each other by this part of the axis' decades, so that whiskers
do not hide each other."""


def protocol_plots(groups: Mapping[Group, Summarised], metric: str) -> dict[str, Picture]:
    """By protocol: each encoder's mean and interval at every share of the labels."""
    protocols = list(dict.fromkeys(protocol for protocol, _ in columns_of(groups)))
    with mpl.rc_context(STYLE):
        return {protocol: _plot(groups, protocol, metric) for protocol in protocols}


def _plot(groups: Mapping[Group, Summarised], protocol: str, metric: str) -> Picture:
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    shares = [share for name, share in columns_of(groups) if name == protocol]
    encoders = [
        encoder
        for encoder in encoders_of(groups)
        if any(Group(encoder, protocol, share) in groups for share in shares)
    ]
    for number, encoder in enumerate(encoders):
        beside = 10 ** (APART * (number - (len(encoders) - 1) / 2))
        _curve(axes, groups, Group(encoder, protocol, 0), shares, metric, number, beside)
    plain_axes(axes)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(shares))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(shares, [f"{100 * share:g} %" for share in shares])
    axes.set_xlabel("share of the training labels")
    axes.set_ylabel(f"{SPELT.get(metric, metric)}, %")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8, handlelength=1.4)
    names = ", ".join(encoders)
    return svg_picture(figure, f"{PROTOCOLS[protocol]}: {names}, over shares of labels")


def _curve(
    axes: Axes,
    groups: Mapping[Group, Summarised],
    of: Group,
    shares: Sequence[float],
    metric: str,
    number: int,
    beside: float,
) -> None:
    found = [
        (share, groups[Group(of.encoder, of.protocol, share)].scores[metric])
        for share in shares
        if Group(of.encoder, of.protocol, share) in groups
    ]
    axes.errorbar(
        [share * beside for share, _ in found],
        [100 * score.mean for _, score in found],
        yerr=[
            [max(100 * (score.mean - score.low), 0) for _, score in found],
            [max(100 * (score.high - score.mean), 0) for _, score in found],
        ],
        fmt="o-" if number < len(COLOURS) else "o--",
        color=COLOURS[number % len(COLOURS)],
        linewidth=1.4,
        markersize=3.5,
        capsize=2,
        label=of.encoder,
    )
