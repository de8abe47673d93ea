"""An image and those most like it, side by side in one contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eo_contrast.catalog.grids import Row
from eo_contrast.catalog.views import View
from eo_contrast.errors import InputError
from eo_contrast.files import whole_file
from eo_contrast.report.image_colours import colours, contrast, read_middle

MOST_COLUMNS = 5
PANEL_INCHES = 1.9
MOST_SIDE = 256
CAPTION = 26
FRAME = "#0a5f86"


@dataclass(frozen=True)
class Shown:
    """An image as it is shown.

    Attributes:
        pixels: (H, W, 3) 0..1; None: it cannot be read.
        caption: its class; where it has none its place, and on a second line its date.
        similarity: to the first image; None: it is the first.
    """

    row: Row
    pixels: NDArray[np.float32] | None
    caption: tuple[str, ...]
    similarity: float | None


def shown(rows: Sequence[Row], similarities: Sequence[float]) -> list[Shown]:
    """An image and its neighbours; reflectances are brought to one contrast.

    Args:
        rows: of one product; the first is what the others are like.
        similarities: of the others.
    """
    views: list[View | None] = []
    for row in rows:
        try:
            views.append(read_middle(row, MOST_SIDE))
        except InputError:
            views.append(None)
    limits = contrast([view for view in views if view is not None])
    return [
        Shown(
            row,
            None if view is None else colours(row, view, limits),
            caption_of(row),
            similarity,
        )
        for row, view, similarity in zip(rows, views, (None, *similarities), strict=True)
    ]


def caption_of(row: Row) -> tuple[str, ...]:
    """The class of an image; its place and date where it has none."""
    if row["label"]:
        return (str(row["label"]),)
    place = row["place_id"].rpartition("/")[2]
    return (place, f"{row['datetime']:%Y-%m-%d}") if row["datetime"] else (place,)


def draw_neighbours(images: Sequence[Shown], out: Path) -> None:
    """Write a grid of pictures, what was asked for first.

    Raises: WorldError: the disk is full or failing.
    """
    columns = min(len(images), MOST_COLUMNS)
    lines = -(-len(images) // columns)
    size = (PANEL_INCHES * columns, (PANEL_INCHES + 0.5) * lines)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    panels[0].spines[:].set(visible=True, linewidth=3, edgecolor=FRAME)
    for panel, image in zip(panels, images, strict=False):
        if image.pixels is None:
            panel.text(0.5, 0.5, "cannot be read", ha="center", va="center", fontsize=8)
        else:
            panel.imshow(image.pixels, interpolation="nearest")
        like = "like this" if image.similarity is None else f"{image.similarity:.3f}"
        panel.set_title("\n".join([*map(_shortened, image.caption), like]), fontsize=8)
    with whole_file(out) as partial:
        FigureCanvasAgg(figure)
        figure.savefig(partial, format="png")


def _shortened(text: str) -> str:
    return text if len(text) <= CAPTION else f"…{text[1 - CAPTION :]}"
