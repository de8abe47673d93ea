"""Antialiased down- and upsampling by a factor of two (Zhang 2019, 'Making convolutional
networks shift-invariant again'): fixed binomial filters, depthwise, no parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.nets.padding import reflect, replicate

BINOMIAL_3 = (1.0, 2.0, 1.0)
BINOMIAL_4 = (1.0, 3.0, 3.0, 1.0)


class BlurDown(nn.Module):
    """(B, C, H, W) -> (B, C, ceil(H/2), ceil(W/2)); reflect pad 1, outer([1,2,1])/16."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("kernel", _outer(BINOMIAL_3, channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        padded = reflect(x, 1)
        return F.conv2d(padded, self.kernel.to(x.dtype), stride=2, groups=self.channels)


class BlurUp(nn.Module):
    """(B, C, H, W) -> (B, C, 2H, 2W); replicate pad 1, outer([1,3,3,1])/16, transposed."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        # Zeros between the samples take three quarters of the brightness: hence the 4.
        self.register_buffer("kernel", 4 * _outer(BINOMIAL_4, channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        padded = replicate(x, 1)
        kernel = self.kernel.to(x.dtype)
        # A padding of 3 leaves out what belongs to the replicated edge; cropping it afterwards
        # would cost the gradient a map of zeros.
        return F.conv_transpose2d(padded, kernel, stride=2, padding=3, groups=self.channels)


def _outer(taps: tuple[float, ...], channels: int) -> Tensor:
    row = torch.tensor(taps, dtype=torch.float64)
    kernel = torch.outer(row, row) / row.sum() ** 2
    return kernel.to(torch.get_default_dtype()).repeat(channels, 1, 1, 1)
