"""What a run writes while it trains: ``metrics.jsonl``, TensorBoard events, timings.

Wall-clock figures go to a file of their own, so that ``metrics.jsonl`` depends on input,
configuration and seed alone and is the same after a kill and a resume.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = "metrics.jsonl"
TIMINGS_FILE = "timings.jsonl"
Metrics = Mapping[str, float]


class RunLog:
    """Appends rows to the files of a run folder.

    Args:
        folder: the run folder; exists.
        metrics_bytes: length of ``metrics.jsonl`` to keep: what a resumed run had written
            when its checkpoint was made. Rows after it are cut off, they will come again.
        step: of the checkpoint; TensorBoard hides its events after it.
        writes: false on all processes but the first, which alone writes.
    """

    def __init__(
        self, folder: Path, *, metrics_bytes: int = 0, step: int = 0, writes: bool = True
    ) -> None:
        self._writes = writes
        if not writes:
            return
        self._metrics = _open_at(folder / METRICS_FILE, metrics_bytes)
        self._timings = (folder / TIMINGS_FILE).open("a" if step else "w")
        self._events = SummaryWriter(str(folder), purge_step=step or None)

    def metrics(self, step: int, phase: str, values: Metrics) -> None:
        """One row of ``metrics.jsonl``, and the same curves for TensorBoard."""
        if not self._writes:
            return
        _append(self._metrics, {"step": step, "phase": phase, **values})
        for name, value in values.items():
            self._events.add_scalar(f"{phase}/{name}", value, step)

    def timings(self, step: int, values: Metrics) -> None:
        """One row of ``timings.jsonl``."""
        if not self._writes:
            return
        _append(self._timings, {"step": step, **values, "peak_rss_mib": peak_rss_mib()})

    def flushed_bytes(self) -> int:
        """Length of ``metrics.jsonl`` with every row on disk: for the checkpoint."""
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        return self._metrics.tell()

    def close(self) -> None:
        """Finish all files."""
        if not self._writes:
            return
        self._metrics.close()
        self._timings.close()
        self._events.close()


class MeanOfInterval:
    """Means of named values since the last :meth:`take`; its state goes into checkpoints."""

    def __init__(self, state: Mapping[str, tuple[float, int]] | None = None) -> None:
        self.state: dict[str, tuple[float, int]] = dict(state or {})

    def add(self, values: Metrics) -> None:
        """Count one observation of each value."""
        for name, value in values.items():
            total, count = self.state.get(name, (0.0, 0))
            self.state[name] = (total + value, count + 1)

    def take(self) -> dict[str, float]:
        """The means; counting starts again."""
        means = {name: total / count for name, (total, count) in self.state.items()}
        self.state = {}
        return means


def peak_rss_mib() -> float:
    """Largest resident size that this process has had, in MiB."""
    # Where it is to be had: what getrusage says begins with the size of the process that started
    # this one.
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def read_rows(path: Path) -> list[dict[str, float | str]]:
    """The rows of a ``.jsonl`` file; a row cut short by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _open_at(path: Path, length: int) -> IO[str]:
    path.touch()
    os.truncate(path, length)
    return path.open("a")


def _append(file: IO[str], row: Mapping[str, object]) -> None:
    file.write(json.dumps(row) + "\n")
    file.flush()
