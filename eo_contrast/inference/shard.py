"""Share the pieces of one raster among processes: here, on a dask cluster, or by shards."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from eo_contrast.cluster import connected
from eo_contrast.errors import InputError, Interrupted, WorldError
from eo_contrast.inference.stream import Tally
from eo_contrast.inference.work import Work, consecutive
from eo_contrast.memory import keep_freed_memory

Build = Callable[[], Work]
"""Makes the work anew in another process; picklable, and equal to itself after that."""

RUNS_A_PROCESS = 4
"""Stretches of pieces that a process gets one after the other: more even the load, but each
begins with a row of windows that its neighbour computes as well."""
SHORTEST_RUN = 4

_building = threading.Lock()
_stopped: list[Callable[[], bool]] = []
"""Whether the process that this one works for wants no more."""


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a run; ``number`` counts from 0."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``i/n``; i may count from 0 or from 1, since n stands for 0.

        Raises: InputError: it is neither.
        """
        number, slash, count = text.partition("/")
        numbers = slash and number.isdecimal() and count.isdecimal()
        if numbers and int(count) > 0 and int(number) <= int(count):
            return cls(int(number) % int(count), int(count))
        raise InputError(f"--shard {text}: give i/n, with i from 0 to n - 1 or from 1 to n")

    def part_of(self, pieces: Sequence[int]) -> Sequence[int]:
        """This shard's pieces: one stretch of them, all stretches nearly of one length."""
        begin, end = (len(pieces) * k // self.count for k in (self.number, self.number + 1))
        return pieces[begin:end]


def shard_from_environment() -> Shard | None:
    """The shard that a Slurm array says this task is; None outside of one.

    Tasks are counted by the array's first number and its step: of ``0-7:2`` task 4 is the third
    of four.

    Raises: InputError: the numbers are not evenly spaced, so that no task can tell which part
        is its own.
    """
    told = {
        name: os.environ.get(f"SLURM_ARRAY_TASK_{name}")
        for name in ("ID", "COUNT", "MIN", "MAX", "STEP")
    }
    if told["ID"] is None or told["COUNT"] is None:
        return None
    try:
        numbers = {name: int(text) for name, text in told.items() if text is not None}
    except ValueError:
        numbers = {}
    shard = _shard_of_array(numbers) if numbers else None
    if shard is None:
        said = " ".join(f"{name}={text}" for name, text in told.items() if text is not None)
        raise InputError(
            f"the tasks of this Slurm array are not numbered in even steps ({said}); submit it as "
            "--array=0-7, or give --shard i/n"
        )
    return shard if shard.count > 1 else None


def _shard_of_array(numbers: Mapping[str, int]) -> Shard | None:
    """Which part a task is, by what Slurm tells of its array; None: its numbers are uneven."""
    count, first, step = numbers["COUNT"], numbers.get("MIN", 0), numbers.get("STEP", 1)
    if count < 1 or step < 1:
        return None
    last = numbers.get("MAX", first + (count - 1) * step)
    number, beside = divmod(numbers["ID"] - first, step)
    even = beside == 0 and (last - first) // step + 1 == count
    return Shard(number, count) if even and 0 <= number < count else None


def runs_of(pieces: Sequence[int], processes: int) -> list[list[int]]:
    """Stretches of neighbouring pieces to be shared among processes."""
    length = max(SHORTEST_RUN, -(-len(pieces) // (processes * RUNS_A_PROCESS)))
    length = min(length, -(-len(pieces) // processes)) or 1
    return [
        list(range(begin, min(begin + length, past)))
        for first, past in consecutive(pieces)
        for begin in range(first, past, length)
    ]


def in_processes(
    build: Build,
    pieces: Sequence[int],
    folder: Path,
    processes: int,
    *,
    tally: Tally,
    advance: Callable[[int], None],
) -> None:
    """Make pieces in processes of this machine, each with its own model.

    Raises: WorldError: a process was killed; InputError, WorldError: as it says.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(threads, stop))
    with pool as executor:
        tasks = [
            executor.submit(make_run, build, run, folder) for run in runs_of(pieces, processes)
        ]
        try:
            _gather(as_completed(tasks), tally, advance)
        except BrokenProcessPool as error:
            raise WorldError(
                "a worker process was killed, perhaps for want of memory; give --resume to go "
                "on, with fewer --workers"
            ) from error
        finally:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)


def _begin(threads: int, stop: Any) -> None:
    torch.set_num_threads(threads)
    keep_freed_memory()
    _stopped.append(stop.is_set)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed tells nobody: without it there is nothing to work for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _heed_stop(_done: int) -> None:
    if any(stopped() for stopped in _stopped):
        raise Interrupted("a worker process was told to stop")


def on_cluster(
    build: Build,
    pieces: Sequence[int],
    folder: Path,
    address: str,
    *,
    tally: Tally,
    advance: Callable[[int], None],
) -> None:
    """Make pieces on the workers of a dask cluster that share this file system.

    A worker that dies takes nothing with it: dask gives its pieces to another.

    Raises: InputError: no scheduler answers there, or it has no workers.
        WorldError: the cluster lost its workers.
    """
    with connected(address) as cluster:
        tasks = [
            cluster.client.submit(make_run, build, run, folder, pure=False, retries=3)
            for run in runs_of(pieces, cluster.workers)
        ]
        lost = (cluster.dask.KilledWorker, cluster.dask.CancelledError)
        try:
            _gather(cluster.dask.as_completed(tasks), tally, advance)
        except lost as error:
            raise WorldError(
                f"--scheduler {address}: its workers were lost ({error}); give --resume to go on"
            ) from error
        finally:
            cluster.client.cancel(tasks)


def make_run(build: Build, pieces: Sequence[int], folder: Path) -> Tally:
    """Make pieces in this process, whose model is built once; what a worker runs."""
    with _building:
        work = _built(build)
    tally = Tally()
    work.make_pieces(pieces, folder, tally=tally, advance=_heed_stop)
    return tally


@lru_cache(maxsize=1)
def _built(build: Build) -> Work:
    return build()


def _gather(done: Any, tally: Tally, advance: Callable[[int], None]) -> None:
    for task in done:
        tally.add(task.result())
        advance(tally.tiles)
