"""Walk a raster by rows of windows, run the model on each tile, give finished rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.inference.blend import Tile, blend_row, cut_row
from eo_contrast.inference.plan import Plan, TileModel, padded_side
from eo_contrast.raster.reader import Pixels, Source, rows_of, stacked
from eo_contrast.raster.windows import Span, owned, reflect_to

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
    tally: Tally,
    advance: Callable[[int], None] = lambda _done: None,
) -> Iterator[Pixels]:
    """The model's result as strips of whole rows, top to bottom, each row once.

    Invalid pixels of the source are invalid in the result, and 0 there unless the model's
    tiles are cut. The whole raster is never in memory: one row of windows is.

    Args:
        strips: the rows of windows that ``plan.rows_for(part)`` names, with their pixels.
        part: first and past-last row that is wanted; None: all.
        fill: what invalid pixels are to a model whose tiles are blended.
        tally: counts up as windows are done.
        advance: told the number of windows done, after each.
    """
    first, past = part or (0, plan.height)
    above: Tensor | None = None
    shape = (plan.bands_out, plan.width)
    for row, strip in strips:
        tiles = _run_row(strip, row, model, plan, fill, tally, advance)
        if plan.joining == "cut":
            top, bottom = owned(row)
            values = cut_row(tiles, row, shape=shape, dtype=plan.dtype_out)
        else:
            top, bottom = row.begin, row.next_begin
            values, above = blend_row(tiles, row, above, shape=shape, dtype=plan.dtype_out)
        valid = strip.valid[top - row.start : bottom - row.start]
        if plan.joining == "blend" and plan.may_be_invalid:
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


def _run_row(
    strip: Pixels,
    row: Span,
    model: TileModel,
    plan: Plan,
    fill: Fill,
    tally: Tally,
    advance: Callable[[int], None],
) -> Iterator[Tile]:
    for column in plan.columns:
        start = time.perf_counter()
        pixels = Pixels(
            values=strip.values[:, :, column.start : column.stop],
            valid=strip.valid[:, column.start : column.stop],
        )
        counted = pixels.valid[
            row.begin - row.start : row.end - row.start,
            column.begin - column.start : column.end - column.start,
        ]
        result = None
        if plan.joining == "cut" or counted.any():
            result = run_tile(pixels, model, fill)
        else:
            tally.skipped_tiles += 1
        tally.tiles += 1
        tally.timed("infer", start)
        yield column, result
        advance(tally.tiles)


def run_tile(pixels: Pixels, model: TileModel, fill: Fill = None) -> Tensor:
    """The model's result (bands, rows, columns) for one window of pixels, on its own device."""
    rows, columns = pixels.valid.shape
    tile = as_tile(pixels, model.stride, fill, untouched=model.joining == "cut")
    with torch.inference_mode():
        result = model(tile)[0][:, :rows, :columns]
    if result.is_cuda:
        torch.cuda.synchronize(result.device)  # else the time would be told of whoever waits next
    return result.cpu() if model.joining == "cut" else result


def as_tile(pixels: Pixels, stride: int, fill: Fill = None, *, untouched: bool = False) -> Tensor:
    """(1, bands, rows, columns) of a window, its sides extended to what the stride asks for.

    Args:
        untouched: in the raster's own type; without it float32 with invalid pixels filled.
    """
    rows, columns = pixels.valid.shape
    values = pixels.values if untouched else fill_invalid(pixels, fill)
    padded = reflect_to(values, padded_side(rows, stride), padded_side(columns, stride))
    return torch.from_numpy(np.ascontiguousarray(padded))[None]
