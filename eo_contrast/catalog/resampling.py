"""Resample a band to a grid whose axes are parallel to its own: exact, by taps along each axis.

Grids of one CRS that are not turned against each other are most of what archives hold; for them
a warp's general machinery is ten times the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_WEIGHT = 0.5
"""Share of a pixel's weight on the image that must fall on data, else it has none."""


@dataclass(frozen=True)
class Axis:
    """Where pixels of an output axis lie on an input axis: ``step`` * (k + 0.5) + ``start``.

    Attributes:
        count: output pixels.
        step: input pixels from one output pixel to the next; negative where the axes run against
            each other.
        start: input coordinate, in pixels from the outer edge of the first, of the output's edge.
        length: input pixels.
    """

    count: int
    step: float
    start: float
    length: int

    def positions(self) -> NDArray[np.float64]:
        """Input coordinate of each output pixel's middle."""
        return np.asarray(self.step * (np.arange(self.count) + 0.5) + self.start, np.float64)


def bilinear(values: NDArray[np.float32], rows: Axis, columns: Axis) -> NDArray[np.float32]:
    """Interpolate (rows, columns), NaN where there is no data, to the outputs of both axes.

    A pixel larger than the input's is a mean over it: the triangle of weights is widened, as
    GDAL's warp does. Outside of the input there is no data.
    """
    valid = np.isfinite(values)
    if valid.all():
        down, right = _taps(rows), _taps(columns)
        result = _along_rows(_along_rows(values, down).T, right).T
        weight = np.outer(down[1].sum(1), right[1].sum(1)).astype(np.float32)
    else:
        filled = np.where(valid, values, np.float32(0))
        down, right = _taps(rows), _taps(columns)
        result = _along_rows(_along_rows(filled, down).T, right).T
        weight = _along_rows(_along_rows(valid.astype(np.float32), down).T, right).T
    enough = weight >= LEAST_WEIGHT
    normal: NDArray[np.float32] = np.where(
        enough, result / np.maximum(weight, LEAST_WEIGHT), np.nan
    )
    return normal


def nearest(values: NDArray[np.float32], rows: Axis, columns: Axis) -> NDArray[np.float32]:
    """The input pixel that each output pixel's middle lies in; NaN outside of the input."""
    onto = np.full((rows.count, columns.count), np.nan, np.float32)
    down, right = (np.floor(axis.positions()).astype(np.int64) for axis in (rows, columns))
    inside_rows = (down >= 0) & (down < rows.length)
    inside_columns = (right >= 0) & (right < columns.length)
    part = values[np.ix_(down[inside_rows], right[inside_columns])]
    onto[np.ix_(inside_rows, inside_columns)] = part
    return onto


def _taps(axis: Axis) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Input pixels and their weights for each output pixel, (count, taps).

    They add up to 1, of what falls on the input alone; outputs whose middle lies outside of it
    have no weight at all.
    """
    half = max(1.0, abs(axis.step))
    middles = axis.positions()
    first = np.floor(middles - half - 0.5).astype(np.int64) + 1
    index = first[:, None] + np.arange(int(np.ceil(2 * half)))
    weight = np.maximum(0, 1 - np.abs(index + 0.5 - middles[:, None]) / half)
    weight[(index < 0) | (index >= axis.length)] = 0
    weight /= np.maximum(weight.sum(1, keepdims=True), 1e-9)
    weight[(middles < 0) | (middles > axis.length)] = 0
    return np.clip(index, 0, axis.length - 1), weight.astype(np.float32)


def _along_rows(
    values: NDArray[np.float32], taps: tuple[NDArray[np.int64], NDArray[np.float32]]
) -> NDArray[np.float32]:
    index, weight = taps
    total = values[index[:, 0]] * weight[:, :1]
    for tap in range(1, index.shape[1]):
        total += values[index[:, tap]] * weight[:, tap : tap + 1]
    return total
