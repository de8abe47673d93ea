"""Padding that forgets its input: its gradient depends on the shape alone.

The library's padding keeps its input until the backward pass. Around every convolution of a
residual generator that is a second copy of each map, a quarter of a training step's memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def reflect(x: Tensor, width: int) -> Tensor:
    """(B, C, H, W) -> (B, C, H + 2 width, W + 2 width), mirrored without repeating the edge.

    Args:
        width: pixels on each side, less than H and W; 0 returns x.
    """
    if width == 0:
        return x
    padded: Tensor = _Mirrored.apply(x, width)
    return padded


def replicate(x: Tensor, width: int) -> Tensor:
    """(B, C, H, W) -> (B, C, H + 2 width, W + 2 width), the edge repeated."""
    padded: Tensor = _Replicated.apply(x, width)
    return padded


class ReflectionPad(nn.Module):
    """:func:`reflect` as a layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return reflect(x, self.width)


class _Mirrored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int) -> Tensor:
        ctx.width = width
        padded: Tensor = torch.ops.aten.reflection_pad2d(x, [width] * 4)
        return padded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # One copy of the middle, then thin strips: the library's own kernel, which scatters
        # every value, takes three times as long.
        width = ctx.width
        middle = _folded(gradient[..., width:-width], width)
        left = _folded(gradient[..., :width], width)
        right = _folded(gradient[..., -width:], width)
        middle[..., 1 : width + 1] += left.flip(3)
        middle[..., -width - 1 : -1] += right.flip(3)
        return middle, None


class _Replicated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int) -> Tensor:
        ctx.shape, ctx.sides = x.shape, [width] * 4
        padded: Tensor = torch.ops.aten.replication_pad2d(x, ctx.sides)
        return padded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Stands for the input, of which only the shape is read.
        shape_only = gradient.new_empty(1).expand(ctx.shape)
        return torch.ops.aten.replication_pad2d_backward(gradient, shape_only, ctx.sides), None


def _folded(gradient: Tensor, width: int) -> Tensor:
    """Rows that mirror others, at both ends, added to those that they mirror."""
    middle = gradient[:, :, width:-width].clone()
    middle[:, :, 1 : width + 1] += gradient[:, :, :width].flip(2)
    middle[:, :, -width - 1 : -1] += gradient[:, :, -width:].flip(2)
    return middle
