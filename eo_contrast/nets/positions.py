"""Where patches lie on their square grid, as transformers are told. No parameters."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LONGEST_PERIOD = 10_000.0


def sine_positions(width: int, side: int, *, first_empty: bool = False) -> Tensor:
    """Sines and cosines of each patch's column, then of its row, (side * side, width), float64.

    Vaswani et al. 2017, sec. 3.5, on two axes as MAE (He et al. 2022) has them.

    Args:
        width: of a token, a multiple of 4: each axis has as many sines as cosines.
        side: patches a side.
        first_empty: put a row of zeros first, for a class token.

    Raises: ValueError: ``width`` is not a multiple of 4.
    """
    if width % 4:
        raise ValueError(f"width {width}: positions on two axes need a multiple of 4")
    of_axis = width // 2
    frequencies = LONGEST_PERIOD ** -(
        torch.arange(of_axis // 2, dtype=torch.float64) / (of_axis / 2)
    )
    rows, columns = _rows_and_columns(side)
    parts = []
    for coordinate in (columns, rows):
        angles = coordinate[:, None] * frequencies
        parts += [angles.sin(), angles.cos()]
    positions = torch.cat(parts, dim=1)
    if first_empty:
        positions = torch.cat([positions.new_zeros(1, width), positions])
    return positions


def alibi(heads: int, side: int) -> Tensor:
    """What attention adds to its logits: less the farther two patches are, (1, heads, L, L).

    ALiBi (Press et al. 2022) with Euclidean distances in patches, as CROMA (Fuller et al. 2023,
    sec. 3.2) has it: minus distance times the head's slope. L = side^2; float64.

    Args:
        heads: >= 1.
        side: patches a side.
    """
    rows, columns = _rows_and_columns(side)
    distances = torch.hypot(rows[:, None] - rows[None], columns[:, None] - columns[None])
    slopes = torch.tensor(_slopes(heads), dtype=torch.float64)
    return (-slopes[:, None, None] * distances)[None]


def bias_between(bias: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """Of a bias between all patches that between some of each image's, (N, heads, Q, K).

    Args:
        bias: (heads, L, L).
        queries, keys: numbers of patches, (N, Q) and (N, K).
    """
    return bias[:, queries[:, :, None], keys[:, None, :]].transpose(0, 1)


def _slopes(heads: int) -> list[float]:
    """2^(-8 k / heads), k = 1 .. heads, where heads is a power of two.

    Otherwise those of the power below, then every other one of the power above.
    """
    below = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * k / below) for k in range(1, below + 1)]
    between = [2 ** (-4 * k / below) for k in range(1, 2 * below + 1, 2)]
    return slopes + between[: heads - below]


def _rows_and_columns(side: int) -> tuple[Tensor, Tensor]:
    """Of each patch, row by row, (side * side,)."""
    along = torch.arange(side, dtype=torch.float64)
    return along.repeat_interleave(side), along.repeat(side)
