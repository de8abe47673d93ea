"""Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Reports progress: ``done`` units are finished in all; ``note`` is shown beside."""

    def __call__(self, done: int, note: str = "", /) -> None: ...


SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def progress(
    description: str, total: int, *, unit: str = "steps", done: int = 0, quiet: bool = False
) -> Iterator[Advance]:
    """Show how far a task of ``total`` units is; yields the function that reports it.

    Args:
        description: what is being done, a few words.
        total: units in all, > 0.
        unit: what is counted, plural.
        done: units already finished, as after a resume.
        quiet: show nothing.
    """
    if quiet:
        yield _silence
    elif sys.stderr.isatty():
        with _bar(description, total, unit, done) as advance:
            yield advance
    else:
        yield _lines(description, total, unit, done)


@contextmanager
def _bar(description: str, total: int, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, completed=done, note="", rate="")
        began = time.monotonic()

        def advance(finished: int, note: str = "") -> None:
            rate = (finished - done) / max(time.monotonic() - began, 1e-9)
            bar.update(task, completed=finished, note=note, rate=f"{rate:.2f}/s")

        yield advance


def _silence(_done: int, _note: str = "") -> None:
    return None


def _lines(description: str, total: int, unit: str, done: int) -> Advance:
    start = time.monotonic()
    last_line = start

    def advance(finished: int, note: str = "") -> None:
        """Print a line, unless one was printed just now."""
        nonlocal last_line
        now = time.monotonic()
        if now - last_line < SECONDS_BETWEEN_LINES and finished < total:
            return
        last_line = now
        rate = (finished - done) / max(now - start, 1e-9)
        left = (total - finished) / rate if rate > 0 else float("inf")
        line = f"{description}: {finished}/{total} {unit}, {rate:.2f}/s, {left:.0f} s left {note}"
        print(line.rstrip(), file=sys.stderr, flush=True)

    return advance
