"""Initial weights as published: normal, xavier or kaiming for weights, zero for biases."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Initialisation = Literal["normal", "xavier", "kaiming"]
GAIN = 0.02


def initialise(
    net: nn.Module, kind: Initialisation, *, generator: torch.Generator, gain: float = GAIN
) -> nn.Module:
    """Fill every convolution and linear layer of ``net`` in place and return it.

    Standard deviations: ``normal`` gain; ``xavier`` gain * sqrt(2 / (fan_in + fan_out));
    ``kaiming`` sqrt(2 / fan_in), which has no gain. Biases 0. Layers are filled in the
    order of their definition from ``generator``, so a seed gives one net.
    """
    for module in net.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            continue
        if kind == "normal":
            nn.init.normal_(module.weight, 0.0, gain, generator=generator)
        elif kind == "xavier":
            nn.init.xavier_normal_(module.weight, gain, generator=generator)
        else:
            nn.init.kaiming_normal_(module.weight, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return net
