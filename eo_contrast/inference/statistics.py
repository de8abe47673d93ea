"""Tiles that represent a scene, for models that adapt to the whole of it (``--norm scene``).

A network that normalises over its tile gives each tile its own brightness, and no overlap
hides the steps; so it is shown a sample of the scene once, and keeps what it saw.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eo_contrast.inference.stream import as_tile
from eo_contrast.raster.reader import Pixels, Source

MOST_TILES = 16
SAMPLE_SIDE = 256
# Odd: evenly taken from a list of rows of 7, the tiles do not fall in the same few columns.
CANDIDATES_A_SIDE = 7


def sample_tiles(source: Source, *, stride: int, side: int = SAMPLE_SIDE) -> Tensor | None:
    """A systematic sample of a scene as a network takes it.

    Args:
        stride: tiles' sides are multiples of it.
        side: of a tile in pixels, less where the raster is smaller.

    Returns: float32 (tiles, bands, rows, columns), invalid pixels filled by the tile's band
        means; None when no pixel of the sample is valid.
    """
    sample = sample_pixels(source, side=side)
    return torch.cat([as_tile(pixels, stride) for pixels in sample]) if sample else None


def sample_pixels(source: Source, *, side: int = SAMPLE_SIDE) -> list[Pixels]:
    """A systematic sample of a scene: up to ``MOST_TILES`` of an even grid of windows.

    Windows with less than half as many valid pixels as the best one are left out, so that
    what fills the holes of a scene does not stand for the scene; none is left when no pixel
    is valid.

    Args:
        side: of a window in pixels, less where the raster is smaller.
    """
    places = [
        (top, left)
        for top in _positions(source.height, side)
        for left in _positions(source.width, side)
    ]
    sample = [_read(source, place, side) for place in places]
    shares = [float(pixels.valid.mean()) for pixels in sample]
    best = max(shares)
    if best == 0:
        return []
    return _spread(
        [pixels for pixels, share in zip(sample, shares, strict=True) if share >= best / 2]
    )


def _positions(length: int, side: int) -> list[int]:
    """Starts of tiles spread evenly from one end to the other."""
    room = length - side
    if room <= 0:
        return [0]
    count = min(CANDIDATES_A_SIDE, -(-length // side))
    return [round(k * room / (count - 1)) for k in range(count)]


def _read(source: Source, place: tuple[int, int], side: int) -> Pixels:
    top, left = place
    bottom, right = min(top + side, source.height), min(left + side, source.width)
    return source.read(top, bottom, left, right)


def _spread(sample: list[Pixels]) -> list[Pixels]:
    """``MOST_TILES`` of the sample, evenly."""
    count = min(MOST_TILES, len(sample))
    return [sample[(2 * k + 1) * len(sample) // (2 * count)] for k in range(count)]
