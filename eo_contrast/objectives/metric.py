"""Metric losses: distances of like pairs small, of unlike pairs a margin large."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_margin(one: Tensor, other: Tensor, alike: Tensor, *, margin: float = 1.0) -> Tensor:
    """Mean of y d^2 / 2 + (1 - y) max(0, margin - d)^2 / 2.

    Hadsell et al. 2006, eq. 4.

    Args:
        one, other: (N, D), not normalised here.
        alike: (N,) 1 for like pairs, 0 for unlike ones.
        margin: distance that unlike pairs should have, > 0.
    """
    distance = _distance(one, other)
    far = F.relu(margin - distance).square()
    return (alike * distance.square() + (1 - alike) * far).mean() / 2


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float) -> Tensor:
    """Mean of max(0, d(a, p) - d(a, n) + margin), distances not squared.

    Schroff et al. 2015 with plain distances (Hermans et al. 2017).

    Args:
        anchor, positive, negative: (N, D), not normalised here.
        margin: > 0.
    """
    return F.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin).mean()


def lifted_structure(vectors: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    """Half the mean over positive pairs of max(0, log(sum of e^(margin - d) to both's negatives)
    + d)^2.

    Oh Song et al. 2016, eq. 4.

    Args:
        vectors: (N, D), not normalised here.
        labels: (N,) whole numbers.
        margin: > 0.

    Raises: ValueError: no two vectors have one label, or all have.
    """
    alike = labels[:, None] == labels[None]
    first, second = torch.triu(alike, diagonal=1).nonzero(as_tuple=True)
    if not len(first) or alike.all():
        raise ValueError("lifted structure needs a pair of one label, and two labels")
    distances = _distances(vectors)
    near = (margin - distances).masked_fill(alike, -torch.inf)
    of_both = torch.cat([near[first], near[second]], dim=1)
    hinge = F.relu(torch.logsumexp(of_both, dim=1) + distances[first, second])
    return hinge.square().mean() / 2


def _distance(one: Tensor, other: Tensor) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(one - other, dim=1)
    return distance


def _distances(vectors: Tensor) -> Tensor:
    """(N, N); the gradient at a vector's distance to itself is 0, not undefined."""
    squared = (vectors[:, None] - vectors[None]).square().sum(-1)
    there = squared > 0
    return torch.where(there, torch.where(there, squared, 1).sqrt(), 0)
