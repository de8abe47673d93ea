"""Make a catalogue of an archive, or bring one up to date."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts import FOLDER, find_layout
from eo_contrast.catalog.layouts.folder import FolderRules
from eo_contrast.catalog.layouts.folder import scan as scan_folder
from eo_contrast.catalog.sampling import evenly, look_at_pixels
from eo_contrast.catalog.scan import THREADS, Known, Stamp, scan_images
from eo_contrast.catalog.table import as_table, joined, read_catalogue, write_catalogue
from eo_contrast.errors import InputError
from eo_contrast.files import locked, refuse_existing

LOOKED_AT = 3
"""New images of each product whose pixels are looked at, for warnings."""


def ingest(
    root: Path,
    out: Path,
    *,
    layout: str = "auto",
    append: bool = False,
    overwrite: bool = False,
    rules: FolderRules | None = None,
    threads: int = THREADS,
    scheduler: str | None = None,
    advance: Callable[[int], None] = lambda _done: None,
) -> dict[str, Any]:
    """List an archive's images in a catalogue; no pixel is copied, those of a few are looked at.

    A broken file is skipped. The catalogue appears when all is scanned; until then what was
    there stays.

    Args:
        layout: a name, or ``auto``.
        rules: how the names of a ``folder`` are read; None: by its index.
        append: keep the images that ``out`` has, and read again only those that changed.
        scheduler: address of a dask cluster that shares this file system and reads the headers.
        advance: told the number of images looked at.

    Returns: layout, rows, places, added, skipped (a list of {path, reason}), warnings (what the
        new images' pixels or baselines tell that should be known), seconds.
    Raises:
        InputError: the root or layout will not do, ``out`` exists and is not wanted, no image
            can be used, or another run writes ``out`` now.
        WorldError: the disk is full or failing, or the cluster lost its workers.
    """
    began = time.perf_counter()
    if not append:
        refuse_existing(out, overwrite=overwrite)
    name, found = find_layout(root, layout)
    scan = found.scan if rules is None else partial(_folder, rules=rules, layout=name)
    with locked(out):
        before = read_catalogue(out) if append and out.exists() else None
        known = _known(before) if before is not None else {}
        rows, skipped = scan_images(
            _unique(scan(root)),
            name,
            known=known,
            threads=threads,
            scheduler=scheduler,
            advance=advance,
        )
        if not rows and before is None:
            raise InputError(f"{root}: no image of {name} can be used{_first(skipped)}")
        table = as_table(rows)
        warnings = _warnings(table)
        if before is not None:
            table = joined(before, table)
        write_catalogue(out, table)
    return {
        "layout": name,
        "rows": table.num_rows,
        "places": len(table.column("place_id").unique()),
        "added": len(rows),
        "skipped": [{"path": str(one.path), "reason": one.reason} for one in skipped],
        "warnings": warnings,
        "seconds": round(time.perf_counter() - began, 3),
    }


def _warnings(table: pa.Table) -> list[str]:
    if not table.num_rows:
        return []
    pixels = look_at_pixels(_some_of_each_kind(table).to_pylist(), most=LOOKED_AT)
    return [*mixed_baselines(table), *(each.message for each in pixels)]


def _some_of_each_kind(table: pa.Table) -> pa.Table:
    """``LOOKED_AT`` rows of each layout and product, evenly chosen."""
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    columns = (table.column(name).to_pylist() for name in ("layout", "product"))
    for number, kind in enumerate(zip(*columns, strict=True)):
        kinds[kind].append(number)
    return table.take(
        sorted(number for rows in kinds.values() for number in evenly(rows, LOOKED_AT))
    )


def mixed_baselines(table: pa.Table) -> Iterator[str]:
    """Says where images with and without the counts of baseline 04.00 stand side by side."""
    optical = table.filter(pc.equal(table.column("sensor"), "s2"))
    counted = optical.group_by(["layout", "product", "offset"]).aggregate([("id", "count")])
    offsets: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for row in counted.to_pylist():
        offsets[row["layout"], row["product"]].append((row["offset"], row["id_count"]))
    for (layout, product), counts in sorted(offsets.items()):
        if len(counts) > 1:
            parts = ", ".join(f"{n} with {offset:g}" for offset, n in sorted(counts))
            yield (
                f"{layout}: {product} of several processing baselines; added to their counts on "
                f"reading: {parts}"
            )


def _folder(root: Path, *, rules: FolderRules, layout: str) -> Iterator[Image | Skipped]:
    if layout != FOLDER:
        raise InputError(
            f"--pattern, --product, --bands and --unit are of the layout {FOLDER}; {root} is of "
            f"{layout}, which tells them itself"
        )
    return scan_folder(root, rules)


def _known(table: pa.Table) -> Known:
    names = ("id", "source_bytes", "source_modified_ns")
    columns = (table.column(name).to_pylist() for name in names)
    return {name: Stamp(size, modified) for name, size, modified in zip(*columns, strict=True)}


def _unique(found: Iterator[Image | Skipped]) -> Iterator[Image | Skipped]:
    """The same, but an id that comes again is skipped: rows are told apart by it."""
    seen: dict[str, Path] = {}
    for one in found:
        if isinstance(one, Image):
            if one.id in seen:
                yield Skipped(one.files[0], f"same id as {seen[one.id]}: {one.id}")
                continue
            seen[one.id] = one.files[0]
        yield one


def _first(skipped: list[Skipped]) -> str:
    if not skipped:
        return ""
    return f"; {len(skipped)} were skipped, the first is {skipped[0].path}: {skipped[0].reason}"
