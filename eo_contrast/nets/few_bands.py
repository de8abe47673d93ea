"""Convolutions to few bands, and from few, that keep a CPU's vector units busy.

The library's CPU kernels compute 16 output channels at once, whether 16 or 3 are wanted: the
first and last layer of a generator run at a sixth of the speed of the others. Here the kernel
is taken apart into its columns: the sum over each column is a channel of its own, so that three
bands and a kernel of 7 make 21 channels, and seven shifted channels add up to a band. The
products are the same, added in another order.

Measured, this gains for up to four bands in full precision. For more, under autocast (whose
bfloat16 kernels have matrix units of their own), for images that lie channels-last, and elsewhere
than on a CPU, the library's kernels run.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW = 4


class ConvToFew(nn.Conv2d):
    """A square convolution, without padding or stride, whose output has few channels."""

    bias: Tensor

    def __init__(self, channels: int, bands: int, kernel: int) -> None:
        super().__init__(channels, bands, kernel)

    def forward(self, input: Tensor) -> Tensor:
        if not _gains(input, self.out_channels):
            return super().forward(input)
        bands, channels, rows, columns = self.weight.shape
        by_column = self.weight.permute(0, 3, 1, 2).reshape(bands * columns, channels, rows, 1)
        sums: Tensor = _SumOfShifted.apply(F.conv2d(input, by_column), columns)
        return sums + self.bias.view(-1, 1, 1)


class ConvFromFew(nn.Conv2d):
    """A square convolution, without padding or stride, whose input has few channels.

    Only the input's gradient is slow, and only that is taken apart.
    """

    bias: Tensor

    def __init__(self, bands: int, channels: int, kernel: int) -> None:
        super().__init__(bands, channels, kernel)

    def forward(self, input: Tensor) -> Tensor:
        if not _gains(input, self.in_channels):
            return super().forward(input)
        output: Tensor = _ConvFromFew.apply(input, self.weight, self.bias)
        return output


def _gains(x: Tensor, bands: int) -> bool:
    full_precision = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return bands <= FEW and full_precision and x.is_contiguous()


class _SumOfShifted(torch.autograd.Function):
    """(B, bands * shifts, H, W) to (B, bands, H, W - shifts + 1): part i moved by i columns."""

    @staticmethod
    def forward(ctx: Any, parts: Tensor, shifts: int) -> Tensor:
        batch, channels, height, width = parts.shape
        ctx.split = (batch, channels // shifts, shifts, height, width)
        split = parts.reshape(ctx.split)
        kept = width - shifts + 1
        total = split[:, :, 0, :, :kept].clone()
        for shift in range(1, shifts):
            total += split[:, :, shift, :, shift : shift + kept]
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        kept = gradient.shape[3]
        split = gradient.new_zeros(ctx.split)
        for shift in range(ctx.split[2]):
            split[:, :, shift, :, shift : shift + kept] = gradient
        return split.flatten(1, 2), None


class _ConvFromFew(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        gradient = gradient.contiguous()
        x, weight = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad)
        _, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient, x, weight, [len(weight)], [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
            [False, *wanted[1:]],
        )  # fmt: skip
        return _of_input(gradient, weight) if wanted[0] else None, of_weight, of_bias


def _of_input(gradient: Tensor, weight: Tensor) -> Tensor:
    """Gradient of a convolution's input, (B, bands, H + k - 1, W + k - 1)."""
    channels, bands, rows, columns = weight.shape
    by_column = weight.permute(0, 1, 3, 2).reshape(channels, bands * columns, rows, 1)
    parts = F.conv_transpose2d(gradient, by_column)
    batch, _, height, width = parts.shape
    split = parts.view(batch, bands, columns, height, width)
    of_input = gradient.new_zeros(batch, bands, height, width + columns - 1)
    for shift in range(columns):
        of_input[..., shift : shift + width] += split[:, :, shift]
    return of_input
