"""A look at the pixels of a few images of each kind: do they mean what the catalogue says?

Names and headers do not tell whether radar is decibel or power, whether counts have the 1000 of
baseline 04.00 still in them, or whether labels are classes of the legend; pixels mostly do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eo_contrast.bands import (
    OFFSET_OF_BASELINE_4,
    REFLECTANCE_SCALE,
    looks_linear,
)
from eo_contrast.catalog.grids import Grid, Row, grid_of
from eo_contrast.catalog.problems import MOST_ROWS, Problem
from eo_contrast.catalog.views import View, read_view
from eo_contrast.errors import EoContrastError

Thing = TypeVar("Thing")

A_KIND = 8
"""Images of each layout and product that are looked at, evenly chosen."""
WINDOW = 128

ADDED = -OFFSET_OF_BASELINE_4 * REFLECTANCE_SCALE
# Of the smallest value where nothing was taken off: noise brings some counts below the 1000, and
# the darkest band of land is a little brighter than nothing.
ADDED_AT_LEAST, ADDED_AT_MOST = 0.95 * ADDED, 1.3 * ADDED

_CORINE = frozenset(
    {111, 112, 121, 122, 123, 124, 131, 132, 133, 141, 142, 211, 212, 213, 221, 222, 223, 231, 241,
     242, 243, 244, 311, 312, 313, 321, 322, 323, 324, 331, 332, 333, 334, 335, 411, 412, 421, 422,
     423, 511, 512, 521, 522, 523, 999}
)  # fmt: skip
LEGENDS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "corine": _CORINE,
        "dfc": frozenset(range(11)),
        "igbp": frozenset(range(18)) | {255},
        "lulc": frozenset(range(10)) | {255},
    }
)
"""Classes of a label's band; 0 is no class in all of them but ``lulc``."""


def look_at_pixels(rows: Sequence[Row], *, most: int = A_KIND) -> Iterator[Problem]:
    """What the pixels of a sample of images contradict.

    Args:
        most: images of each layout and product that are read, a window in the middle of each.
            What cannot be read is passed over: it is said elsewhere.
    """
    kinds: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row["layout"], row["product"]].append(row)
    for (layout, product), images in kinds.items():
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        chosen = evenly(images, most)
        for row in chosen:
            try:
                view = read_view(row, grid=_middle(row))
            except EoContrastError:
                continue
            for kind, message in _faults(row, view):
                found[kind, message].append(row["id"])
        for (kind, message), ids in found.items():
            text = f"{layout}: {len(ids)} of {len(chosen)} images of {product} looked at: {message}"
            yield Problem(kind, text, tuple(ids[:MOST_ROWS]))


def evenly(things: Sequence[Thing], most: int) -> list[Thing]:
    """At most ``most`` of some things, evenly chosen, the first and the last among them."""
    places = np.unique(np.linspace(0, len(things) - 1, most).round().astype(int))
    return [things[place] for place in places.tolist()]


def _middle(row: Row) -> Grid:
    grid = grid_of(row)
    height, width = min(grid.height, WINDOW), min(grid.width, WINDOW)
    top, left = (grid.height - height) // 2, (grid.width - width) // 2
    return grid.window(top, left, height, width)


def _faults(row: Row, view: View) -> Iterator[tuple[str, str]]:
    seen = view.values[:, view.valid]
    if not seen.size:
        return
    if row["unit"] == "dB" and looks_linear(seen):
        yield (
            "linear-power",
            "said to be decibel, and no value is below 0: it looks like linear power",
        )
    # Where the product told its baseline, it told its offset.
    untold = row["offset"] == 0 and not row["s2:processing_baseline"]
    if row["unit"] == "reflectance" and untold and has_offset(row["product"], view.bands, seen):
        yield (
            "offset",
            f"the darkest band is nowhere below {ADDED_AT_LEAST:.3f}: the 1000 counts that "
            "baseline 04.00 adds seem not to be taken off",
        )
    if row["product"] == "label":
        yield from _strange(view)


def has_offset(product: str, bands: Sequence[str], values: NDArray[np.floating]) -> bool:
    """Whether the 1000 counts of baseline 04.00 seem to be in reflectances still.

    By the cirrus band, near 0 but in high clouds; of surface reflectance by the least value.
    Air is bright at the top of the atmosphere: without the cirrus band nothing can be said.

    Args:
        values: (bands, pixels) of valid pixels, at least one.
    """
    names = list(bands)
    if product == "s2-l1c" and "B10" not in names:
        return False
    planes = values[[names.index("B10")]] if "B10" in names else values
    return bool(ADDED_AT_LEAST <= float(planes.min()) <= ADDED_AT_MOST)


def _strange(view: View) -> Iterator[tuple[str, str]]:
    for name, plane in zip(view.bands, view.values, strict=True):
        if name not in LEGENDS:
            continue
        strange = sorted(set(np.unique(plane[view.valid]).tolist()) - LEGENDS[name])
        if strange:
            values = " ".join(map(str, strange[:5]))
            yield "label", f"values of {name} that the legend does not have: {values}"
