"""Windows: how one axis of a raster is cut into overlapping tiles, and what each pixel weighs.

A *tile* is what a network sees. Neighbouring tiles share ``overlap`` pixels. Of these,
``margin`` pixels on each side are thrown away, since a network knows too little of what
lies around them, and over the ``ramp`` pixels between the two margins one tile fades into
the next. All is integer arithmetic on one axis; a 2-D window is a pair of spans and its
weight is the product of theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WEIGHT_ONE = 1 << 12
"""The integer that stands for a weight of 1 along one axis; sums of it are exact."""

SHORTEST_BLEND_PX = 32
"""Ramp kept when the overlap is too short for the whole margin: it hides what is left."""


@dataclass(frozen=True)
class Tiling:
    """Sizes in pixels that cut an axis; tile starts are multiples of ``step`` from pixel 0.

    ``tile``, ``overlap`` and ``margin`` are multiples of ``stride``, the network's total
    stride, so that resampling inside the network has the same phase in every tile.
    """

    tile: int
    overlap: int
    margin: int
    stride: int

    @property
    def step(self) -> int:
        """Distance between the starts of neighbouring tiles."""
        return self.tile - self.overlap

    @property
    def ramp(self) -> int:
        """Pixels over which one tile fades into the next."""
        return self.overlap - 2 * self.margin


@dataclass(frozen=True)
class Span:
    """One window along one axis, in raster pixels; every ``stop`` is exclusive.

    The network reads ``start .. stop``; its output counts in ``begin .. end``. The window
    before still counts up to ``previous_end``, the one after counts from ``next_begin``
    on; at the raster's borders these are ``begin`` and ``end``.
    """

    start: int
    stop: int
    begin: int
    end: int
    previous_end: int
    next_begin: int

    @property
    def length(self) -> int:
        """Pixels read, before padding."""
        return self.stop - self.start


def plan_tiling(tile: int, overlap: int, *, halo: int, stride: int) -> Tiling:
    """The tiling nearest to what was asked that the network's stride allows.

    Args:
        tile: side of a tile, > 0; rounded up to a multiple of ``stride``.
        overlap: pixels shared by neighbours, >= 0; rounded up likewise.
        halo: how far from a pixel the network looks, >= 0.
        stride: the network's total stride, > 0.

    Returns: ``margin`` is at least ``halo`` where the overlap has room for it beside a
        ramp of ``SHORTEST_BLEND_PX``, else as large as leaves that ramp.
    Raises:
        ValueError: three tiles would overlap in one pixel, or an argument is out of range.
    """
    if tile <= 0 or stride <= 0 or overlap < 0 or halo < 0:
        raise ValueError(f"tile {tile}, overlap {overlap}, halo {halo}, stride {stride}")
    tile, overlap, halo = (round_up(value, stride) for value in (tile, overlap, halo))
    room = max(0, overlap - SHORTEST_BLEND_PX) // 2
    margin = min(halo, room // stride * stride)
    tiling = Tiling(tile=tile, overlap=overlap, margin=margin, stride=stride)
    if tiling.step < max(tiling.ramp, 1):
        raise ValueError(f"overlap {overlap} is too much for tile {tile}")
    return tiling


def default_overlap(halo: int, stride: int) -> int:
    """The overlap at which tiling changes nothing: a margin of ``halo``, and a short ramp."""
    return 2 * round_up(halo, stride) + SHORTEST_BLEND_PX if halo else 0


def spans(length: int, tiling: Tiling) -> list[Span]:
    """The windows that cover ``0 .. length``, in order.

    Every window but the last is ``tiling.tile`` long; the last ends with the raster, so
    that what lies before it does not depend on the raster's length.

    Raises: ValueError: ``length`` is not positive.
    """
    if length <= 0:
        raise ValueError(f"length {length} is not positive")
    count = 1 + max(0, math.ceil((length - tiling.tile) / tiling.step))
    return [_span(k, count, length, tiling) for k in range(count)]


def ramp_up(length: int) -> NDArray[np.int64]:
    """Raised cosine from 0 to 1, sampled at pixel centres, in units of ``WEIGHT_ONE``.

    Returns: shape (length,); with its mirror image ``WEIGHT_ONE - ramp_up`` it sums to
        exactly ``WEIGHT_ONE``.
    """
    position = (np.arange(length) + 0.5) / max(length, 1)
    return np.rint(WEIGHT_ONE * (1 - np.cos(np.pi * position)) / 2).astype(np.int64)


def weights(span: Span) -> NDArray[np.int64]:
    """Weight of each pixel of ``span.begin .. span.end``.

    Over all windows of an axis the weights of every pixel sum to exactly ``WEIGHT_ONE``.

    Returns: shape (end - begin,), values 0 .. ``WEIGHT_ONE``.
    """
    result = np.full(span.end - span.begin, WEIGHT_ONE, dtype=np.int64)
    rising, falling = span.previous_end - span.begin, span.end - span.next_begin
    if rising:
        result[:rising] = ramp_up(rising)
    if falling:
        result[-falling:] = WEIGHT_ONE - ramp_up(falling)
    return result


def owned(span: Span) -> tuple[int, int]:
    """First and past-last pixel that is taken from this window when windows are cut, not blended.

    The borders lie in the middle of the ramps; over an axis the owned pixels of all
    windows are each pixel once.
    """
    return (span.begin + span.previous_end) // 2, (span.next_begin + span.end) // 2


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of ``multiple`` that is not below ``value``."""
    return -(-value // multiple) * multiple


def reflect_to(array: NDArray[np.generic], height: int, width: int) -> NDArray[np.generic]:
    """Extend the last two axes at their ends by reflection, as often as needed.

    A single row or column, which has nothing to reflect, is repeated.
    """
    below, right = height - array.shape[-2], width - array.shape[-1]
    if not below and not right:
        return array
    leading = [(0, 0)] * (array.ndim - 2)
    return np.pad(array, [*leading, (0, below), (0, right)], mode="reflect")


def _span(k: int, count: int, length: int, tiling: Tiling) -> Span:
    first, last = k == 0, k == count - 1
    start = k * tiling.step
    begin = 0 if first else start + tiling.margin
    end = length if last else start + tiling.tile - tiling.margin
    return Span(
        start=start,
        stop=length if last else start + tiling.tile,
        begin=begin,
        end=end,
        previous_end=begin if first else start - tiling.step + tiling.tile - tiling.margin,
        next_begin=end if last else start + tiling.step + tiling.margin,
    )
