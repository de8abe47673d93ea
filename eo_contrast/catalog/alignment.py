"""Whether radar and optics of a place match where their georeference puts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eo_contrast.catalog.grids import Grid, Row, finest_grid
from eo_contrast.catalog.problems import Problem
from eo_contrast.catalog.registration import Shift, shift_between
from eo_contrast.catalog.sampling import evenly
from eo_contrast.catalog.views import read_view
from eo_contrast.errors import EoContrastError

PLACES = 16
"""Places that are looked at, evenly chosen among those with both sensors."""
MOST_SIDE = 264
TOLERANCE = 2
"""Pixels: at 10 m both sensors are placed to about one."""

_OPTICAL_BANDS = ("B04", "B08")
_RADAR_BANDS = ("VH", "VV")


def misregistered(rows: Sequence[Row], *, most: int = PLACES) -> Iterator[Problem]:
    """Places whose images match best ``TOLERANCE`` pixels or more off.

    A place is told of only where two bands at least agree on the shift to a pixel, each beyond
    doubt; most places are left in doubt.
    """
    places: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if row["sensor"] in ("s1", "s2") and row["proj:code"]:
            places[row["place_id"]].setdefault(row["sensor"], row)
    both = sorted(name for name, images in places.items() if len(images) == 2)
    if not both:
        return
    for place in evenly(both, most):
        images = places[place]
        try:
            shifts = list(_shifts(images["s1"], images["s2"]))
        except (EoContrastError, ValueError):
            continue  # too small, or unreadable, which is said elsewhere
        agreed = _agreed(shifts)
        if agreed is not None and max(map(abs, agreed)) >= TOLERANCE:
            down, right = agreed
            message = (
                f"{place}: radar matches optics best {down} pixels down, {right} right of "
                "where its georeference puts it"
            )
            yield Problem("registration", message, (images["s2"]["id"], images["s1"]["id"]))


def _shifts(radar: Row, optical: Row) -> Iterator[Shift]:
    grid = _middle(finest_grid([radar, optical]))
    backscatter = [_plane(radar, grid, name) for name in _RADAR_BANDS if name in radar["bands"]]
    for name in _OPTICAL_BANDS:
        if name in optical["bands"]:
            seen = _plane(optical, grid, name)
            yield from (shift_between(seen, each) for each in backscatter)


def _agreed(shifts: Sequence[Shift]) -> tuple[int, int] | None:
    """The shift that two at least are certain of, to a pixel; None: there is none."""
    certain = [shift for shift in shifts if shift.certain]
    for one in certain:
        near = [
            other
            for other in certain
            if max(abs(one.rows - other.rows), abs(one.columns - other.columns)) <= 1
        ]
        if len(near) >= 2:
            return one.rows, one.columns
    return None


def _plane(row: Row, grid: Grid, band: str) -> NDArray[np.float32]:
    view = read_view(row, grid=grid, bands=[band])
    return np.where(view.valid, view.values[0], np.float32(np.nan))


def _middle(grid: Grid) -> Grid:
    height, width = min(grid.height, MOST_SIDE), min(grid.width, MOST_SIDE)
    return grid.window((grid.height - height) // 2, (grid.width - width) // 2, height, width)
