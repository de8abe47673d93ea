"""Losses of classes: cross entropy and focal loss with class weights, and the dice loss.

Each comes as sums, so that processes that share a batch add theirs before they divide.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def focal_sums(
    logits: Tensor,
    classes: Tensor,
    *,
    gamma: float = 0.0,
    weights: Tensor | None = None,
    ignore: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Sum of -w (1 - p)^gamma log p of the true classes, and the sum of w that divides it.

    Lin et al. 2017, eq. 5 with a weight for each class as alpha; gamma = 0 is cross entropy, and
    the quotient its weighted mean.

    Args:
        logits: (N, C) or (N, C, ...).
        classes: int64 (N,) or (N, ...), 0 to C - 1, or ``ignore``.
        gamma: how much less counts what is told well, >= 0.
        weights: (C,) >= 0; None: 1 for each.
        ignore: class of what does not count.

    Returns: two numbers, both 0 where nothing counts.
    """
    counts = torch.ones_like(classes, dtype=torch.bool) if ignore is None else classes != ignore
    known = classes.masked_fill(~counts, 0)
    log_true = F.log_softmax(logits, dim=1).gather(1, known[:, None]).squeeze(1)
    each = _focal(log_true, gamma)
    weight = counts.to(logits.dtype) if weights is None else weights[known] * counts
    return (each * weight).sum(), weight.sum()


def shared_focal_sums(
    logits: Tensor, shares: Tensor, *, gamma: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Sum of -q (1 - p)^gamma log p over samples and classes, and that of q that divides it.

    As :func:`focal_sums` where several classes have a part in a sample: labels that are smoothed
    (Szegedy et al. 2016, section 7) or mixed. With gamma = 0 the cross entropy of q and p.

    Args:
        logits: (N, C).
        shares: q, (N, C) >= 0; a row of 0 and one w is a plain label of weight w.
        gamma: how much less counts what is told well, >= 0.
    """
    return (_focal(F.log_softmax(logits, dim=1), gamma) * shares).sum(), shares.sum()


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    """-(1 - p)^gamma log p; its slope is finite at p = 1, too."""
    if gamma == 0:
        return -log_p
    least = torch.finfo(log_p.dtype).tiny
    return -((1 - log_p.exp()).clamp_min(least) ** gamma) * log_p


def binary_focal_loss(
    logits: Tensor, present: Tensor, *, gamma: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Mean of -w (1 - p)^gamma log p over places and classes, each class by itself.

    Lin et al. 2017, eq. 4; gamma = 0 is binary cross entropy.

    Args:
        logits: (N, C).
        present: (N, C) of 0 and 1.
        gamma: >= 0.
        weights: (C,) of where a class is present, >= 0; 1 where it is absent. None: 1 throughout.
    """
    log_true = F.logsigmoid(torch.where(present > 0, logits, -logits))
    each = _focal(log_true, gamma)
    return (each if weights is None else each * torch.where(present > 0, weights, 1.0)).mean()


def dice_sums(logits: Tensor, classes: Tensor, *, ignore: int | None = None) -> Tensor:
    """By class, over all pixels that count: of p where it is true, of p, and how often it is true.

    Args:
        logits: (N, C, ...).
        classes: int64 (N, ...), 0 to C - 1, or ``ignore``.
        ignore: class of what does not count.

    Returns: (3, C).
    """
    counts = torch.ones_like(classes, dtype=torch.bool) if ignore is None else classes != ignore
    shares = logits.softmax(dim=1).movedim(1, -1)[counts]
    true = F.one_hot(classes[counts], logits.shape[1]).to(shares.dtype)
    return torch.stack([(shares * true).sum(0), shares.sum(0), true.sum(0)])


def dice_loss(sums: Tensor) -> Tensor:
    """1 - 2 sum(p y) / (sum(p) + sum(y)), the mean over the classes that labels have; 0 to 1.

    Milletari et al. 2016, section 3, with plain sums below the line as most codes have them. A
    class that no label has is left out: nothing could be right about it.

    Args:
        sums: (3, C) of :func:`dice_sums`.

    Returns: 0 where nothing counts.
    """
    both, told, true = sums
    overlap = 2 * both / (told + true).clamp_min(torch.finfo(sums.dtype).tiny)
    there = true > 0
    loss: Tensor = ((1 - overlap) * there).sum() / there.sum().clamp_min(1)
    return loss
