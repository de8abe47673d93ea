"""Join the results of windows into finished rows, exactly, whatever their order.

``blend`` sums fixed-point values under weights that add to one; integer sums do not depend
on order, so neither do the bytes. ``cut`` takes each pixel from one window alone: for what
cannot be averaged, such as class numbers, or must not be touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.raster.resample import rounded
from eo_contrast.raster.windows import WEIGHT_ONE, Span, owned, weights

VALUE_ONE = 1 << 16
"""Fixed-point unit of a blended value: results are exact to 1 / 65536 before rounding."""

UNIT = float(VALUE_ONE * WEIGHT_ONE**2)
LARGEST_VALUE = 2.0**62 / UNIT

Tile = tuple[Span, NDArray[Any] | None]
"""A window's columns and its result (bands, rows, columns) over the pixels that it read;
None when the window was skipped."""


def blend_row(
    tiles: Iterable[Tile],
    row: Span,
    above: NDArray[np.int64] | None,
    *,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Blend one row of windows, left to right.

    Args:
        tiles: the row's windows in order.
        row: the rows of these windows.
        above: sums that the row of windows above left over, (bands, shared rows, width);
            None at the top.
        shape: bands and width of the result.
        dtype: of the result; integers are rounded half to even and clipped.

    Returns: finished rows ``row.begin .. row.next_begin``, and the sums left over for the
        row below.
    Raises: ValueError: a value is too large for the fixed point.
    """
    bands, width = shape
    rows_done = row.next_begin - row.begin
    finished = np.zeros((bands, rows_done, width), dtype=dtype)
    below = np.zeros((bands, row.end - row.next_begin, width), dtype=np.int64)
    left_over = np.zeros((bands, row.end - row.begin, 0), dtype=np.int64)
    row_weights = weights(row)
    for column, result in tiles:
        sums = _weighted(result, row, column, row_weights, bands)
        sums[:, :, : left_over.shape[2]] += left_over
        settled, left_over = np.split(sums, [column.next_begin - column.begin], axis=2)
        here = slice(column.begin, column.next_begin)
        if above is not None:
            settled[:, : above.shape[1]] += above[:, :, here]
        finished[:, :, here] = rounded(settled[:, :rows_done] / UNIT, dtype)
        below[:, :, here] = settled[:, rows_done:]
    return finished, below


def cut_row(
    tiles: Iterable[Tile], row: Span, *, shape: tuple[int, int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Cut one row of windows together: each pixel comes from the window that owns it.

    Returns: the owned rows, (bands, rows, width), bit for bit what the windows gave; 0
        where a window was skipped.
    """
    bands, width = shape
    top, bottom = owned(row)
    finished = np.zeros((bands, bottom - top, width), dtype=dtype)
    for column, result in tiles:
        left, right = owned(column)
        if result is not None:
            finished[:, :, left:right] = result[
                :, top - row.start : bottom - row.start, left - column.start : right - column.start
            ]
    return finished


def _weighted(
    result: NDArray[Any] | None,
    row: Span,
    column: Span,
    row_weights: NDArray[np.int64],
    bands: int,
) -> NDArray[np.int64]:
    if result is None:
        return np.zeros((bands, row.end - row.begin, column.end - column.begin), dtype=np.int64)
    counted = result[
        :,
        row.begin - row.start : row.end - row.start,
        column.begin - column.start : column.end - column.start,
    ].astype(np.float64)
    if not np.abs(counted).max(initial=0) < LARGEST_VALUE:
        raise ValueError(f"the model gave a value that is not below {LARGEST_VALUE:.0f}")
    fixed = np.rint(counted * VALUE_ONE).astype(np.int64)
    fixed *= row_weights[:, None]
    fixed *= weights(column)
    return fixed
