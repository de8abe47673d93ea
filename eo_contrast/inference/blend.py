"""Join the results of windows into finished rows, exactly, whatever their order.

``blend`` sums fixed-point values under weights that add to one; integer sums do not depend
on order, so neither do the bytes. ``cut`` takes each pixel from one window alone: for what
cannot be averaged, such as class numbers, or must not be touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.inference.settle import Settle
from eo_contrast.raster.resample import rounded
from eo_contrast.raster.windows import WEIGHT_ONE, Span, owned, weights

VALUE_ONE = 1 << 16
"""Fixed-point unit of a blended value: results are exact to 1 / 65536 before rounding."""

UNIT = float(VALUE_ONE * WEIGHT_ONE**2)
LARGEST_VALUE = 2.0**62 / UNIT

WITHOUT_DOUBLES = ("mps",)
"""Devices that have no numbers of 64 bits: what they give is joined on the processor."""

Tile = tuple[Span, Tensor | None]
"""A window's columns and its result (bands, rows, columns) over the pixels that it read;
None when the window was skipped."""


def blend_row(
    tiles: Iterable[Tile],
    row: Span,
    above: Tensor | None,
    *,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    settle: Settle | None = None,
) -> tuple[NDArray[Any], Tensor]:
    """Blend one row of windows, left to right, on the device that their results lie on.

    Args:
        tiles: the row's windows in order.
        row: the rows of these windows.
        above: sums that the row of windows above left over, int64 (bands, shared rows, width);
            None at the top.
        shape: bands and width of the result.
        dtype: of the result; integers are rounded half to even and clipped.
        settle: what the values become instead, in its own type; None: they stay.

    Returns: finished rows ``row.begin .. row.next_begin``, and the sums left over for the
        row below.
    Raises: ValueError: a value is too large for the fixed point.
    """
    bands, width = shape
    rows_done = row.next_begin - row.begin
    given = (bands, dtype) if settle is None else (settle.bands, np.dtype(settle.dtype))
    finished = np.zeros((given[0], rows_done, width), dtype=given[1])
    leftover_below: list[Tensor] = []
    left_over: Tensor | None = None
    for column, result in tiles:
        sums = _weighted(result, row, column, bands)
        if left_over is not None:
            sums[:, :, : left_over.shape[2]] += left_over.to(sums.device)
        settled, left_over = sums.tensor_split([column.next_begin - column.begin], dim=2)
        here = slice(column.begin, column.next_begin)
        if above is not None:
            settled[:, : above.shape[1]] += above[:, :, here].to(sums.device)
        sums_done = settled[:, :rows_done]
        if settle is None:
            finished[:, :, here] = _rounded(sums_done, dtype)
        else:
            finished[:, :, here] = settle(sums_done.double() / UNIT).cpu().numpy()
        leftover_below.append(settled[:, rows_done:])
    device = leftover_below[0].device
    return finished, torch.cat([part.to(device) for part in leftover_below], dim=2)


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
            ].numpy()
    return finished


def _weighted(result: Tensor | None, row: Span, column: Span, bands: int) -> Tensor:
    """A window's share of the sums, int64 (bands, counted rows, counted columns)."""
    if result is None:
        shape = (bands, row.end - row.begin, column.end - column.begin)
        return torch.zeros(shape, dtype=torch.int64)
    counted = result[
        :,
        row.begin - row.start : row.end - row.start,
        column.begin - column.start : column.end - column.start,
    ]
    counted = (counted.cpu() if result.device.type in WITHOUT_DOUBLES else counted).double()
    # Not a number is not below anything.
    if counted.numel() and not bool((counted.abs() < LARGEST_VALUE).all()):
        raise ValueError(f"the model gave a value that is not below {LARGEST_VALUE:.0f}")
    fixed = (counted * VALUE_ONE).round().to(torch.int64)
    fixed *= torch.from_numpy(weights(row)).to(fixed.device)[:, None]
    fixed *= torch.from_numpy(weights(column)).to(fixed.device)
    return fixed


def _rounded(sums: Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Sums as values; bytes are made on the device, so that no more than they are brought over."""
    values = sums.double() / UNIT
    if dtype == np.uint8:
        small: NDArray[Any] = values.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return small
    return rounded(values.cpu().numpy(), dtype)
