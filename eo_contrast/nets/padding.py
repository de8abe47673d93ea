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
        width: pixels on each side, less than H and W.
    """
    padded: Tensor = _Padded.apply(x, width, "reflection_pad2d")
    return padded


def replicate(x: Tensor, width: int) -> Tensor:
    """(B, C, H, W) -> (B, C, H + 2 width, W + 2 width), the edge repeated."""
    padded: Tensor = _Padded.apply(x, width, "replication_pad2d")
    return padded


class ReflectionPad(nn.Module):
    """:func:`reflect` as a layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return reflect(x, self.width)


class _Padded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int, kind: str) -> Tensor:
        ctx.shape, ctx.sides, ctx.kind = x.shape, [width] * 4, kind
        padded: Tensor = getattr(torch.ops.aten, kind)(x, ctx.sides)
        return padded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        # Stands for the input, of which only the shape is read.
        shape_only = gradient.new_empty(1).expand(ctx.shape)
        of_pad = getattr(torch.ops.aten, f"{ctx.kind}_backward")
        return of_pad(gradient, shape_only, ctx.sides), None, None
