"""Scan an archive: names by the layout, headers by threads; what is broken is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import rasterio

from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts import LAYOUTS
from eo_contrast.catalog.table import Row
from eo_contrast.errors import EoContrastError
from eo_contrast.raster.reader import unplaced_silently

THREADS = 8
# Images whose headers are asked for at once: an archive of millions is not held in memory.
BATCH = 1024


@dataclass(frozen=True)
class Stamp:
    """Size and time of an image's files; it changes when they do."""

    source_bytes: int
    source_modified_ns: int


Known = Mapping[str, Stamp]
"""Stamps of the images that a catalogue has, by id."""


def scan_images(
    found: Iterator[Image | Skipped],
    layout: str,
    *,
    known: Known,
    threads: int = THREADS,
    advance: Callable[[int], None] = lambda _done: None,
) -> tuple[list[Row], list[Skipped]]:
    """Rows of the images that are new or changed, and what cannot be used.

    Args:
        found: as a layout's ``scan`` gives it.
        known: images whose stamp is here are neither read nor given.
        advance: told the number of images looked at, after each batch.
    """
    rows: list[Row] = []
    skipped: list[Skipped] = []
    done = 0
    # Around all threads: each for itself would give back the filters that another had set.
    with unplaced_silently(), ThreadPoolExecutor(threads) as pool:
        while batch := list(islice(found, BATCH)):
            for result in pool.map(partial(_described, layout=layout, known=known), batch):
                if isinstance(result, Row):
                    rows.append(result)
                elif result is not None:
                    skipped.append(result)
            done += len(batch)
            advance(done)
    return rows, skipped


def _described(found: Image | Skipped, *, layout: str, known: Known) -> Row | Skipped | None:
    if isinstance(found, Skipped):
        return found
    try:
        stamp = _stamp(found.files)
        if known.get(found.id) == stamp:
            return None
        # One for all files of an image: each open would make and undo one of its own.
        with rasterio.Env():
            return _row(found, layout, stamp)
    except EoContrastError as error:
        return Skipped(found.files[0], str(error))
    except OSError as error:
        return Skipped(found.files[0], error.strerror or str(error))


def _stamp(files: tuple[Path, ...]) -> Stamp:
    states = [path.stat() for path in files]
    return Stamp(
        source_bytes=sum(state.st_size for state in states),
        source_modified_ns=max(state.st_mtime_ns for state in states),
    )


def _row(image: Image, layout: str, stamp: Stamp) -> Row | Skipped:
    told = LAYOUTS[layout].describe(image)
    if isinstance(told, Skipped):
        return told
    return Row(image, layout, told, stamp.source_bytes, stamp.source_modified_ns)
