"""Resampling between two grids over the same ground, as weights along each axis.

Each output row and column depends on its own fixed source pixels, so the result does not
depend on the windows in which it was computed; and invalid pixels weigh nothing. However
far apart the two grids are, a bounded number of rows of the finer one is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.raster.pieces import BLOCK
from eo_contrast.raster.reader import Pixels, Source, all_valid, rows_of, stacked

FLOAT = np.dtype(np.float32)
STEP = 32
"""Rows whose weighted sums, of eight bytes a pixel, are in memory at a time."""


@dataclass(frozen=True)
class AxisMap:
    """How ``target`` pixels are made of ``source`` pixels along one axis.

    ``taps`` (target, K) are the source pixels of each, ``weights`` (target, K) their shares,
    which sum to 1; ``under`` (target, J) are the source pixels that lie under each: all that it
    covers where it is the larger, else the one under its centre. All three grow with the
    target pixel.
    """

    source: int
    taps: NDArray[np.int64]
    weights: NDArray[np.float64]
    under: NDArray[np.int64]

    @property
    def target(self) -> int:
        """Pixels of the target axis."""
        return len(self.taps)

    def part(self, start: int, stop: int, *, offset: int = 0) -> AxisMap:
        """The map of target pixels ``start .. stop``, counting source pixels from ``offset``."""
        return AxisMap(
            source=self.source - offset,
            taps=self.taps[start:stop] - offset,
            weights=self.weights[start:stop],
            under=self.under[start:stop] - offset,
        )

    def needed(self, start: int, stop: int) -> tuple[int, int]:
        """The source pixels, first and past-last, that ``start .. stop`` are made of."""
        first = min(self.taps[start].min(), self.under[start].min())
        last = max(self.taps[stop - 1].max(), self.under[stop - 1].max())
        return int(first), int(last) + 1


def axis_map(source: int, target: int) -> AxisMap:
    """Weights that turn ``source`` pixels into ``target`` pixels of the same extent.

    Shrinking averages by covered length; enlarging interpolates linearly between pixel
    centres, and repeats the border pixel beyond the outermost centres.
    """
    if target <= source:
        taps, weights = _box(source, target)
        return AxisMap(source=source, taps=taps, weights=weights, under=taps)
    centres = (np.arange(target) + 0.5) * (source / target)
    taps, weights = _linear(source, centres)
    nearest = np.minimum(centres.astype(np.int64), source - 1)
    return AxisMap(source=source, taps=taps, weights=weights, under=nearest[:, None])


class ResampledSource:
    """A ``Source`` seen on another grid of ``height`` x ``width`` pixels over the same ground.

    Values and validity are those of :func:`resample`.
    """

    def __init__(self, source: Source, height: int, width: int) -> None:
        self._source = source
        self._rows = axis_map(source.height, height)
        self._columns = axis_map(source.width, width)
        self.name = source.name
        self.height = height
        self.width = width
        self.bands = source.bands
        self.dtype = FLOAT
        self.may_be_invalid = source.may_be_invalid

    @property
    def own_width(self) -> int:
        """Columns of the source's own grid."""
        return self._source.width

    @property
    def own_row_bytes(self) -> int:
        """Memory of one row of the source's own grid, its validity included."""
        return self._source.width * (self._source.bands * self._source.dtype.itemsize + 1)

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The pixels of rows ``top .. bottom`` and columns ``left .. right``; float32."""
        values = np.empty((self.bands, bottom - top, right - left), dtype=FLOAT)
        valid = np.empty(values.shape[1:], dtype=bool)
        for first, past in _bands(self._rows, top, bottom):
            band = self._band(first, past, left, right)
            values[:, first - top : past - top] = band.values
            valid[first - top : past - top] = band.valid
        return Pixels(
            values=values, valid=valid if self.may_be_invalid else all_valid(*valid.shape)
        )

    def own_valid(self, top: int, bottom: int) -> NDArray[np.bool_]:
        """Which pixels of rows ``top .. bottom`` of the source's own grid are valid."""
        return self._source.read(top, bottom, 0, self._source.width).valid

    def _band(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        first_row, past_row = self._rows.needed(top, bottom)
        first_column, past_column = self._columns.needed(left, right)
        pixels = self._source.read(first_row, past_row, first_column, past_column)
        return resample(
            pixels,
            self._rows.part(top, bottom, offset=first_row),
            self._columns.part(left, right, offset=first_column),
        )


def resample(
    pixels: Pixels,
    rows: AxisMap,
    columns: AxisMap,
    *,
    dtype: np.dtype[Any] = FLOAT,
    valid: NDArray[np.bool_] | None = None,
) -> Pixels:
    """Weighted mean of the valid pixels, by rows and columns.

    Args:
        valid: which target pixels are valid; None: those that any valid pixel lies under.

    Returns: values 0 where invalid; for an integer ``dtype`` rounded half to even.
    """
    shape = (rows.target, columns.target)
    values = np.empty((len(pixels.values), *shape), dtype=dtype)
    shown = np.empty(shape, dtype=bool) if valid is None else valid
    for start in range(0, rows.target, STEP):
        stop = min(start + STEP, rows.target)
        first, past = rows.needed(start, stop)
        known, part = rows_of(pixels, first, past), rows.part(start, stop, offset=first)
        if valid is None:
            shown[start:stop] = _over(known.valid, part.under, columns.under, np.logical_or)
        for band, mean in enumerate(_means(known, part, columns)):
            held = np.where(shown[start:stop], mean, 0).astype(FLOAT)
            values[band, start:stop] = rounded(held, dtype)
    return Pixels(values=values, valid=shown)


def resample_strips(
    strips: Iterable[Pixels],
    rows: AxisMap,
    columns: AxisMap,
    *,
    dtype: np.dtype[Any],
    part: tuple[int, int] | None = None,
    own_valid: Callable[[int, int], NDArray[np.bool_]] | None = None,
) -> Iterator[Pixels]:
    """Resample a raster that arrives as strips of whole rows, top to bottom.

    Keeps only the source rows that later target rows still need, and gives at most ``BLOCK``
    rows at a time. Integer ``dtype`` is rounded half to even.

    Args:
        part: first and past-last target row that is wanted; the strips then begin with the
            first source row that ``rows.needed`` names for them. None: all.
        own_valid: tells which pixels of target rows, first to past-last, are valid; for a raster
            that went to another grid and comes back, whose holes that grid holds but coarsely.
            None: as :func:`resample`.
    """
    done, past = part or (0, rows.target)
    held_top = rows.needed(done, past)[0] if part else 0
    held: Pixels | None = None
    for strip in strips:
        held = strip if held is None else stacked([held, strip])
        bottom = held_top + held.valid.shape[0]
        ready = min(_ready_until(rows, done, bottom), past)
        while done < ready:
            until = min((done // BLOCK + 1) * BLOCK, ready)
            first, last = rows.needed(done, until)
            known = rows_of(held, first - held_top, last - held_top)
            valid = own_valid(done, until) if own_valid else None
            yield resample(
                known, rows.part(done, until, offset=first), columns, dtype=dtype, valid=valid
            )
            done = until
        if done < past:
            keep = rows.needed(done, done + 1)[0] - held_top
            held = rows_of(held, keep)
            held_top += keep


def rounded(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values as ``dtype``; for integers rounded half to even and clipped to their range."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)


def _bands(rows: AxisMap, top: int, bottom: int) -> Iterator[tuple[int, int]]:
    """Target rows ``top .. bottom`` in parts that are made of about ``BLOCK`` source rows each.

    A part ends where a row of the source's blocks does, so that most are decoded once.
    """
    while top < bottom:
        last = rows.needed(top, top + 1)[1]
        limit = min(-(-last // BLOCK) * BLOCK, rows.source)
        until = min(_ready_until(rows, top, limit), bottom)
        yield top, until
        top = until


def _ready_until(rows: AxisMap, done: int, bottom: int) -> int:
    if bottom == rows.source:
        return rows.target
    # Both ends of what a row needs grow with the row, so bisection finds the last ready one.
    low, high = done, rows.target
    while low < high:
        middle = (low + high) // 2
        if rows.needed(middle, middle + 1)[1] <= bottom:
            low = middle + 1
        else:
            high = middle
    return low


def _means(pixels: Pixels, rows: AxisMap, columns: AxisMap) -> Iterator[NDArray[np.float64]]:
    """The weighted mean of the valid pixels, band by band; 0 where there is none."""
    everywhere = bool(pixels.valid.all())
    if not everywhere:
        total = _apply(pixels.valid, rows, columns)
        # Weights add to 1 but for the last bit. A pixel that lacks nothing is never divided by
        # their sum, so that it does not matter whether its window lacks something elsewhere.
        lacking = (total > 0) & ~_over(pixels.valid, rows.taps, columns.taps, np.logical_and)
    for band in pixels.values:
        mean = _apply(band if everywhere else np.where(pixels.valid, band, 0), rows, columns)
        if not everywhere:
            np.divide(mean, total, out=mean, where=lacking)
        yield mean


def _over(
    valid: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    join: np.ufunc,
) -> NDArray[np.bool_]:
    """Validity joined over these rows (T, K) and columns (U, L) of each pixel; (T, U)."""
    down = join.reduce(valid[rows], axis=1)
    across: NDArray[np.bool_] = join.reduce(down.T[columns], axis=1)
    return across.T


def _apply(plane: NDArray[Any], rows: AxisMap, columns: AxisMap) -> NDArray[np.float64]:
    across = _along_rows(plane, rows)
    return _along_rows(across.T, columns).T


def _along_rows(plane: NDArray[Any], axis: AxisMap) -> NDArray[np.float64]:
    """(source, anything) to (target, anything), adding tap by tap in a fixed order."""
    result = np.zeros((axis.target, plane.shape[1]))
    for taps, weights in zip(axis.taps.T, axis.weights.T, strict=True):
        result += weights[:, None] * plane[taps]
    return result


def _box(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    # In units of 1 / target of a source pixel, so that edges are whole numbers: a pixel that is
    # not covered at all is told for sure from one that hardly is.
    edges = np.arange(target + 1) * source
    first, last = edges[:-1] // target, (edges[1:] - 1) // target
    taps = first[:, None] + np.arange((last - first).max() + 1)
    covered = np.minimum((taps + 1) * target, edges[1:, None]) - np.maximum(
        taps * target, edges[:-1, None]
    )
    # A tap that covers nothing may lie in the next row of windows, or outside the raster.
    return np.minimum(taps, last[:, None]), np.clip(covered, 0, None) / source


def _linear(
    source: int, centres: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    position = np.clip(centres - 0.5, 0, source - 1)
    lower = np.minimum(position.astype(np.int64), max(source - 2, 0))
    upper = np.minimum(lower + 1, source - 1)
    share = position - lower
    return np.stack([lower, upper], axis=1), np.stack([1 - share, share], axis=1)
