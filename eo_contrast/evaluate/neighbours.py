"""Which class a vector's nearest neighbours vote for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


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
    cosines = F.normalize(queries, dim=1) @ F.normalize(bank, dim=1).T
    if bank_is_queries:
        cosines.fill_diagonal_(-torch.inf)
    nearest, places = cosines.topk(min(neighbours, len(bank)), dim=1)
    votes = F.one_hot(labels[places], classes).to(cosines.dtype)
    return ((nearest / temperature).exp()[..., None] * votes).sum(1)
