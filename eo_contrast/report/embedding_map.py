"""Vectors laid flat: the two directions in which they differ most."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eo_contrast.pretrain.embeddings import Embeddings
from eo_contrast.pretrain.search import normalised
from eo_contrast.report.charts import FAINT, STYLE
from eo_contrast.report.pictures import Picture, data_uri

MOST_POINTS = 3000
MOST_CLASSES = 10
INCHES = (5.4, 5.2)
DPI = 150
GREY, PLAIN = "#9a9a96", "#0072B2"


@dataclass(frozen=True)
class EmbeddingMap:
    """One sensor's vectors as points; ``note`` says what is seen and what is not."""

    sensor: str
    picture: Picture
    note: str


def embedding_maps(embeddings: Embeddings) -> list[EmbeddingMap]:
    """A map for each of the encoder's sensors: others' vectors mean other things."""
    sensors = np.array(embeddings.sensors, dtype=object)
    return [
        _map(embeddings, name, evenly(np.flatnonzero(sensors == name), MOST_POINTS))
        for name in sorted(set(embeddings.sensors))
    ]


def evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of some rows, evenly chosen, in order."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def laid_flat(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Points (N, 2) of vectors (N, D) of length 1, by their principal components.

    Each axis points to where its longest loading is positive, so that the same vectors give the
    same map.

    Returns: the points, and the share of the variance that they keep, 0..1.
    """
    centred = normalised(vectors)
    centred -= centred.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    longest = np.abs(axes[:2]).argmax(axis=1)
    turned = axes[:2] * np.sign(axes[np.arange(len(longest)), longest])[:, None]
    points = centred @ turned.T
    if points.shape[1] < 2:
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    total = float((lengths**2).sum())
    return points, float((lengths[:2] ** 2).sum()) / total if total else 0.0


def _map(embeddings: Embeddings, sensor: str, rows: NDArray[np.int64]) -> EmbeddingMap:
    points, share = laid_flat(embeddings.vectors(rows))
    labels = [embeddings.table.column("label")[int(row)].as_py() or "" for row in rows]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, points, labels)
        _dress(axes, legend=any(labels))
        buffer = io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    by = ", coloured by class" if any(labels) else ""
    alt = f"{len(rows)} vectors of {sensor} as points{by}"
    width, height = (round(length * DPI) for length in INCHES)
    picture = Picture(data_uri(buffer.getvalue(), "image/png"), alt, width, height)
    counted = f"{len(rows):,} of {embeddings.sensors.count(sensor):,} images"
    note = f"{counted}; the two axes keep {100 * share:.0f} % of the variance."
    return EmbeddingMap(sensor, picture, note)


def _draw(axes: Axes, points: NDArray[np.float64], labels: Sequence[str]) -> None:
    """The commonest classes in colours of their own, the rest in grey below them."""
    common = [name for name, _ in Counter(filter(None, labels)).most_common(MOST_CLASSES)]
    chosen = np.array(labels, dtype=object)
    rest = ~np.isin(chosen, common)
    look: dict[str, Any] = {"s": 9, "alpha": 0.7, "linewidths": 0}
    if rest.any():
        axes.scatter(*points[rest].T, color=GREY if common else PLAIN, label="others", **look)
    for number, name in enumerate(sorted(common)):
        colour = mpl.colormaps["tab10"](number)
        axes.scatter(*points[chosen == name].T, color=[colour], label=name, **look)


def _dress(axes: Axes, *, legend: bool) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(FAINT)
    axes.set_aspect("equal", adjustable="datalim")
    if legend:
        axes.figure.legend(
            loc="outside upper left",
            ncols=3,
            frameon=False,
            fontsize=9,
            markerscale=2.5,
            handletextpad=0.2,
            columnspacing=1.0,
        )
