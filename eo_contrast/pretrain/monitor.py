"""What tells whether a pretraining run learns: chance, collapse, spread, agreement."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

RANK_EPS = 1e-7


def chance(candidates: int) -> float:
    """Cross entropy of a guess among ``candidates``, the positive included: ln k."""
    return math.log(candidates)


def information_bound(loss: float, candidates: int) -> float:
    """Least mutual information of views, in nats: ln k - loss; it saturates at ln k.

    Oord et al. 2018 (CPC), eq. 5. Comparable between runs of equal k alone.
    """
    return chance(candidates) - loss


def deviation(vectors: Tensor) -> float:
    """Mean deviation of unit vectors' dimensions (N, D): near D^-1/2, or 0 if collapsed."""
    return float(F.normalize(vectors, dim=1).std(dim=0).mean())


def alignment(one: Tensor, other: Tensor, *, power: float = 2.0) -> Tensor:
    """Mean distance of positives' unit vectors, to the ``power``; 0 is perfect.

    Wang and Isola 2020, eq. 1.

    Args:
        one, other: (N, D), normalised here.
    """
    apart = F.normalize(one, dim=1) - F.normalize(other, dim=1)
    distances: Tensor = torch.linalg.vector_norm(apart, dim=1)
    return distances.pow(power).mean()


def uniformity(vectors: Tensor, *, sharpness: float = 2.0) -> Tensor:
    """Logarithm of the mean of e^(-t d^2) over pairs of unit vectors; 0 is collapsed.

    Wang and Isola 2020, eq. 2; below about -2 is healthy.

    Args:
        vectors: (N, D), normalised here, N >= 2.
        sharpness: t.
    """
    squared = torch.pdist(F.normalize(vectors, dim=1)).square()
    return (squared * -sharpness).exp().mean().log()


def rank_me(vectors: Tensor) -> Tensor:
    """Exponential of the entropy of the singular values: how many dimensions are in use.

    Garrido et al. 2023, eq. 1-2, not centred; compare at equal N and D alone.

    Args:
        vectors: (N, D) embeddings as they are, a few thousand of them.
    """
    values = torch.linalg.svdvals(vectors)
    shares = values / values.sum() + RANK_EPS
    entropy: Tensor = -(shares * shares.log()).sum()
    return entropy.exp()
