"""What fine-tuning makes small: losses of places and of pixels, as configured."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.landcover.config import LossConfig
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.mixing import Mixing
from eo_contrast.objectives.segmentation import (
    binary_focal_loss,
    dice_loss,
    dice_sums,
    focal_sums,
    shared_focal_sums,
)
from eo_contrast.training.gather import gathered


def place_loss(
    logits: Tensor,
    targets: Tensor,
    config: LossConfig,
    weights: Tensor | None = None,
    mixing: Mixing | None = None,
) -> Tensor:
    """Cross entropy or focal loss: of one class a place, or of each of several classes by itself.

    Args:
        logits: (N, C).
        targets: (N,) whole numbers, or (N, C) of 0 and 1.
        weights: (C,) of the classes.
        mixing: what was done to the images.

    Returns: this process's part, such that the mean over processes is that of one with all.
    """
    if targets.ndim == 2:
        loss = binary_focal_loss(logits.float(), targets, gamma=config.focal, weights=weights)
    elif config.smoothing or mixing is not None:
        shares = _shares(targets, logits.shape[1], config, weights, mixing)
        loss = _part_of_mean(*shared_focal_sums(logits.float(), shares, gamma=config.focal))
    else:
        sums = focal_sums(logits.float(), targets, gamma=config.focal, weights=weights)
        loss = _part_of_mean(*sums)
    return config.cross_entropy * loss


def _shares(
    targets: Tensor, classes: int, config: LossConfig, weights: Tensor | None, mixing: Mixing | None
) -> Tensor:
    """(N, C), how much each class counts for a sample."""
    shares = F.one_hot(targets, classes).float()
    shares = shares if mixing is None else mixing.shares(shares)
    # A sample weighs as its own classes do, before some of it goes to all: a rare class's weight
    # on what the common ones' labels give it would teach it everywhere.
    shares = shares if weights is None else shares * weights
    whole = shares.sum(1, keepdim=True)
    return (1 - config.smoothing) * shares + config.smoothing / classes * whole


def pixel_loss(
    logits: Tensor, classes: Tensor, config: LossConfig, weights: Tensor | None = None
) -> Tensor:
    """Cross entropy or focal loss, and dice, over the labelled pixels of all processes together.

    Args:
        logits: (N, C, H, W).
        classes: int64 (N, H, W), ``IGNORED`` where a pixel does not count.
        weights: (C,) of the classes.

    Returns: this process's part, such that the mean over processes is that of one with all.
    """
    values = logits.float()
    loss = values.new_zeros(())
    if config.cross_entropy:
        sums = focal_sums(values, classes, gamma=config.focal, weights=weights, ignore=IGNORED)
        loss = loss + config.cross_entropy * _part_of_mean(*sums)
    if config.dice:
        own = dice_sums(values, classes, ignore=IGNORED)
        loss = loss + config.dice * dice_loss(gathered(own[None]).sum(0))
    return loss


def _part_of_mean(total: Tensor, weight: Tensor) -> Tensor:
    """A process's sum over the mean weight of all."""
    of_all = gathered(weight[None].detach())
    return total * len(of_all) / of_all.sum().clamp_min(torch.finfo(total.dtype).tiny)
