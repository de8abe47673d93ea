"""PatchNCE: a patch of the translation must point at its own place in the source.

Park et al. 2020 (CUT), eq. 2-3. The weighting of each row's log-probability is a choice:
cross entropy, or the focal weighting of Lin et al. 2017 as Spiegl 2021 puts it to use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.config import Config

TEMPERATURE = 0.07


class WeightingConfig(Config):
    """How each patch's log-probability enters the loss."""

    kind: Literal["ce", "focal"] = Field("ce", description="cross entropy, or focal")
    scale: float = Field(1.0, gt=0, description="factor on cross entropy: 0.25 is focal's control")
    gamma: float = Field(2.0, ge=0, description="focal: how fast easy patches fade")
    alpha: float = Field(0.25, gt=0, description="focal: constant factor")
    through_modulation: bool = Field(
        False, description="focal: gradient also through (1-p)^gamma; the thesis stops it"
    )


def log_probability_of_positive(
    query: Tensor, key: Tensor, *, temperature: float = TEMPERATURE, whole_batch: bool = False
) -> Tensor:
    """log softmax of each query's similarities, at its own key.

    Args:
        query: (B, S, D) unit vectors of the translation, with a graph.
        key: (B, S, D) unit vectors of the source at the same places; no gradient goes there.
        temperature: tau, > 0.
        whole_batch: negatives from all images, not only from the query's own.

    Returns: (B, S), <= 0; about -ln S for features that say nothing. float32 at least.
    """
    shape = query.shape[:2]
    wide = torch.promote_types(query.dtype, torch.float32)
    query, key = query.to(wide), key.detach().to(wide)
    if whole_batch:
        query, key = query.flatten(0, 1)[None], key.flatten(0, 1)[None]
    # bfloat16 cosines near 1 are 0.004 apart, 0.06 after the division by tau.
    with torch.autocast(query.device.type, enabled=False):
        logits = torch.bmm(query, key.transpose(1, 2)) / temperature
        positive = torch.diagonal(F.log_softmax(logits, dim=2), dim1=1, dim2=2)
    return positive.reshape(shape)


def cross_entropy(log_p: Tensor) -> Tensor:
    """-log p: CUT, eq. 2."""
    return -log_p


def focal(
    log_p: Tensor, *, gamma: float = 2.0, alpha: float = 0.25, through_modulation: bool = False
) -> Tensor:
    """-alpha (1 - p)^gamma log p: Spiegl 2021, eq. 5.2.

    Args:
        log_p: log-probability of the positive, any shape, <= 0.
        gamma: 0 gives alpha times cross entropy.
        alpha: the target is always the positive, so this is a constant factor.
        through_modulation: the true derivative. By default (1 - p)^gamma is a weight
            without gradient, as the thesis trains.

    Returns: like ``log_p``, >= 0.
    """
    weight = -torch.expm1(log_p)
    if not through_modulation:
        weight = weight.detach()
    return -alpha * weight.clamp_min(0).pow(gamma) * log_p


def weighting(config: WeightingConfig) -> Callable[[Tensor], Tensor]:
    """The function from log-probabilities to losses that ``config`` chooses."""
    if config.kind == "ce":
        return lambda log_p: config.scale * cross_entropy(log_p)
    return lambda log_p: focal(
        log_p,
        gamma=config.gamma,
        alpha=config.alpha,
        through_modulation=config.through_modulation,
    )
