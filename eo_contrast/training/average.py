"""A moving average of a net's weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(averaged: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """averaged <- d averaged + (1 - d) net, of parameters and running statistics alike.

    d is min(decay, (1 + step) / (10 + step)): early on the average is of few steps, or it would
    be of the first weights for long (as TensorFlow's ExponentialMovingAverage with num_updates).

    Args:
        decay: 0..1.
        step: how many were done before this one, from 0.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for mean, now in zip(averaged.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)
