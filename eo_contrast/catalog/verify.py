"""Whether a catalogue can be trusted: files that are there, pairs that overlap, splits apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.problems import MOST_ROWS, Problem
from eo_contrast.catalog.sampling import look_at_pixels
from eo_contrast.catalog.splits import GUARD

Rows = list[dict[str, Any]]

UNSPLIT = ("", GUARD)


def verify_table(table: pa.Table) -> list[Problem]:
    """Everything that is wrong with a catalogue, kind by kind; pixels of a few images are read."""
    rows = table.to_pylist()
    checks = (
        _files, _twice, _bands, _pairs, _places_in_splits, _overlaps_of_splits, look_at_pixels,
    )  # fmt: skip
    return [problem for check in checks for problem in check(rows)]


def _files(rows: Rows) -> Iterator[Problem]:
    for row in rows:
        paths = [Path(row["href"], part) for part in row["files"]] or [Path(row["href"])]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            yield Problem("missing-file", f"{missing[0]}: no such file", (row["id"],))
        elif sum(path.stat().st_size for path in paths) != row["source_bytes"]:
            message = f"{row['href']}: has another size than when it was ingested"
            yield Problem("changed-file", message, (row["id"],))


def _twice(rows: Rows) -> Iterator[Problem]:
    by_source = defaultdict(list)
    for row in rows:
        by_source[row["href"], tuple(row["files"]), tuple(row["part"]), row["product"]].append(
            row["id"]
        )
    for (href, *_), ids in by_source.items():
        if len(ids) > 1:
            message = f"{href}: is the source of {len(ids)} images"
            yield Problem("file-in-two-rows", message, tuple(ids[:MOST_ROWS]))


def _bands(rows: Rows) -> Iterator[Problem]:
    """Bands that a product does not have, or lacks, or that come in orders of their own."""
    orders: dict[tuple[str, str], dict[tuple[str, ...], list[str]]] = defaultdict(dict)
    for row in rows:
        by_order = orders[row["layout"], row["product"]]
        by_order.setdefault(tuple(row["bands"]), []).append(row["id"])
    for (layout, name), by_order in orders.items():
        known = set(PRODUCTS[name].bands) if name in PRODUCTS else None
        for bands, ids in by_order.items():
            strange = [] if known is None else sorted(set(bands) - known)
            if strange:
                message = f"{layout}: {name} has no band {' '.join(strange)}"
                yield Problem("bands", message, tuple(ids[:MOST_ROWS]))
        if len(by_order) > 1:
            rarest = min(by_order.values(), key=len)
            message = f"{layout}: images of {name} have {len(by_order)} orders of bands"
            yield Problem("bands", message, tuple(rarest[:MOST_ROWS]))


def _pairs(rows: Rows) -> Iterator[Problem]:
    """Images of one place that do not show the same ground."""
    by_place = defaultdict(list)
    for row in rows:
        if row["geometry"] is not None:
            by_place[row["place_id"]].append(row)
    for place, images in by_place.items():
        if len(images) < 2:
            continue
        shapes = shapely.from_wkb([image["geometry"] for image in images])
        apart = np.flatnonzero(~shapely.intersects(shapes[0], shapes))
        if apart.size:
            ids = (images[0]["id"], *(images[k]["id"] for k in apart[: MOST_ROWS - 1]))
            yield Problem("pair", f"{place}: its images do not overlap", ids)


def _places_in_splits(rows: Rows) -> Iterator[Problem]:
    splits = defaultdict(set)
    ids = defaultdict(list)
    for row in rows:
        if row["split"] not in UNSPLIT:
            splits[row["place_id"]].add(row["split"])
            ids[row["place_id"]].append(row["id"])
    for place, found in splits.items():
        if len(found) > 1:
            message = f"{place}: is in {' and '.join(sorted(found))}"
            yield Problem("place-in-two-splits", message, tuple(ids[place][:MOST_ROWS]))


def _overlaps_of_splits(rows: Rows) -> Iterator[Problem]:
    """Images of different places and splits that show the same ground."""
    placed = [row for row in rows if row["geometry"] is not None and row["split"] not in UNSPLIT]
    names = sorted({row["split"] for row in placed})
    if len(names) < 2:
        return
    shapes = shapely.from_wkb([row["geometry"] for row in placed])
    splits = np.array([row["split"] for row in placed])
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            mine, theirs = np.flatnonzero(splits == one), np.flatnonzero(splits == other)
            tree = shapely.STRtree(shapes[theirs])
            left, right = tree.query(shapes[mine], predicate="intersects")
            pairs = [(placed[mine[a]], placed[theirs[b]]) for a, b in zip(left, right, strict=True)]
            pairs = [(a, b) for a, b in pairs if a["place_id"] != b["place_id"]]
            if pairs:
                message = f"{len(pairs)} images of {one} overlap with images of {other}"
                ids = [row["id"] for pair in pairs for row in pair]
                yield Problem("overlap-of-splits", message, tuple(dict.fromkeys(ids))[:MOST_ROWS])
