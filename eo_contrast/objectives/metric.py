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


def margin_of_pairs(
    vectors: Tensor, labels: Tensor, *, near: float = 0.0, far: float = 1.0
) -> Tensor:
    """Mean of max(0, d - near) over like pairs, plus mean of max(0, far - d) over unlike ones.

    All pairs of the batch, distances not squared; each mean is over the pairs that cost anything,
    as in pytorch-metric-learning's ContrastiveLoss.

    Args:
        vectors: (N, D), not normalised here.
        labels: (N,) whole numbers.
        near, far: distances within which like pairs, and beyond which unlike ones cost nothing.
    """
    alike, itself = _alike(labels)
    distances = _distances(vectors)
    like = F.relu(distances - near)[alike & ~itself]
    unlike = F.relu(far - distances)[~alike]
    return _mean_of_costly(like) + _mean_of_costly(unlike)


def triplets_of_batch(vectors: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Mean of max(0, d(a, p) - d(a, n) + margin) over the triplets of the batch that cost anything.

    Hermans et al. 2017, eq. 6 ("batch all", non-zero mean).

    Args:
        vectors: (N, D), not normalised here; N^3 numbers are held.
        labels: (N,) whole numbers.
        margin: > 0.

    Returns: 0 where no anchor has both a like and an unlike vector.
    """
    alike, itself = _alike(labels)
    distances = _distances(vectors)
    excess = distances[:, :, None] - distances[:, None] + margin
    possible = (alike & ~itself)[:, :, None] & ~alike[:, None]
    return _mean_of_costly(F.relu(excess)[possible])


def generalised_lifted_structure(vectors: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    """Mean over anchors of max(0, log(sum of e^d to the like) + log(sum of e^(margin - d) to the
    unlike)).

    Hermans et al. 2017, eq. 8.

    Args:
        vectors: (N, D), not normalised here.
        labels: (N,) whole numbers.
        margin: > 0.

    Raises: ValueError: an anchor has no like vector, or no unlike one.
    """
    alike, itself = _alike(labels)
    if not (alike & ~itself).any(1).all() or alike.all(1).any():
        raise ValueError("each vector needs another of its label, and one of another label")
    distances = _distances(vectors)
    like = torch.logsumexp(distances.masked_fill(~alike | itself, -torch.inf), dim=1)
    unlike = torch.logsumexp((margin - distances).masked_fill(alike, -torch.inf), dim=1)
    return F.relu(like + unlike).mean()


def _alike(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(N, N): of one label; the diagonal."""
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return labels[:, None] == labels[None], itself


def _mean_of_costly(costs: Tensor) -> Tensor:
    return costs.sum() / (costs > 0).sum().clamp_min(1)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(one - other, dim=1)
    return distance


def _distances(vectors: Tensor) -> Tensor:
    """(N, N); the gradient at a vector's distance to itself is 0, not undefined."""
    squared = (vectors[:, None] - vectors[None]).square().sum(-1)
    there = squared > 0
    return torch.where(there, torch.where(there, squared, 1).sqrt(), 0)
