"""Which class a vector's nearest neighbours vote for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

ROWS_AT_ONCE = 1024
"""Queries whose cosines with the whole bank are held at one time."""


def nearest_neighbours(
    queries: Tensor,
    bank: Tensor,
    labels: Tensor,
    *,
    classes: int,
    neighbours: int = 20,
    temperature: float = 0.07,
    bank_is_queries: bool = False,
) -> Tensor:
    """Scores (N, classes): sums of e^(cos / tau) over each query's nearest vectors, by their class.

    Wu et al. 2018, sec. 3.4.

    Args:
        queries, bank: (N, D) and (M, D), normalised here.
        labels: (M,) 0 .. classes - 1.
        neighbours: k, at most M count.
        temperature: tau, > 0.
        bank_is_queries: both are the same vectors in one order; none is its own neighbour.
    """
    return neighbour_votes(
        queries,
        bank,
        F.one_hot(labels, classes),
        neighbours=neighbours,
        temperature=temperature,
        bank_is_queries=bank_is_queries,
    )


def neighbour_votes(
    queries: Tensor,
    bank: Tensor,
    votes: Tensor,
    *,
    neighbours: int = 20,
    temperature: float = 0.07,
    bank_is_queries: bool = False,
) -> Tensor:
    """Sums (N, C) of the nearest vectors' votes, each weighted by e^(cos / tau).

    Args:
        votes: (M, C) of the bank's vectors: 1 for each class that a vector stands for, else 0.

    The others are as in :func:`nearest_neighbours`.
    """
    bank = F.normalize(bank, dim=1)
    parts = []
    for first in range(0, len(queries), ROWS_AT_ONCE):
        part = F.normalize(queries[first : first + ROWS_AT_ONCE], dim=1)
        cosines = part @ bank.T
        if bank_is_queries:
            own = torch.arange(len(part), device=cosines.device)
            cosines[own, first + own] = -torch.inf
        nearest, places = cosines.topk(min(neighbours, len(bank)), dim=1)
        weights = (nearest / temperature).exp()[..., None]
        parts.append((weights * votes[places].to(cosines.dtype)).sum(1))
    return torch.cat(parts) if parts else queries.new_zeros(0, votes.shape[1])
