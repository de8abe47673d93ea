"""Several sources on one grid as one, their bands together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eo_contrast.raster.reader import Pixels, Source


class StackedSource:
    """The bands of several sources on one grid, one behind the other; float32.

    A pixel is valid where it is in all of them.
    """

    dtype: np.dtype[Any] = np.dtype(np.float32)

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = list(sources)
        first = self._sources[0]
        self.name = first.name
        self.height, self.width = first.height, first.width
        self.bands = sum(source.bands for source in self._sources)
        self.may_be_invalid = any(source.may_be_invalid for source in self._sources)

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """See :class:`eo_contrast.raster.reader.Source`."""
        parts = [source.read(top, bottom, left, right) for source in self._sources]
        values = np.concatenate([part.values.astype(np.float32, copy=False) for part in parts])
        valid = np.logical_and.reduce([part.valid for part in parts])
        return Pixels(values=values, valid=valid)
