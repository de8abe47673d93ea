"""What a catalogue holds, counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from eo_contrast.catalog.table import read_catalogue


def describe_catalogue(path: Path) -> dict[str, Any]:
    """Counts, extents, bands and dates of a catalogue.

    Returns: kind, rows, places, sensors, products, layouts, splits, labels (each a dict of
        counts), dates ([first, last], ISO 8601, or empty), undated (rows), bands (by product),
        crs (counts), bbox ([west, south, east, north], or empty).
    Raises: InputError: it is no catalogue.
    """
    table = read_catalogue(path)
    dates = pc.min_max(table.column("datetime")).as_py()
    bands = zip(table.column("product").to_pylist(), table.column("bands").to_pylist(), strict=True)
    return {
        "kind": "catalogue",
        "rows": table.num_rows,
        "places": len(table.column("place_id").unique()),
        **{
            plural: _counts(table.column(name).to_pylist())
            for plural, name in (
                ("sensors", "sensor"),
                ("products", "product"),
                ("layouts", "layout"),
                ("splits", "split"),
                ("labels", "label"),
                ("crs", "proj:code"),
            )
        },
        "dates": []
        if dates["min"] is None
        else [dates["min"].isoformat(), dates["max"].isoformat()],
        "undated": table.column("datetime").null_count,
        "bands": {
            product: list(names) for product, names in sorted({(p, tuple(b)) for p, b in bands})
        },
        "bbox": _extent(table),
    }


def _counts(values: list[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value or "none" for value in values).items()))


def _extent(table: Any) -> list[float]:
    boxes = [box for box in table.column("bbox").to_pylist() if box is not None]
    if not boxes:
        return []
    return [
        min(box["xmin"] for box in boxes),
        min(box["ymin"] for box in boxes),
        max(box["xmax"] for box in boxes),
        max(box["ymax"] for box in boxes),
    ]
