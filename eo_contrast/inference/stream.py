"""Walk a raster by rows of windows, run the model on each tile, give finished rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.inference.blend import Tile, blend_row, cut_row
from eo_contrast.inference.overlap import side_by_side
from eo_contrast.inference.plan import Plan, TileModel, padded_side
from eo_contrast.inference.settle import Settle, emptied
from eo_contrast.raster.reader import Pixels, Source, rows_of, stacked
from eo_contrast.raster.windows import Span, owned, reflect_to

MOST_LANES = 16
"""Groups of windows at most that are run side by side: each takes memory of its own."""

Fill = tuple[float, ...] | None
"""What stands for invalid pixels, one number a band; None: each tile's own means."""

OpenSource = Callable[[], AbstractContextManager[Source]]
"""Opens the source anew: a raster's handle belongs to one thread."""


@dataclass
class Tally:
    """What a walk did so far: windows finished, windows skipped, seconds by kind of work."""

    tiles: int = 0
    skipped_tiles: int = 0
    seconds: dict[str, float] = field(
        default_factory=lambda: {"read": 0.0, "infer": 0.0, "write": 0.0}
    )

    def timed(self, kind: str, start: float) -> None:
        """Add the time since ``start`` (of ``time.perf_counter``) to ``kind``."""
        self.seconds[kind] += time.perf_counter() - start

    def add(self, other: Tally) -> None:
        """Add what another walk did."""
        self.tiles += other.tiles
        self.skipped_tiles += other.skipped_tiles
        for kind, seconds in other.seconds.items():
            self.seconds[kind] += seconds


def read_rows(
    open_source: OpenSource, rows: Sequence[Span], tally: Tally
) -> Iterator[tuple[Span, Pixels]]:
    """Each row of windows with its pixels; what neighbouring rows share is read once."""
    held: Pixels | None = None
    held_stop = 0
    with open_source() as source:
        for row in rows:
            start = time.perf_counter()
            fresh = source.read(max(row.start, held_stop), row.stop, 0, source.width)
            if held is not None and row.start < held_stop:
                held = stacked([rows_of(held, row.start - held_stop), fresh])
            else:
                held = fresh
            held_stop = row.stop
            tally.timed("read", start)
            yield row, held


def infer(
    strips: Iterable[tuple[Span, Pixels]],
    model: TileModel,
    plan: Plan,
    *,
    part: tuple[int, int] | None = None,
    fill: Fill = None,
    settle: Settle | None = None,
    tally: Tally,
    advance: Callable[[int], None] = lambda _done: None,
) -> Generator[Pixels, None, None]:
    """The model's result as strips of whole rows, top to bottom, each row once.

    Invalid pixels of the source are invalid in the result, and 0 there unless the model's
    tiles are cut, or ``settle`` has a value of its own for them. The whole raster is never in
    memory: one row of windows is.

    Args:
        strips: the rows of windows that ``plan.rows_for(part)`` names, with their pixels.
        part: first and past-last row that is wanted; None: all.
        fill: what invalid pixels are to a model whose tiles are blended.
        settle: what blended values become; None: they stay.
        tally: counts up as windows are done.
        advance: told the number of windows done, after each.
    """
    first, past = part or (0, plan.height)
    above: Tensor | None = None
    shape = (plan.bands_out, plan.width)
    with _lanes(plan) as (run, lanes):
        for row, strip, groups in _by_row(strips, model, plan, fill, run):
            tiles = _tiles_of(groups, tally, advance, lanes)
            if plan.joining == "cut":
                top, bottom = owned(row)
                values = cut_row(tiles, row, shape=shape, dtype=plan.dtype_out)
            else:
                top, bottom = row.begin, row.next_begin
                values, above = blend_row(
                    tiles, row, above, shape=shape, dtype=plan.dtype_out, settle=settle
                )
            valid = strip.valid[top - row.start : bottom - row.start]
            if settle is not None:
                values = emptied(values, valid, settle)
            elif plan.joining == "blend" and plan.may_be_invalid:
                values *= valid
            wanted = slice(max(first - top, 0), max(past - top, 0))
            if wanted.start < bottom - top and wanted.stop:
                yield Pixels(values=values[:, wanted], valid=valid[wanted])


def fill_invalid(pixels: Pixels, fill: Fill = None) -> NDArray[np.float32]:
    """Values as float32, invalid ones replaced by ``fill``, one number a band.

    A hole of zeros or infinities would spread through the convolutions; the mean is what
    disturbs its surroundings least. What fills a hole must not depend on the tile that sees it,
    or the tiles' edges would show beside the hole.

    Args:
        fill: None: each band's mean over the valid pixels here, or 0 without any.
    """
    values = pixels.values.astype(np.float32)
    if pixels.valid.all():
        return values
    means = np.asarray(fill if fill is not None else means_of([pixels]) or [0.0] * len(values))
    return np.where(pixels.valid, values, means.astype(np.float32)[:, None, None])


def means_of(sample: Sequence[Pixels]) -> tuple[float, ...] | None:
    """Each band's mean over the valid pixels of a sample; None without any."""
    count = sum(int(pixels.valid.sum()) for pixels in sample)
    if count == 0:
        return None
    totals = sum(pixels.of_valid().astype(np.float64).sum(axis=1) for pixels in sample)
    return tuple(float(total / count) for total in np.atleast_1d(totals))


@dataclass(frozen=True)
class _Group:
    """Windows of a row that are run at once: ``columns`` and, when they were, their results."""

    row: Span
    strip: Pixels
    columns: Sequence[Span]
    results: Sequence[Tensor | None] = ()
    seconds: float = 0.0


Run = Callable[[Callable[[_Group], _Group], Iterable[_Group]], Iterator[_Group]]


@contextmanager
def _lanes(plan: Plan) -> Iterator[tuple[Run, int]]:
    """How groups of windows are run, and how many of them side by side.

    What a thread of torch gives to others changes the last bits of a sum. In one thread a group,
    results are the same however many there are, here and in every worker process.
    """
    if not plan.one_thread:
        yield map, 1
        return
    before = torch.get_num_threads()
    lanes = min(before, MOST_LANES)
    torch.set_num_threads(1)
    try:
        with side_by_side(lanes, begin=partial(torch.set_num_threads, 1)) as run:
            yield run, lanes
    finally:
        torch.set_num_threads(before)


def _by_row(
    strips: Iterable[tuple[Span, Pixels]], model: TileModel, plan: Plan, fill: Fill, run: Run
) -> Iterator[tuple[Span, Pixels, Iterator[_Group]]]:
    """Each row with its groups, which are run while they are asked for, or a few ahead."""
    columns = plan.groups
    groups = (_Group(row, strip, each) for row, strip in strips for each in columns)
    done = run(partial(_run_group, model=model, plan=plan, fill=fill), groups)
    for first in done:
        yield first.row, first.strip, chain([first], islice(done, len(columns) - 1))


def _run_group(group: _Group, *, model: TileModel, plan: Plan, fill: Fill) -> _Group:
    start = time.perf_counter()
    strip = group.strip
    windows = [
        Pixels(
            values=strip.values[:, :, column.start : column.stop],
            valid=strip.valid[:, column.start : column.stop],
        )
        for column in group.columns
    ]
    needed = [
        plan.joining == "cut" or _counts(pixels, group.row, column)
        for pixels, column in zip(windows, group.columns, strict=True)
    ]
    chosen = [pixels for pixels, runs in zip(windows, needed, strict=True) if runs]
    given = iter(run_tiles(chosen, model, fill, side=plan.side) if chosen else [])
    results = [next(given) if runs else None for runs in needed]
    return replace(group, results=results, seconds=time.perf_counter() - start)


def _tiles_of(
    groups: Iterator[_Group], tally: Tally, advance: Callable[[int], None], lanes: int
) -> Iterator[Tile]:
    for group in groups:
        tally.seconds["infer"] += group.seconds / lanes
        for column, result in zip(group.columns, group.results, strict=True):
            tally.skipped_tiles += result is None
            tally.tiles += 1
            yield column, result
            advance(tally.tiles)


def _counts(pixels: Pixels, row: Span, column: Span) -> bool:
    """Whether a window has a valid pixel where its result counts."""
    counted = pixels.valid[
        row.begin - row.start : row.end - row.start,
        column.begin - column.start : column.end - column.start,
    ]
    return bool(counted.any())


def run_tile(pixels: Pixels, model: TileModel, fill: Fill = None) -> Tensor:
    """The model's result (bands, rows, columns) for one window of pixels, on its own device."""
    return run_tiles([pixels], model, fill)[0]


def run_tiles(
    windows: Sequence[Pixels], model: TileModel, fill: Fill = None, *, side: int | None = None
) -> list[Tensor]:
    """The model's results for windows that are run at once, each without what extended it.

    Args:
        windows: one or more; of several sizes only with ``side``.
        side: pixels that each is extended to; None: what the model's stride asks for.
    """
    untouched = model.joining == "cut"
    tiles = [as_tile(each, model.stride, fill, untouched=untouched, side=side) for each in windows]
    with torch.inference_mode():
        given = model(torch.cat(tiles) if len(tiles) > 1 else tiles[0])
    if given.is_cuda:
        torch.cuda.synchronize(given.device)  # else the time would be told of whoever waits next
    results = []
    for result, pixels in zip(given, windows, strict=True):
        rows, columns = pixels.valid.shape
        own = result[:, :rows, :columns]
        results.append(own.cpu() if untouched else own)
    return results


def as_tile(
    pixels: Pixels,
    stride: int,
    fill: Fill = None,
    *,
    untouched: bool = False,
    side: int | None = None,
) -> Tensor:
    """(1, bands, rows, columns) of a window, its sides extended to what the stride asks for.

    Args:
        untouched: in the raster's own type; without it float32 with invalid pixels filled.
        side: pixels that both sides are extended to instead.
    """
    rows, columns = (side or padded_side(length, stride) for length in pixels.valid.shape)
    values = pixels.values if untouched else fill_invalid(pixels, fill)
    padded = reflect_to(values, rows, columns)
    return torch.from_numpy(np.ascontiguousarray(padded))[None]
