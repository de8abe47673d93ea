"""What a pretrainer remembers between steps: a queue of keys, a bank of vectors, slow weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass
class Queue:
    """The latest keys, first in first out (He et al. 2020, MoCo, sec. 3.2).

    Attributes:
        keys: (K, D) unit vectors.
        place: row that the next key takes.
        ids: (K,) number of the place that each key is of; -1: of none.
    """

    keys: Tensor
    place: int = 0
    ids: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.keys):
            self.ids = torch.full((len(self.keys),), -1, device=self.keys.device)

    @torch.no_grad()
    def push(self, keys: Tensor, ids: Tensor | None = None) -> None:
        """Put unit vectors (N, D) in the place of the oldest ones, around the end.

        Args:
            ids: (N,) of the places; None: not known.

        Raises: ValueError: more keys than the queue holds: some would never be negatives.
        """
        size, count = len(self.keys), len(keys)
        if count > size:
            raise ValueError(f"{count} keys do not fit a queue of {size}")
        rows = (torch.arange(count, device=self.keys.device) + self.place) % size
        # A new tensor: what the step's graph holds of the old one must not change.
        self.keys = self.keys.index_copy(0, rows, keys.detach().to(self.keys.dtype))
        self.ids = self.ids.index_copy(0, rows, torch.full_like(rows, -1) if ids is None else ids)
        self.place = (self.place + count) % size


def new_queue(size: int, width: int, generator: torch.Generator) -> Queue:
    """A queue of random unit vectors, as there are no keys yet."""
    return Queue(F.normalize(torch.randn(size, width, generator=generator), dim=1))


@dataclass
class Bank:
    """A vector for each place of the data (Wu et al. 2018; CMC, Tian et al. 2020).

    Attributes:
        vectors: (n, D).
        momentum: of the old vector when a new one comes, 0..1.
        normaliser: Z of the noise-contrastive estimate; None: no batch was seen yet.
    """

    vectors: Tensor
    momentum: float = 0.5
    normaliser: Tensor | None = None

    @torch.no_grad()
    def update(self, ids: Tensor, vectors: Tensor) -> None:
        """Move the rows ``ids`` (N,) towards unit vectors (N, D), and bring them to length 1.

        Raises: ValueError: an id is there twice: which vector should count cannot be told.
        """
        if len(torch.unique(ids)) != len(ids):
            raise ValueError("a place is twice in the batch; a bank has one row for it")
        mixed = self.momentum * self.vectors[ids] + (1 - self.momentum) * vectors.detach()
        self.vectors = self.vectors.index_copy(0, ids, F.normalize(mixed, dim=1))


def new_bank(size: int, width: int, generator: torch.Generator) -> Bank:
    """A bank of vectors uniform within +-sqrt(3 / D), not yet of length 1, as the authors begin."""
    limit = math.sqrt(3 / width)
    drawn = torch.rand(size, width, generator=generator)
    return Bank(drawn * 2 * limit - limit)


@torch.no_grad()
def follow(slow: nn.Module, quick: nn.Module, momentum: float) -> None:
    """slow <- momentum slow + (1 - momentum) quick, parameters alone (MoCo, eq. 2).

    Running statistics of norms stay those of the slow net's own forwards.
    """
    mine: list[Tensor] = list(slow.parameters())
    theirs: list[Tensor] = list(quick.parameters())
    # Lists at once: hundreds of small operations cost more than what they do.
    torch._foreach_mul_(mine, momentum)
    torch._foreach_add_(mine, theirs, alpha=1 - momentum)


def momentum_at(step: int, steps: int, base: float) -> float:
    """1 - (1 - base) (1 + cos(pi step / steps)) / 2: from ``base`` to 1 (BYOL, sec. 3.2).

    Args:
        step: done so far, 0 .. steps.
        steps: of the whole run.
        base: momentum at the start, 0..1.
    """
    return 1 - (1 - base) * (1 + math.cos(math.pi * step / steps)) / 2
