"""Pictures of a catalogue: where its images lie, and the images of one place side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from eo_contrast.catalog.grids import Row, finest_grid, grid_of
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.errors import InputError
from eo_contrast.files import whole_file
from eo_contrast.report.image_colours import colours

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
LEAST_SHARE = 0.006
"""Footprints smaller than this share of the picture are drawn as dots."""
MOST_SIDE = 512
PANEL_INCHES = 2.6
MOST_COLUMNS = 4
TITLE_A_PANEL = 34


def draw_footprints(catalogue: Path, out: Path) -> int:
    """Draw where the images lie, coloured by split, or by product where there is none.

    Returns: number of images drawn; those without a position are not.
    Raises: InputError: no catalogue, or no image of it has a position.
    """
    rows = [
        row
        for row in read_catalogue(catalogue).select(["geometry", "split", "product"]).to_pylist()
        if row["geometry"] is not None
    ]
    if not rows:
        raise InputError(f"{catalogue}: none of its images has a position, so none can be drawn")
    by = "split" if any(row["split"] for row in rows) else "product"
    shapes = shapely.from_wkb([row["geometry"] for row in rows])
    west, south, east, north = shapely.total_bounds(shapes)
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot()
    kinds = sorted({row[by] or "none" for row in rows})
    extent = max(east - west, north - south, 1e-9)
    for number, kind in enumerate(kinds):
        chosen = shapes[[(row[by] or "none") == kind for row in rows]]
        _draw(axes, chosen, COLOURS[number % len(COLOURS)], f"{kind} ({len(chosen)})", extent)
    axes.set_aspect(1 / max(math.cos(math.radians((south + north) / 2)), 0.05))
    axes.margins(0.05)
    axes.autoscale_view()
    axes.set(xlabel="longitude [°]", ylabel="latitude [°]", title=f"{len(rows)} images")
    axes.ticklabel_format(useOffset=False)
    axes.legend(title=by, loc="best", markerscale=2)
    _save(figure, out)
    return len(rows)


def _draw(axes: Any, shapes: Any, colour: str, label: str, extent: float) -> None:
    bounds = shapely.bounds(shapes)
    small = (bounds[:, 2:] - bounds[:, :2]).max(axis=1) < LEAST_SHARE * extent
    middles = shapely.get_coordinates(shapely.centroid(shapes))
    axes.plot(*middles[small].T, ".", color=colour, markersize=5, label=label)
    rings = [shapely.get_coordinates(shape.convex_hull) for shape in shapes[~small]]
    axes.add_collection(
        PolyCollection(rings, facecolors=f"{colour}22", edgecolors=colour, linewidths=0.8)
    )


def draw_place(catalogue: Path, out: Path, *, place_id: str | None = None) -> list[str]:
    """Draw all images of a place on one grid, each as its kind is looked at.

    Args:
        place_id: None: the place with most images, of equal ones the first.

    Returns: ids of the images drawn, in order.
    Raises: InputError: no catalogue, no such place, or an image that cannot be read.
    """
    rows = _rows(catalogue, place_id)
    grid = finest_grid(rows)
    if max(grid.height, grid.width) > MOST_SIDE:
        side = min(MOST_SIDE, grid.height, grid.width)
        grid = grid.window((grid.height - side) // 2, (grid.width - side) // 2, side, side)
    columns = min(len(rows), MOST_COLUMNS)
    lines = -(-len(rows) // columns)
    size = (PANEL_INCHES * columns, (PANEL_INCHES + 0.35) * lines + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, row in zip(panels, rows, strict=False):
        # An image without a position shows the same ground, on pixels of its own.
        own = grid if row["proj:code"] else grid_of(row)
        panel.imshow(colours(row, read_view(row, grid=own)), interpolation="nearest")
        date = f"{row['datetime']:%Y-%m-%d}" if row["datetime"] else row["label"]
        panel.set_title(f"{row['product']} {date}".strip(), fontsize=8)
    figure.suptitle(_shortened(rows[0]["place_id"], TITLE_A_PANEL * columns), fontsize=8)
    _save(figure, out)
    return [row["id"] for row in rows]


def _shortened(text: str, most: int) -> str:
    """The end of a name that is too long: it is what tells places apart."""
    return text if len(text) <= most else f"…{text[-most:]}"


def _rows(catalogue: Path, place_id: str | None) -> list[Row]:
    rows = read_catalogue(catalogue).to_pylist()
    places: dict[str, list[Row]] = {}
    for row in rows:
        places.setdefault(row["place_id"], []).append(row)
    if not places:
        raise InputError(f"{catalogue}: has no image")
    wanted = place_id if place_id is not None else max(places, key=lambda name: len(places[name]))
    if wanted not in places:
        one = next(iter(places))
        raise InputError(f"{catalogue}: has no place '{wanted}'; one that it has is '{one}'")
    return sorted(places[wanted], key=lambda row: (row["product"], str(row["datetime"]), row["id"]))


def _save(figure: Figure, out: Path) -> None:
    with whole_file(out) as partial:
        FigureCanvasAgg(figure)
        figure.savefig(partial, format="png")
