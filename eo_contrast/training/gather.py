"""Rows of all processes, with gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def processes() -> int:
    """How many share a step; 1 where torch.distributed is not in use."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def gathered(rows: Tensor) -> Tensor:
    """The rows (n, ...) of every process, in the order of their ranks: (n * processes, ...).

    The gradient of what every process computes from them comes back to each one's own rows,
    summed over processes: times the number of processes that of one process with the whole batch,
    so that the mean of the processes' gradients is that one's.

    Args:
        rows: as many on every process.
    """
    if processes() == 1:
        return rows
    if not rows.is_floating_point():
        return torch.cat(_of_all(rows))
    whole: Tensor = _Gather.apply(rows)
    return whole


class _Gather(torch.autograd.Function):
    """all_gather, whose gradient is the sum of all processes' at the own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return torch.cat(_of_all(rows))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # gloo has no reduce_scatter; all_reduce of a few hundred vectors costs next to nothing.
        summed = gradients[0].contiguous().clone()
        distributed.all_reduce(summed)
        return summed.chunk(processes())[distributed.get_rank()]


def _of_all(rows: Tensor) -> list[Tensor]:
    parts = [torch.empty_like(rows) for _ in range(processes())]
    distributed.all_gather(parts, rows.contiguous())
    return parts
