"""Work that two processes do together, as in training on two devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

COUNT = 2


def in_two_processes(work: Callable[..., Any], folder: Path, *given: Any) -> list[Any]:
    """What ``work(rank, *given)``, a function of a module, returns in each of two processes.

    Args:
        folder: empty; results pass through it.
    """
    multiprocessing.spawn(_one, args=(work, folder, given), nprocs=COUNT)
    return [torch.load(folder / f"{rank}.pt") for rank in range(COUNT)]


def share(rows: torch.Tensor, rank: int) -> torch.Tensor:
    """The rows of one process."""
    return rows.chunk(COUNT)[rank]


def _one(rank: int, work: Callable[..., Any], folder: Path, given: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=COUNT
    )
    torch.save(work(rank, *given), folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
