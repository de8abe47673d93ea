"""Objectives that tell a positive from negatives: of the batch, a queue, a bank.

Vectors are given as the projectors make them; each function normalises them itself, so that
gradients go through it. s_ij is the cosine of i and j, tau the temperature.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

LARGEST_SCALE = 100.0
"""Of CLIP's learned inverse temperature."""


def nt_xent(one: Tensor, other: Tensor, *, temperature: float) -> Tensor:
    """Mean over all 2N vectors of -log softmax over the 2N - 1 others, at the own partner.

    SimCLR (Chen et al. 2020, eq. 1); with vectors of two sensors the dual-encoder loss of
    Scheibenreif et al. 2022, whose negatives are of both sensors.

    Args:
        one, other: (N, D) two views of the same places, N >= 2.
        temperature: tau, > 0.

    Returns: a scalar >= 0; about ln(2N - 1) for vectors that say nothing.
    Raises: ValueError: shapes differ, or N < 2.
    """
    _require_pairs(one, other, least=2)
    both = F.normalize(torch.cat([one, other]), dim=1)
    count = len(one)
    logits = _cosines(both, both) / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=both.device)
    partner = torch.arange(2 * count, device=both.device).roll(count)
    return F.cross_entropy(logits.masked_fill(itself, -torch.inf), partner)


def info_nce(
    query: Tensor,
    key: Tensor,
    negatives: Tensor | None = None,
    own_negatives: Tensor | None = None,
    *,
    temperature: float,
    counted: Tensor | None = None,
) -> Tensor:
    """Mean of -log softmax of each query's similarities to its key and the negatives, at its key.

    MoCo (He et al. 2020, eq. 1). No gradient is stopped here.

    Args:
        query, key: (N, D).
        negatives: (K, D) for all queries alike, as a queue holds them, taken as unit vectors.
        own_negatives: (N, M, D) of each query, taken as unit vectors.
        temperature: tau, > 0.
        counted: (N, K + M) which negatives count for which query; None: all.

    Returns: a scalar >= 0; about ln(1 + K + M) for vectors that say nothing.
    Raises: ValueError: shapes differ, or there is no negative.
    """
    logits = logits_of_positive(query, key, negatives, own_negatives) / temperature
    if counted is not None:
        own = torch.ones_like(counted[:, :1])
        logits = logits.masked_fill(~torch.cat([own, counted], dim=1), -torch.inf)
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


def logits_of_positive(
    query: Tensor, key: Tensor, negatives: Tensor | None = None, own_negatives: Tensor | None = None
) -> Tensor:
    """Cosines (N, 1 + K + M): to the key, the negatives of all, its own; arguments as above.

    Raises: ValueError: shapes differ, or there is no negative.
    """
    _require_pairs(query, key, least=1)
    if negatives is None and own_negatives is None:
        raise ValueError("no negatives: InfoNCE of a positive alone is 0 whatever the vectors")
    query, key = F.normalize(query, dim=1), F.normalize(key, dim=1)
    parts = [(query * key).sum(1, keepdim=True)]
    if negatives is not None:
        parts.append(_cosines(query, negatives))
    if own_negatives is not None:
        parts.append(torch.einsum("nd,nmd->nm", query, own_negatives))
    return torch.cat(parts, dim=1)


def in_batch_info_nce(query: Tensor, key: Tensor, *, temperature: float) -> Tensor:
    """2 tau times the cross entropy of each query's cosines to all keys, at its own.

    MoCo v3 (Chen et al. 2021, alg. 1), one direction.

    Args:
        query, key: (N, D), N >= 2; no gradient is stopped here.
        temperature: tau, > 0.

    Raises: ValueError: shapes differ, or N < 2.
    """
    _require_pairs(query, key, least=2)
    logits = _cosines(F.normalize(query, dim=1), F.normalize(key, dim=1)) / temperature
    return 2 * temperature * F.cross_entropy(logits, _diagonal(query))


def clip(one: Tensor, other: Tensor, log_scale: Tensor, *, clamp: bool = True) -> Tensor:
    """Mean of both directions' cross entropy of cosines times e^log_scale, at the own partner.

    Radford et al. 2021, fig. 3. Vectors of one sensor do not repel each other.

    Args:
        one, other: (N, D) of two sensors, N >= 2.
        log_scale: scalar, learned; ln(1 / 0.07) at the start.
        clamp: hold the scale at ``LARGEST_SCALE``.

    Raises: ValueError: shapes differ, or N < 2.
    """
    _require_pairs(one, other, least=2)
    scale = log_scale.exp().clamp(max=LARGEST_SCALE) if clamp else log_scale.exp()
    logits = scale * _cosines(F.normalize(one, dim=1), F.normalize(other, dim=1))
    own = _diagonal(one)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def supervised(
    views: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float,
    base_temperature: float = 0.07,
    anchors: Literal["all", "first"] = "all",
) -> Tensor:
    """(tau / tau_0) times the mean over anchors of -log softmax, averaged over all positives.

    SupCon (Khosla et al. 2020, eq. 2, L_out).

    Args:
        views: (N, V, D) of the same places, N >= 2.
        labels: (N,) whole numbers; those of equal label are positives. None: each place is its own.
        temperature, base_temperature: tau and tau_0, > 0.
        anchors: all views, or the first of each place.

    Raises: ValueError: N < 2, or an anchor has no positive.
    """
    count, per_place, _ = views.shape
    if count < 2:
        raise ValueError(f"{count} places: negatives need 2 or more")
    of = torch.arange(count, device=views.device) if labels is None else labels
    # Views one after the other: all first ones, then all second ones.
    vectors = F.normalize(views, dim=2).transpose(0, 1).flatten(0, 1)
    of = of.repeat(per_place)
    chosen = len(vectors) if anchors == "all" else count
    itself = torch.eye(len(vectors), dtype=torch.bool, device=views.device)[:chosen]
    logits = _cosines(vectors[:chosen], vectors) / temperature
    log_p = F.log_softmax(logits.masked_fill(itself, -torch.inf), dim=1)
    positive = (of[:chosen, None] == of[None]) & ~itself
    if not positive.any(1).all():
        raise ValueError("an anchor has no positive: give two views, or two places of each label")
    mean = log_p.masked_fill(~positive, 0).sum(1) / positive.sum(1)
    return -(temperature / base_temperature) * mean.mean()


def noise_contrastive(scores: Tensor, *, data_size: int, eps: float = 1e-7) -> Tensor:
    """Noise-contrastive estimation of which of 1 + K samples is the data's own.

    Wu et al. 2018 (instance discrimination), eq. 5-7; CMC (Tian et al. 2020), app. A.

    Args:
        scores: (N, 1 + K) exp(v m / tau) / Z, the positive first; see :func:`normalised_scores`.
        data_size: n, vectors in the bank; noise is uniform over them.
        eps: keeps the fraction's denominator off 0.

    Returns: a scalar: the sum over the samples, averaged over N.
    """
    noise = (scores.shape[1] - 1) / data_size
    positive, negative = scores[:, :1], scores[:, 1:]
    data = (positive / (positive + noise + eps)).log().sum()
    others = (noise / (negative + noise + eps)).log().sum()
    return -(data + others) / len(scores)


def normalised_scores(
    vectors: Tensor,
    bank_rows: Tensor,
    *,
    temperature: float,
    normaliser: Tensor | None = None,
    data_size: int,
) -> tuple[Tensor, Tensor]:
    """exp(v m / tau) / Z of each vector and its rows of a bank, and Z.

    Args:
        vectors: (N, D), normalised here.
        bank_rows: (N, 1 + K, D) as the bank holds them, the positive first.
        temperature: tau, > 0.
        normaliser: Z; None: n times the mean of this batch, which is then kept. It has no gradient.
        data_size: n, vectors in the bank.
    """
    dots = torch.einsum("nd,nkd->nk", F.normalize(vectors, dim=1), bank_rows)
    raised = (dots / temperature).exp()
    constant = raised.mean().detach() * data_size if normaliser is None else normaliser
    return raised / constant, constant


def n_pair(anchor: Tensor, positive: Tensor, *, l2: float = 0.0) -> Tensor:
    """Cross entropy of a p^T at the own positive, of vectors as they are.

    Sohn 2016 (N-pair-mc), eq. 7; ``l2`` times the mean squared norm of both is added.

    Args:
        anchor, positive: (N, D), one pair a class, N >= 2.

    Raises: ValueError: shapes differ, or N < 2.
    """
    _require_pairs(anchor, positive, least=2)
    loss = F.cross_entropy(_cosines(anchor, positive), _diagonal(anchor))
    if not l2:
        return loss
    return loss + l2 * (anchor.square().sum(1) + positive.square().sum(1)).mean()


def _cosines(one: Tensor, other: Tensor) -> Tensor:
    """Products (N, M), in float32 at least: bfloat16 cosines near 1 are .004 apart."""
    wide = torch.promote_types(one.dtype, torch.float32)
    with torch.autocast(one.device.type, enabled=False):
        return one.to(wide) @ other.to(wide).T


def _diagonal(vectors: Tensor) -> Tensor:
    return torch.arange(len(vectors), device=vectors.device)


def _require_pairs(one: Tensor, other: Tensor, *, least: int) -> None:
    if one.shape != other.shape or one.ndim != 2:
        raise ValueError(f"shapes {tuple(one.shape)} and {tuple(other.shape)}: both must be (N, D)")
    if len(one) < least:
        raise ValueError(f"{len(one)} places: negatives need {least} or more")
