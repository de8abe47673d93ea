"""Objectives without negatives: predict the other view, or make features unlike each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BARLOW_LAMBDA = 0.0051
BATCH_NORM_EPS = 1e-5
VICREG_EPS = 1e-4
SINKHORN_EPS, SINKHORN_ROUNDS = 0.05, 3


def regression(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared distance of unit vectors, (N,): 2 - 2 cos.

    BYOL (Grill et al. 2020, eq. 2), one direction; the loss is the mean of both directions' sums.

    Args:
        prediction, target: (N, D); no gradient is stopped here.
    """
    return (F.normalize(prediction, dim=1) - F.normalize(target, dim=1)).square().sum(1)


def barlow_twins(
    one: Tensor, other: Tensor, *, off_diagonal: float = BARLOW_LAMBDA, diagonal: float = 1.0
) -> Tensor:
    """sum (c_ii - diagonal)^2 + off_diagonal sum c_ij^2, of the cross-correlation c.

    Zbontar et al. 2021, eq. 1-2, features standardised over the batch by the biased variance.

    Args:
        one, other: (N, D) two views, N >= 2.
        off_diagonal: lambda.
        diagonal: what equal features should correlate by; 0 makes them differ (DeCUR).

    Raises: ValueError: shapes differ, or N < 2.
    """
    correlation = cross_correlation(one, other)
    own = torch.diagonal(correlation)
    rest = correlation.square().sum() - own.square().sum()
    return (own - diagonal).square().sum() + off_diagonal * rest


def cross_correlation(one: Tensor, other: Tensor) -> Tensor:
    """(D, D) over the batch; arguments as above."""
    if one.shape != other.shape or len(one) < 2:
        raise ValueError(f"shapes {tuple(one.shape)} and {tuple(other.shape)}: both (N, D), N > 1")
    first, second = (_standardised(view) for view in (one, other))
    return first.T @ second / len(one)


def decur(
    first: tuple[Tensor, Tensor],
    second: tuple[Tensor, Tensor],
    *,
    common: int,
    off_diagonal: float = BARLOW_LAMBDA,
) -> Tensor:
    """A third of: Barlow Twins within each sensor, and across them over common and own features.

    DeCUR (Wang et al. 2024, eq. 1-5): the first ``common`` features of both sensors agree, the
    others are made to differ; across sensors the first views count.

    Args:
        first, second: both views (N, D) of each sensor.
        common: how many features the sensors share, 1 .. D - 1.

    Raises: ValueError: shapes differ, N < 2, or ``common`` leaves no feature of either kind.
    """
    width = first[0].shape[1]
    if not 1 <= common < width:
        raise ValueError(f"common {common}: give 1 to {width - 1} of the {width} features")
    one, other = first[0], second[0]
    shared = barlow_twins(one[:, :common], other[:, :common], off_diagonal=off_diagonal)
    own = barlow_twins(one[:, common:], other[:, common:], off_diagonal=off_diagonal, diagonal=0.0)
    within = [barlow_twins(*views, off_diagonal=off_diagonal) for views in (first, second)]
    return (within[0] + within[1] + (shared + own) / 2) / 3


def invariance(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference: VICReg's first term."""
    return F.mse_loss(one, other)


def variance_hinge(features: Tensor) -> Tensor:
    """Mean over features of max(0, 1 - sqrt(var + eps)): VICReg's second term, of one view.

    Args:
        features: (N, D), N >= 2; the variance is unbiased.
    """
    return F.relu(1 - (features.var(dim=0) + VICREG_EPS).sqrt()).mean()


def covariance(features: Tensor) -> Tensor:
    """Sum of squared covariances of unlike features over D: VICReg's third term, of one view."""
    count, width = features.shape
    centred = features - features.mean(dim=0)
    matrix = centred.T @ centred / (count - 1)
    rest = matrix.square().sum() - torch.diagonal(matrix).square().sum()
    return rest / width


def vicreg(
    one: Tensor, other: Tensor, *, invariant: float = 25, variant: float = 25, unlike: float = 1
) -> Tensor:
    """The three terms, weighted; the variance term is the mean of both views', the third the sum.

    Bardes et al. 2022, eq. 6, and the authors' code where it differs.

    Args:
        one, other: (N, D) two views, N >= 2.

    Raises: ValueError: shapes differ, or N < 2.
    """
    if one.shape != other.shape or len(one) < 2:
        raise ValueError(f"shapes {tuple(one.shape)} and {tuple(other.shape)}: both (N, D), N > 1")
    spread = (variance_hinge(one) + variance_hinge(other)) / 2
    return (
        invariant * invariance(one, other)
        + variant * spread
        + unlike * (covariance(one) + covariance(other))
    )


@torch.no_grad()
def sinkhorn(scores: Tensor, *, eps: float = SINKHORN_EPS, rounds: int = SINKHORN_ROUNDS) -> Tensor:
    """Assignments (N, K) of samples to prototypes, equally many to each; rows sum to 1.

    SwAV (Caron et al. 2020, eq. 3; alg. 1). No gradient.

    Args:
        scores: (N, K) cosines to the prototypes.
        eps: how soft the assignment is, > 0.
        rounds: of normalising prototypes, then samples.
    """
    # Subtracting the largest changes no share and keeps exp finite.
    shares = ((scores - scores.max()) / eps).exp().T
    shares = shares / shares.sum()
    prototypes, samples = shares.shape
    for _ in range(rounds):
        shares = shares / shares.sum(dim=1, keepdim=True) / prototypes
        shares = shares / shares.sum(dim=0, keepdim=True) / samples
    return (shares * samples).T


def swapped_prediction(
    crops: list[Tensor], prototypes: Tensor, *, assigned: int = 2, temperature: float = 0.1
) -> Tensor:
    """Mean over assigned crops and the others of -q log softmax of the other's scores / tau.

    SwAV (Caron et al. 2020, eq. 1-2; multi-crop eq. 6).

    Args:
        crops: features (N, D) of each crop, the large ones first.
        prototypes: (K, D), normalised here.
        assigned: how many of the first crops get assignments.
        temperature: tau, > 0.

    Raises: ValueError: there is no other crop to predict from.
    """
    if len(crops) < 2 or not 1 <= assigned <= len(crops):
        raise ValueError(f"{len(crops)} crops, {assigned} assigned: another is needed to predict")
    directions = F.normalize(prototypes, dim=1)
    scores = [F.normalize(crop, dim=1) @ directions.T for crop in crops]
    losses = []
    for number in range(assigned):
        target = sinkhorn(scores[number].detach())
        others = [
            -(target * F.log_softmax(score / temperature, dim=1)).sum(1).mean()
            for k, score in enumerate(scores)
            if k != number
        ]
        losses.append(torch.stack(others).mean())
    return torch.stack(losses).mean()


def _standardised(features: Tensor) -> Tensor:
    """Zero mean and unit variance over the batch, as batch norm without its parameters does."""
    variance, mean = torch.var_mean(features, dim=0, correction=0)
    return (features - mean) / (variance + BATCH_NORM_EPS).sqrt()
