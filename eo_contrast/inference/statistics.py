"""Tiles that represent a scene, for models that adapt to the whole of it (``--norm scene``).

A network that normalises over its tile gives each tile its own brightness, and no overlap
hides the steps; so it is shown a sample of the scene once, and keeps what it saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from eo_contrast.inference.stream import as_tile
from eo_contrast.raster.reader import Pixels, Source

MOST_TILES = 16
SAMPLE_SIDE = 256
# Odd: evenly taken from a list of rows of 7, the tiles do not fall in the same few columns.
CANDIDATES_A_SIDE = 7
MOST_BYTES_AT_ONCE = 64 << 20


def sample_tiles(source: Source, *, stride: int, side: int = SAMPLE_SIDE) -> Tensor | None:
    """A systematic sample of a scene as a network takes it.

    Args:
        stride: tiles' sides are multiples of it.
        side: of a tile in pixels, less where the raster is smaller.

    Returns: float32 (tiles, bands, rows, columns), invalid pixels filled by the tile's band
        means; None when no pixel is valid.
    """
    sample = sample_pixels(source, side=side)
    return torch.cat([as_tile(pixels, stride) for pixels in sample]) if sample else None


def sample_pixels(source: Source, *, side: int = SAMPLE_SIDE) -> list[Pixels]:
    """A systematic sample of a scene: up to ``MOST_TILES`` of an even grid of windows.

    Where none of them holds a valid pixel, the scene is searched for windows that do.

    Windows with less than half as many valid pixels as the best one are left out, so that
    what fills the holes of a scene does not stand for the scene; none is left when no pixel
    is valid.

    Args:
        side: of a window in pixels, less where the raster is smaller.
    """
    even = [
        _read(source, top, left, side)
        for top in _positions(source.height, side, CANDIDATES_A_SIDE)
        for left in _positions(source.width, side, CANDIDATES_A_SIDE)
    ]
    return _spread(_fullest(even) or _fullest(_searched(source, side)))


def _searched(source: Source, side: int) -> list[Pixels]:
    """Windows with valid pixels, from rows of windows ever closer to each other.

    Whole rows, since a raster may be stored in strips, of which each window would decode all.
    Ends at ``MOST_TILES`` windows, or when all of the raster was seen.
    """
    found: list[Pixels] = []
    tops = _positions(source.height, side)
    for number in _halving(len(tops)):
        row = _row(source, tops[number], side)
        # Copies, so that one small window does not keep the row that it was cut from.
        found += _spread([_copied(pixels) for pixels in row if pixels.valid.any()])
        if len(found) >= MOST_TILES:
            break
    return found


def _row(source: Source, top: int, side: int) -> Iterator[Pixels]:
    """The windows of one row, many read at once but in bounded memory."""
    lefts = _positions(source.width, side)
    bytes_each = side * side * (source.bands * source.dtype.itemsize + 1)
    at_once = max(1, MOST_BYTES_AT_ONCE // bytes_each)
    for first in range(0, len(lefts), at_once):
        group = lefts[first : first + at_once]
        strip = _read(source, top, group[0], side, group[-1] - group[0] + side)
        for left in group:
            columns = slice(left - group[0], left - group[0] + side)
            yield Pixels(values=strip.values[:, :, columns], valid=strip.valid[:, columns])


def _copied(pixels: Pixels) -> Pixels:
    return Pixels(values=pixels.values.copy(), valid=pixels.valid.copy())


def _halving(count: int) -> Iterator[int]:
    """0 .. count - 1, each once: those far apart first, then those in the middle between."""
    step = 1 << max(0, count - 1).bit_length()
    yield 0
    while step > 1:
        yield from range(step // 2, count, step)
        step //= 2


def _positions(length: int, side: int, most: int | None = None) -> list[int]:
    """Starts of windows spread evenly from one end to the other.

    Args:
        most: windows; None: as many as leave no gap.
    """
    room = length - side
    if room <= 0:
        return [0]
    count = -(-length // side)
    count = count if most is None else min(most, count)
    return [round(k * room / (count - 1)) for k in range(count)]


def _read(source: Source, top: int, left: int, height: int, width: int | None = None) -> Pixels:
    """A window, less where the raster ends; ``width`` None: a square."""
    bottom, right = top + height, left + (width or height)
    return source.read(top, min(bottom, source.height), left, min(right, source.width))


def _fullest(sample: Sequence[Pixels]) -> list[Pixels]:
    """Those with at least half as many valid pixels as the best; none where none has any."""
    shares = [float(pixels.valid.mean()) for pixels in sample]
    best = max(shares, default=0.0)
    return [
        pixels
        for pixels, share in zip(sample, shares, strict=True)
        if best > 0 and share >= best / 2
    ]


def _spread(sample: Sequence[Pixels]) -> list[Pixels]:
    """``MOST_TILES`` of the sample, evenly."""
    count = min(MOST_TILES, len(sample))
    return [sample[(2 * k + 1) * len(sample) // (2 * count)] for k in range(count)]
