"""A catalogue with its places split anew: by blocks, by longitude, or by lists of names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from eo_contrast.catalog.split_lists import NameLists, split_by_lists
from eo_contrast.catalog.split_longitude import LongitudeRule, split_by_longitude
from eo_contrast.catalog.split_rule import Rule
from eo_contrast.catalog.splits import GUARD, NAMES, Box, split_places
from eo_contrast.catalog.table import read_catalogue, write_catalogue
from eo_contrast.errors import InputError

NONE = "none"
"""What counts call the places of no list, whose split is empty."""


def split_catalogue(
    catalogue: Path, out: Path, rule: Rule, say: Callable[[str], None]
) -> dict[str, int]:
    """Write a catalogue with its column ``split`` set anew, equal for all images of a place.

    Returns: how many images are train, val, test, guard and in none.

    Raises: InputError: the catalogue or the rule's files cannot be read or do not fit each other.
    """
    table = read_catalogue(catalogue)
    split = _split(catalogue, table, rule, say)
    column = [split.get(place, "") for place in table.column("place_id").to_pylist()]
    at = table.column_names.index("split")
    field = table.schema.field("split")
    write_catalogue(out, table.set_column(at, field, pa.array(column, pa.string())))
    counts = Counter(column)
    return {**{name: counts[name] for name in (*NAMES, GUARD)}, NONE: counts[""]}


def _split(
    catalogue: Path, table: pa.Table, rule: Rule, say: Callable[[str], None]
) -> dict[str, str]:
    if isinstance(rule, NameLists):
        names = (table.column(name).to_pylist() for name in ("id", "place_id"))
        return split_by_lists(rule, zip(*names, strict=True), say)
    places = _places(table)
    if isinstance(rule, LongitudeRule):
        return split_by_longitude(_all_placed(catalogue, places), rule)
    unplaced = table.column("geometry").null_count
    if unplaced:
        say(f"{unplaced} images have no position: split by the names of their places")
    return split_places(places, rule)


def _all_placed(catalogue: Path, places: Mapping[str, Box | None]) -> dict[str, Box]:
    placed = {place: box for place, box in places.items() if box is not None}
    if len(placed) < len(places):
        first = min(places.keys() - placed.keys())
        raise InputError(
            f"{catalogue}: {len(places) - len(placed)} of {len(places)} places have no longitude, "
            f"the first {first}; split them by lists of names (--files)"
        )
    return placed


def _places(table: pa.Table) -> dict[str, Box | None]:
    """The box around all images of each place."""
    places: dict[str, Box | None] = {}
    names, boxes = (table.column(name).to_pylist() for name in ("place_id", "bbox"))
    for place, box in zip(names, boxes, strict=True):
        places[place] = _around(places.get(place), box)
    return places


def _around(known: Box | None, box: Mapping[str, Any] | None) -> Box | None:
    if box is None:
        return known
    west, south, east, north = (box[name] for name in ("xmin", "ymin", "xmax", "ymax"))
    if known is None:
        return west, south, east, north
    return min(known[0], west), min(known[1], south), max(known[2], east), max(known[3], north)
