"""A raster laid on the grid of another one of the same ground."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.catalog.grids import Grid, part_under
from eo_contrast.catalog.reading import Stored
from eo_contrast.catalog.views import on_grid
from eo_contrast.raster.reader import Pixels, Source

CHUNK_ROWS = 128
CHUNKS_KEPT = 2


class AlignedSource:
    """A ``Source`` laid on another grid, bilinearly; copied where pixels are the same ones.

    What is read is made in chunks of whole rows whose bounds do not depend on what was asked
    for, so that neither do the values, to the last bit.

    Args:
        source: in the unit wanted, NaN allowed.
        own, onto: where its pixels lie, and where they are wanted; both have a CRS.
    """

    dtype: np.dtype[Any] = np.dtype(np.float32)
    may_be_invalid = True  # it need not cover all of the other grid

    def __init__(self, source: Source, own: Grid, onto: Grid) -> None:
        self._source, self._own, self._onto = source, own, onto
        self._kept: OrderedDict[tuple[int, int, int], Pixels] = OrderedDict()
        self.name = source.name
        self.height, self.width = onto.height, onto.width
        self.bands = source.bands

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The pixels of rows ``top .. bottom`` and columns ``left .. right`` of ``onto``.

        Raises: InputError: a block cannot be decoded.
        """
        values = np.zeros((self.bands, bottom - top, right - left), np.float32)
        valid = np.zeros(values.shape[1:], bool)
        for begin in range(top // CHUNK_ROWS * CHUNK_ROWS, bottom, CHUNK_ROWS):
            chunk = self._chunk(begin, left, right)
            rows = slice(max(top - begin, 0), min(bottom - begin, len(chunk.valid)))
            into = slice(begin + rows.start - top, begin + rows.stop - top)
            values[:, into], valid[into] = chunk.values[:, rows], chunk.valid[rows]
        return Pixels(values=values, valid=valid)

    def _chunk(self, top: int, left: int, right: int) -> Pixels:
        key = (top, left, right)
        if key not in self._kept:
            bottom = min(top + CHUNK_ROWS, self.height)
            self._kept[key] = self._made(top, bottom, left, right)
            while len(self._kept) > CHUNKS_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _made(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        wanted = self._onto.window(top, left, bottom - top, right - left)
        rows_and_columns = part_under(wanted, self._own)
        first, past, begin, end = rows_and_columns
        pixels = self._source.read(*rows_and_columns)
        part = self._own.window(first, begin, past - first, end - begin)
        values = np.stack([self._laid(band, pixels.valid, part, wanted) for band in pixels.values])
        valid: NDArray[np.bool_] = np.all(np.isfinite(values), axis=0)
        return Pixels(values=np.where(valid, values, np.float32(0)), valid=valid)

    @staticmethod
    def _laid(
        band: NDArray[Any], valid: NDArray[np.bool_], part: Grid, wanted: Grid
    ) -> NDArray[np.float32]:
        stored = np.where(valid, band, np.nan).astype(np.float32)
        return on_grid(Stored(stored, part), wanted)
