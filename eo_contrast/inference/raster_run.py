"""One raster in, one raster out, by any model of tiles: whole or not at all, and resumable."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eo_contrast.errors import (
    InputError,
    Interrupted,
    UnreadableError,
    WorldError,
    disk_errors_named,
)
from eo_contrast.files import locked, refuse_existing, whole_file
from eo_contrast.inference.finish import (
    Finish,
    Finished,
    finish_output,
    record_of,
    refuse_unfit_output,
    refuse_unfit_result,
    settled_finish,
)
from eo_contrast.inference.job import Job, Method, Order, placed_by_name
from eo_contrast.inference.journal import STATISTICS_FILE, Journal
from eo_contrast.inference.run_key import digest_of, key_of
from eo_contrast.inference.shard import Shard, in_processes, on_cluster
from eo_contrast.inference.statistics import sample_tiles
from eo_contrast.inference.stream import Tally, as_tile, run_tiles
from eo_contrast.memory import memory_kept
from eo_contrast.progress import Advance, progress
from eo_contrast.raster.location import Location, file_name
from eo_contrast.raster.pieces import piece_count
from eo_contrast.raster.reader import open_raster
from eo_contrast.raster.tile_mosaic import tile_folder_mosaic
from eo_contrast.raster.writer import refuse_small_disk
from eo_contrast.training.log import peak_rss_mib

TRIAL_SIDE = 256
LIMITS = {"read": "reading", "infer": "network", "write": "writing"}


@dataclass(frozen=True)
class Runner:
    """Where the work of one raster is done.

    Attributes:
        workers: processes on this machine.
        scheduler: address of a dask cluster that does it instead; None: none.
        shard: do only this part, and leave the rest and the finish to others; None: all.
    """

    workers: int = 1
    scheduler: str | None = None
    shard: Shard | None = None


AS_COG = Finish()
HERE = Runner()


def run_raster(
    source: Location,
    out: Path,
    method: Method,
    *,
    finish: Finish = AS_COG,
    runner: Runner = HERE,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Make ``out`` of one raster; it appears whole or not at all.

    A folder of web-map tiles is one raster, all its tiles together.

    Finished pieces lie beside ``out`` until it is there; after a kill, ``resume`` goes on
    from them, and the result is the same to the byte.

    Returns: output, width, height, tiles, skipped_tiles, megapixels, seconds {total, read,
        infer, write}, peak_rss_mib, limited_by, and what the finish tells of its result; after a
        dry run or of a shard only what is known then.
    Raises:
        InputError: a raster, option or existing output that will not do.
        WorldError: the disk is full or failing; Interrupted: stopped, resumable.
    """
    began = time.perf_counter()
    goes_on = resume and Journal(out).exists()
    refuse_unfit_output(out, finish, overwrite=overwrite or goes_on)
    refuse_sources((source,), (out, *finish.besides))
    tally = Tally()
    finished = Finished()
    with _as_raster(source, out) as raster:
        job = _prepared(source, raster, method, quiet=quiet)
        finish = settled_finish(finish, masked=job.plan.masked)
        refuse_unfit_result(out, finish, job.meta)
        refuse_small_disk(out, job.meta)
        summary = _summary(out, job)
        if dry_run:
            return {**summary, **_expected(job, method, runner)}
        # Shards of one run write beside each other; anything else has the output to itself.
        with locked(out) if runner.shard is None else nullcontext():
            journal = Journal(out)
            if overwrite and not resume and runner.shard is None:
                journal.remove()
            key = key_of(raster, method, finish, job)
            record = record_of(job.meta, finish, changed=_changed(source), source=file_name(source))
            is_new = journal.begin(key, record, goes_on=resume or runner.shard is not None)
            with _resumable(journal, raster, alone=is_new and runner.shard is None):
                _make_pieces(journal, job, method, runner, tally, quiet=quiet)
                if runner.shard is None:
                    finished = _finish(journal, tally, quiet=quiet)
    seconds = {"total": time.perf_counter() - began, **tally.seconds}
    return {**summary, "skipped_tiles": tally.skipped_tiles, **cost(seconds), **finished.facts}


def merge_pieces(out: Path, *, overwrite: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Make ``out`` of the pieces that runs with shards left.

    Returns: output, width, height, megapixels, seconds, peak_rss_mib, and what the finish tells
        of its result.
    Raises:
        InputError: pieces are missing, or ``out`` exists.
        WorldError: the disk is full or failing.
    """
    began = time.perf_counter()
    refuse_existing(out, overwrite=overwrite)
    tally = Tally()
    with locked(out):
        journal = Journal(out)
        meta: dict[str, Any] = json.loads(journal.read()["meta"])
        finished = _finish(journal, tally, quiet=quiet)
    seconds = {"total": time.perf_counter() - began, **tally.seconds}
    return {
        "output": str(out),
        "width": meta["width"],
        "height": meta["height"],
        "megapixels": round(meta["height"] * meta["width"] / 1e6, 6),
        "seconds": {kind: round(value, 3) for kind, value in seconds.items()},
        "peak_rss_mib": round(peak_rss_mib(), 1),
        **finished.facts,
    }


def cost(seconds: Mapping[str, float]) -> dict[str, Any]:
    """What a run took: seconds {total, read, infer, write}, peak_rss_mib, limited_by."""
    return {
        "seconds": {kind: round(value, 3) for kind, value in seconds.items()},
        "peak_rss_mib": round(peak_rss_mib(), 1),
        "limited_by": LIMITS[max(LIMITS, key=lambda kind: seconds[kind])],
    }


@contextmanager
def _resumable(journal: Journal, source: Location, *, alone: bool) -> Iterator[None]:
    """Say how to go on when the run is stopped or the world fails; keep what is worth it.

    Args:
        alone: the journal is this process's own: nobody else goes on with it now.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"{journal.output}: interrupted; {_way_on(journal, alone)}") from error
    except UnreadableError as error:
        if isinstance(source, Path):
            # What is wrong with a file stays wrong: there is nothing to go on with.
            if alone:
                journal.remove()
            raise
        raise WorldError(f"{error}; {_way_on(journal, alone)}") from error
    except InputError:
        if alone and not journal.finished():
            journal.remove()
        raise
    except WorldError as error:
        way = _way_on(journal, alone)
        raise (error if "--resume" in str(error) else WorldError(f"{error}; {way}")) from error


def _way_on(journal: Journal, alone: bool) -> str:
    if alone and not journal.finished():
        journal.remove()
    if journal.exists():
        return "--resume goes on from what is done"
    return "nothing was done yet"


@contextmanager
def _as_raster(source: Location, out: Path) -> Iterator[Location]:
    """The source itself; for a folder of tiles one raster of them all, kept while it is needed."""
    if not isinstance(source, Path) or not source.is_dir():
        yield source
        return
    folder = _mosaic_folder(out)
    vrt = folder / f"{source.resolve().name}.vrt"
    with disk_errors_named(out):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with whole_file(vrt) as partial:
            tile_folder_mosaic(source, partial)
        yield vrt
    finally:
        if not Journal(out).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _mosaic_folder(out: Path) -> Path:
    return out.with_name(f".{out.name}.mosaic")


def _prepared(source: Location, raster: Location, method: Method, *, quiet: bool) -> Job:
    with open_raster(raster) as (dataset, found):
        meta, placed = placed_by_name(found, raster)
        job = method.decide(dataset, meta, raster, file_name(source))
    if not quiet:
        for remark in (*placed, *job.remarks):
            print(f"{source}: {remark}", file=sys.stderr)
    return job


def _make_pieces(
    journal: Journal,
    job: Job,
    method: Method,
    runner: Runner,
    tally: Tally,
    *,
    quiet: bool,
) -> None:
    model = method.model
    work = job.work(model)
    pieces: Any = range(piece_count(job.meta.height))
    if runner.shard is not None:
        pieces = runner.shard.part_of(pieces)
    finished = journal.finished()
    missing = [piece for piece in pieces if piece not in finished]
    if not missing:
        return
    statistics = _scene_statistics(journal, job, method, tally)
    windows = work.windows_for(missing)
    with progress(method.verb, windows, unit="tiles", quiet=quiet) as shown:
        advance = _counted(shown, windows)
        if runner.scheduler is None and runner.workers == 1:
            model.tiles.prepare(statistics)
            with memory_kept() if model.sha256 else nullcontext():
                work.make_pieces(missing, journal.pieces, tally=tally, advance=advance)
            return
        order = Order(
            key=digest_of({**journal.read()["key"], "folder": str(journal.folder.resolve())}),
            job=job.anywhere(),
            load=method.load,
            model=model.given,
            device=model.device,
            precision=model.precision,
            statistics=(journal.folder / STATISTICS_FILE).resolve() if statistics else None,
        )
        folder = journal.pieces.resolve()
        if runner.scheduler is not None:
            on_cluster(order, missing, folder, runner.scheduler, tally=tally, advance=advance)
        else:
            in_processes(order, missing, folder, runner.workers, tally=tally, advance=advance)


def _counted(shown: Advance, total: int) -> Any:
    # Stretches given to several processes share rows of windows, so more may come than planned.
    return lambda done: shown(min(done, total), "")


def _scene_statistics(
    journal: Journal, job: Job, method: Method, tally: Tally
) -> dict[str, torch.Tensor] | None:
    """The numbers that every process normalises by; None: each tile by its own."""
    if not method.adapts:
        return None
    tiles_of = method.model.tiles
    start = time.perf_counter()
    if journal.read_statistics() is None:
        with job.opener() as source:
            tiles = sample_tiles(source, stride=tiles_of.stride)
        if tiles is not None:
            journal.write_statistics(tiles_of.scene_statistics(tiles))
    tally.timed("infer", start)
    return journal.read_statistics()


def _finish(journal: Journal, tally: Tally, *, quiet: bool) -> Finished:
    start = time.perf_counter()
    finished = finish_output(journal)
    journal.remove()
    shutil.rmtree(_mosaic_folder(journal.output), ignore_errors=True)
    tally.timed("write", start)
    if not quiet:
        for what in finished.lost:
            print(f"{journal.output}: the file says {what}", file=sys.stderr)
    return finished


def _expected(job: Job, method: Method, runner: Runner) -> dict[str, Any]:
    """What a run would take, by a small trial in the raster's first corner.

    Returns: expected {seconds, memory_mib, disk_mib}: seconds of reading and network, which
        writing overlaps; memory of the windows on top of what the libraries take; disk at the
        most, before compression.
    """
    plan, tiles = job.plan, method.model.tiles
    side = plan.side or TRIAL_SIDE
    height, width = (min(side, length) for length in (plan.height, plan.width))
    start = time.perf_counter()
    with job.opener() as source:
        pixels = source.read(0, height, 0, width)
    seconds = time.perf_counter() - start
    if method.adapts:
        tiles.prepare(tiles.scene_statistics(as_tile(pixels, tiles.stride)))
    windows = [pixels] * min(plan.together, plan.tiles)
    run_tiles(windows, tiles, side=plan.side)  # a network's first run is slower than all others
    start = time.perf_counter()
    run_tiles(windows, tiles, side=plan.side)
    seconds += time.perf_counter() - start
    share = plan.tiles * plan.tiling.tile**2 / (len(windows) * height * width)
    settle = plan.settle
    bands = job.meta.count if settle is None else settle.bands
    samples = job.meta.height * job.meta.width * bands
    bytes_out = samples * np.result_type(*job.meta.dtypes).itemsize
    return {
        "expected": {
            "seconds": round(seconds * share / runner.workers, 1),
            "memory_mib": round(2 * plan.strip_bytes / 2**20, 1),
            "disk_mib": round(2 * bytes_out / 2**20, 1),
        }
    }


def _changed(source: Location) -> datetime | None:
    if not isinstance(source, Path):
        return None
    return datetime.fromtimestamp(int(source.stat().st_mtime), UTC)


def refuse_sources(sources: Iterable[Location], outputs: Sequence[Path]) -> None:
    """Raises: InputError: an output is one of the sources."""
    read = {source.resolve() for source in sources if isinstance(source, Path)}
    for out in outputs:
        if out.resolve() in read:
            raise InputError(f"{out}: is the source itself; give another name for the result")


def _summary(out: Path, job: Job) -> dict[str, Any]:
    height, width = job.meta.height, job.meta.width
    return {
        "output": str(out),
        "width": width,
        "height": height,
        "tiles": job.plan.tiles,
        "megapixels": round(height * width / 1e6, 6),
    }
