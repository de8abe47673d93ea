"""Scan an archive: names by the layout, headers by threads; what is broken is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import rasterio

from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts import LAYOUTS
from eo_contrast.catalog.table import Row
from eo_contrast.cluster import Cluster, connected, results_in_order
from eo_contrast.errors import EoContrastError
from eo_contrast.raster.reader import unplaced_silently

THREADS = 8
# Images whose headers are asked for at once: an archive of millions is not held in memory.
BATCH = 1024
BATCHES_A_WORKER = 4


@dataclass(frozen=True)
class Stamp:
    """Size and time of an image's files; it changes when they do."""

    source_bytes: int
    source_modified_ns: int


Known = Mapping[str, Stamp]
"""Stamps of the images that a catalogue has, by id."""

Batch = Sequence[Image | Skipped]
Result = Row | Skipped | None
"""None: an image that the catalogue has already."""


def scan_images(
    found: Iterator[Image | Skipped],
    layout: str,
    *,
    known: Known,
    threads: int = THREADS,
    scheduler: str | None = None,
    advance: Callable[[int], None] = lambda _done: None,
) -> tuple[list[Row], list[Skipped]]:
    """Rows of the images that are new or changed, and what cannot be used.

    Args:
        found: as a layout's ``scan`` gives it.
        known: images whose stamp is here are neither read nor given.
        threads: of this process, or of each task on the cluster.
        scheduler: address of a dask cluster whose workers read the headers.
        advance: told the number of images looked at, after each batch.

    Raises:
        InputError: no scheduler answers there, or it has no workers.
        WorldError: the cluster lost its workers.
    """
    batches = iter(lambda: list(islice(found, BATCH)), [])
    read = partial(_read_batch, layout=layout, threads=threads)
    if scheduler is None:
        results = (read(batch, _of(batch, known)) for batch in batches)
        return _sorted(results, advance)
    with connected(scheduler) as cluster:
        return _sorted(_on_cluster(cluster, scheduler, batches, known, read), advance)


def _on_cluster(
    cluster: Cluster,
    address: str,
    batches: Iterator[list[Image | Skipped]],
    known: Known,
    read: Callable[[Batch, Known], list[Result]],
) -> Iterator[list[Result]]:
    """Results in the order of the batches."""
    calls = ((read, batch, _of(batch, known)) for batch in batches)
    return results_in_order(cluster, address, calls, a_worker=BATCHES_A_WORKER)


def _sorted(
    batches: Iterable[list[Result]], advance: Callable[[int], None]
) -> tuple[list[Row], list[Skipped]]:
    rows: list[Row] = []
    skipped: list[Skipped] = []
    done = 0
    for results in batches:
        rows += [each for each in results if isinstance(each, Row)]
        skipped += [each for each in results if isinstance(each, Skipped)]
        done += len(results)
        advance(done)
    return rows, skipped


def _of(batch: Batch, known: Known) -> Known:
    """What is known of a batch's images: a worker needs no more."""
    ids = {found.id for found in batch if isinstance(found, Image)}
    return {name: known[name] for name in ids & known.keys()}


def _read_batch(batch: Batch, known: Known, *, layout: str, threads: int) -> list[Result]:
    """Headers of a batch; what a worker runs."""
    read = partial(_described, layout=layout, known=known)
    # Around all threads: each for itself would give back the filters that another had set.
    with unplaced_silently(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(read, batch))


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
