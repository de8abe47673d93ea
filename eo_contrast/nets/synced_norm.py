"""Batch norm over the batch of all processes, on any device.

torch's own is for GPUs alone. Without it a process normalises over its share, and two processes
with half a batch each train another net than one with the whole.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

NetT = TypeVar("NetT", bound=nn.Module)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def synced(net: NetT) -> NetT:
    """The net with each of its batch norms over all processes; names and values stay.

    The net is changed in place. In one process, and in evaluation mode, nothing is different.
    """
    for module in net.modules():
        if isinstance(module, NORMS):
            # Not replaced: timm's subclasses have an activation inside, and names must stay.
            module.forward = _Synced(module).__call__  # type: ignore[method-assign, assignment]
    return net


class _Synced:
    """The forward of one norm."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        self._norm = norm
        self._alone = norm.forward

    def __call__(self, images: Tensor) -> Tensor:
        norm = self._norm
        together = distributed.is_available() and distributed.is_initialized()
        if not norm.training or not together or distributed.get_world_size() == 1:
            return self._alone(images)
        # Sums in bfloat16 would be off in the third digit; torch's own norm does not sum in it.
        wide = images.to(torch.promote_types(images.dtype, torch.float32))
        mean, variance, count = batch_statistics(wide)
        _count(norm, mean.detach(), variance.detach(), count)
        shape = (1, -1, *([1] * (images.ndim - 2)))
        scale = (variance + norm.eps).rsqrt()
        normalised = (wide - mean.view(shape)) * scale.view(shape)
        if norm.weight is not None:
            normalised = normalised * norm.weight.view(shape) + norm.bias.view(shape)
        normalised = normalised.to(images.dtype)
        rest = getattr(norm, "act", None)
        return normalised if rest is None else rest(normalised)


def batch_statistics(images: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and biased variance of each channel over all processes, and how many values each is of.

    Args:
        images: (n, C) or (n, C, H, W), as many on every process.
    """
    axes = [axis for axis in range(images.ndim) if axis != 1]
    count = images.numel() // images.shape[1] * distributed.get_world_size()
    mean = _sum_over_processes(images.sum(axes)) / count
    shape = (1, -1, *([1] * (images.ndim - 2)))
    variance = _sum_over_processes((images - mean.view(shape)).square().sum(axes)) / count
    return mean, variance, count


def _count(norm: nn.modules.batchnorm._BatchNorm, mean: Tensor, variance: Tensor, n: int) -> None:
    """Move the running statistics, as torch does: by the unbiased variance."""
    if norm.running_mean is None or norm.running_var is None:
        return
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    share = norm.momentum
    if share is None:
        share = 1.0 if norm.num_batches_tracked is None else 1 / float(norm.num_batches_tracked)
    with torch.no_grad():
        norm.running_mean.mul_(1 - share).add_(mean, alpha=share)
        norm.running_var.mul_(1 - share).add_(variance * (n / max(n - 1, 1)), alpha=share)


def _sum_over_processes(values: Tensor) -> Tensor:
    summed: Tensor = _Sum.apply(values)
    return summed


class _Sum(torch.autograd.Function):
    """all_reduce with a gradient: the sum of all processes'."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        whole = values.clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous().clone()
        distributed.all_reduce(whole)
        return whole
