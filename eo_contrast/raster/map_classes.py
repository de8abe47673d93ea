"""The class of each pixel of a map, specks and fringes cleaned away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eo_contrast.raster.reader import Pixels, RasterSource

Classes = NDArray[np.uint8]
READ_ROWS = 256
NO_CLASS, THIN, UNSEEN = 255, 254, 253
FILL_ROUNDS = 8
"""A pixel further than this from every larger part keeps its class: noise stays noise."""


class Chunk(NamedTuple):
    """Rows ``top .. bottom`` and columns ``left .. right`` of a raster, ends exclusive."""

    top: int
    bottom: int
    left: int
    right: int


class NearestColours:
    """The class whose palette colour is nearest in CIELAB to a pixel of a picture.

    Args:
        colours: RGB colours of each class.
    """

    def __init__(self, colours: Sequence[Sequence[Sequence[int]]]) -> None:
        self._lab = _cielab(np.array([colour for each in colours for colour in each], np.uint8))
        sizes = [len(each) for each in colours]
        self._owner = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
        # Colours are met again and again, so each is looked for once: exact, and 16 MB.
        self._class_of = np.full(2**24, UNSEEN, np.uint8)

    def __call__(self, pixels: Pixels) -> Classes:
        """Classes of red, green and blue (3, rows, columns), ``NO_CLASS`` where not valid."""
        red, green, blue = pixels.values.astype(np.int32)
        packed = red << 16 | green << 8 | blue
        new = np.unique(packed[self._class_of[packed] == UNSEEN])
        for start in range(0, len(new), 1 << 16):
            part = new[start : start + (1 << 16)]
            rgb = np.stack([part >> 16, part >> 8 & 255, part & 255], axis=1).astype(np.uint8)
            squared = ((_cielab(rgb)[:, None] - self._lab) ** 2).sum(axis=2)
            self._class_of[part] = self._owner[squared.argmin(axis=1)]
        return np.where(pixels.valid, self._class_of[packed], np.uint8(NO_CLASS))


@dataclass(frozen=True)
class OwnNumbers:
    """The classes of a map whose values are their numbers, from 0 to ``count`` - 1."""

    count: int

    def __call__(self, pixels: Pixels) -> Classes:
        """Classes of (1, rows, columns), ``NO_CLASS`` where not valid or no class."""
        numbers = pixels.values[0]
        known = pixels.valid & (numbers < self.count)
        return np.where(known, numbers, np.uint8(NO_CLASS))


class ClassReader:
    """Cleaned classes of any chunk, the same for a pixel whatever the chunk.

    Args:
        classify: the classes of a part of the source, pixel by pixel.
    """

    def __init__(
        self, source: RasterSource, classify: Callable[[Pixels], Classes], sieve_px: int
    ) -> None:
        self._source = source
        self._classify = classify
        self._sieve_px = sieve_px

    def read(self, chunk: Chunk) -> Classes:
        """Classes of a chunk and one pixel around it, ``NO_CLASS`` beyond the raster."""
        # A part too small reaches less than sieve_px far; it is filled from FILL_ROUNDS
        # around; whether a pixel is thin shows in its neighbours.
        reach = 1 + (self._sieve_px + FILL_ROUNDS + 1 if self._sieve_px > 1 else 0)
        seen = self._within(chunk, reach)
        classes = np.concatenate(
            [
                self._snapped(top, min(top + READ_ROWS, seen.bottom), seen)
                for top in range(seen.top, seen.bottom, READ_ROWS)
            ]
        )
        if self._sieve_px > 1:
            classes = _cleaned(classes, self._sieve_px)
        kept = self._within(chunk, 1)
        rows = slice(kept.top - seen.top, kept.bottom - seen.top)
        columns = slice(kept.left - seen.left, kept.right - seen.left)
        above, before = kept.top - chunk.top + 1, kept.left - chunk.left + 1
        below, after = chunk.bottom + 1 - kept.bottom, chunk.right + 1 - kept.right
        border = ((above, below), (before, after))
        return np.pad(classes[rows, columns], border, constant_values=NO_CLASS)

    def _within(self, chunk: Chunk, reach: int) -> Chunk:
        return Chunk(
            max(chunk.top - reach, 0),
            min(chunk.bottom + reach, self._source.height),
            max(chunk.left - reach, 0),
            min(chunk.right + reach, self._source.width),
        )

    def _snapped(self, top: int, bottom: int, seen: Chunk) -> Classes:
        return self._classify(self._source.read(top, bottom, seen.left, seen.right))


def _cielab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of sRGB colours, both (N, 3)."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _cleaned(classes: Classes, least: int) -> Classes:
    """Classes with small parts and thin lines given to the classes around them.

    Fringes of blended colour, one pixel wide, are the worst of both: nearest to a third class.
    """
    core = _in_a_square(classes)
    cores = np.where(core, classes, np.uint8(THIN))
    settled = core & ~_in_small_part(cores, least)
    return _filled(classes, settled)


def _in_a_square(classes: Classes) -> NDArray[np.bool_]:
    """Where a pixel is one of 2 x 2 of the same class."""
    across = classes[:, 1:] == classes[:, :-1]
    square = across[1:] & across[:-1] & (classes[1:, 1:] == classes[:-1, 1:])
    core = np.zeros(classes.shape, bool)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            core[rows, columns] |= square
    return core


def _in_small_part(classes: Classes, least: int) -> NDArray[np.bool_]:
    """Where a pixel is in a 4-connected part of fewer than ``least`` pixels of one class."""
    begins = np.ones(classes.shape, bool)
    begins[:, 1:] = classes[:, 1:] != classes[:, :-1]
    run = (np.cumsum(begins, dtype=np.int32) - 1).reshape(classes.shape)
    lengths = np.diff(np.append(np.flatnonzero(begins), classes.size))
    # Where two runs touch, their first common column stands for all.
    touching = (classes[1:] == classes[:-1]) & (begins[1:] | begins[:-1])
    part = _joined_labels(len(lengths), run[:-1][touching], run[1:][touching])
    sizes = np.bincount(part, weights=lengths, minlength=len(lengths))
    small: NDArray[np.bool_] = (sizes < least)[part][run]
    return small


def _joined_labels(
    count: int, one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]
) -> NDArray[np.intp]:
    """The least member of each member's set, where ``one[i]`` and ``other[i]`` are together."""
    label = np.arange(count)
    while len(one):
        least = np.minimum(label[one], label[other])
        np.minimum.at(label, label[one], least)
        np.minimum.at(label, label[other], least)
        while not np.array_equal(label, shorter := label[label]):
            label = shorter
        apart = label[one] != label[other]
        one, other = one[apart], other[apart]
    return label


def _filled(classes: Classes, settled: NDArray[np.bool_]) -> Classes:
    """Pixels not settled take the commonest class of their 4 settled neighbours, inwards.

    Of equals the one above, then left, right, below. Those out of reach stay as they are.
    """
    known = np.pad(np.where(settled, classes, np.uint8(NO_CLASS)), 1, constant_values=NO_CLASS)
    flat, across = known.ravel(), known.shape[1]
    rows, columns = np.nonzero(~settled & (classes != NO_CLASS))
    at = (rows + 1) * across + columns + 1
    for _ in range(FILL_ROUNDS):
        around = flat[at[:, None] + np.array([-across, -1, 1, across])]
        votes = (around[:, :, None] == around[:, None, :]).sum(axis=2) * (around != NO_CLASS)
        reached = votes.max(axis=1, initial=0) > 0
        winners = np.take_along_axis(around, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
        flat[at[reached]] = winners[reached]
        at = at[~reached]
        if not reached.any():
            break
    filled = known[1:-1, 1:-1]
    return np.where(filled == NO_CLASS, classes, filled)
