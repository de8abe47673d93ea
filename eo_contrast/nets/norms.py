"""Instance norm that is right in every memory layout, with statistics that can be fixed.

``torch.nn.functional.instance_norm`` on CPU at batch 1 returns a wrong input gradient
whenever the incoming gradient is channels-last, without a warning. Patch sampling and
residual sums make such gradients, so no net here uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Statistics = dict[str, Tensor]
"""Per norm, by module name: shape (2, channels), mean and biased variance."""


class InstanceNorm(nn.Module):
    """y = (x - mean) / sqrt(variance + eps), per image and channel, biased variance.

    Input and output (batch, channels, height, width), any float dtype, any layout. There
    are no affine parameters and no running statistics (Ulyanov et al. 2016, eq. 1).

    With ``fixed`` set, shape (2, channels), those statistics are used in place of the
    image's own: the net then treats every tile of a scene alike.
    """

    fixed: Tensor | None

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.register_buffer("fixed", None, persistent=False)
        self._pool_over_batch = False

    def forward(self, x: Tensor) -> Tensor:
        if self._pool_over_batch:
            variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
            self.fixed = torch.stack((mean, variance))
        if self.fixed is not None:
            return self._normalise_by(self.fixed, x)
        return instance_norm(x, self.eps)

    def rectified(self, x: Tensor) -> Tensor:
        """relu of :meth:`forward`, keeping one map for the backward pass where two would be."""
        if self._pool_over_batch or self.fixed is not None or not x.is_contiguous():
            return F.relu(self(x))
        y: Tensor = _RectifiedInstanceNorm.apply(x, self.eps)
        return y

    def _normalise_by(self, statistics: Tensor, x: Tensor) -> Tensor:
        mean, variance = statistics.to(x.dtype)[:, None, :, None, None].unbind()
        return (x - mean) * torch.rsqrt(variance + self.eps)


def instance_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise each image and channel over its pixels.

    Args:
        x: (batch, channels, height, width).
        eps: added to the biased variance.

    Group norm with one channel a group is the same formula, and its gradient is right for
    every layout. Its channels-last kernel however computes the variance in one pass, which
    loses digits when the mean is large; there the two-pass formula is written out.
    """
    if x.is_contiguous() or x.shape[1] == 1:
        return F.group_norm(x, x.shape[1], eps=eps)
    wide = x if x.dtype == torch.float64 else x.float()
    variance, mean = torch.var_mean(wide, dim=(2, 3), correction=0, keepdim=True)
    return ((wide - mean) * torch.rsqrt(variance + eps)).to(x.dtype)


class _RectifiedInstanceNorm(torch.autograd.Function):
    """relu(instance_norm(x)) that remembers x alone.

    The result is positive exactly where x lies above its channel's mean, so the rectifier's
    own map, which the library keeps beside the norm's input, can be dropped: a third of what
    a residual block holds.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        batch, channels, height, width = x.shape
        y, mean, inverse = torch.native_group_norm(
            x, None, None, batch, channels, height * width, channels, eps
        )
        ctx.save_for_backward(x, mean, inverse)
        return y.relu_()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Gradient of ``x``, whose rectifier is read off ``x`` and its mean."""
        x, mean, inverse = ctx.saved_tensors
        batch, channels, height, width = x.shape
        # Above zero exactly where x > mean; a mask and its fill take several times as long.
        centred = (x - mean.view(batch, channels, 1, 1)).to(gradient.dtype)
        passed = torch.ops.aten.threshold_backward(gradient.contiguous(), centred, 0)
        of_x, _, _ = torch.ops.aten.native_group_norm_backward(
            passed, x, mean, inverse, None, batch, channels, height * width, channels,
            [True, False, False],
        )  # fmt: skip
        return of_x, None


def collect_statistics(net: nn.Module, tiles: Tensor) -> Statistics:
    """Statistics of a scene from tiles that represent it, run as one batch.

    Each norm pools over all tiles and normalises by the pool at once, so that a deeper
    norm sees its input as it will be when the statistics are fixed.

    Args:
        net: any module with :class:`InstanceNorm` inside; left as it was.
        tiles: (tiles, bands, height, width), what the net takes.

    Returns: per norm, by name, (2, channels) float32: mean and biased variance.
    """
    norms = _norms_of(net)
    before = {name: norm.fixed for name, norm in norms.items()}
    try:
        for norm in norms.values():
            norm.fixed = None
            norm._pool_over_batch = True
        with torch.no_grad():
            net(tiles)
        return {name: norm.fixed.clone() for name, norm in norms.items() if norm.fixed is not None}
    finally:
        for name, norm in norms.items():
            norm._pool_over_batch = False
            norm.fixed = before[name]


def fix_statistics(net: nn.Module, statistics: Mapping[str, Tensor] | None) -> None:
    """Make every norm use ``statistics``; ``None`` makes them look at each image again.

    Raises:
        ValueError: a norm of the net is not named in ``statistics``.
    """
    for name, norm in _norms_of(net).items():
        if statistics is None:
            norm.fixed = None
        elif name in statistics:
            norm.fixed = statistics[name]
        else:
            raise ValueError(f"no statistics for the norm {name!r}")


@contextmanager
def fixed_statistics(net: nn.Module, statistics: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the block, ``net`` normalises by ``statistics``."""
    fix_statistics(net, statistics)
    try:
        yield
    finally:
        fix_statistics(net, None)


def _norms_of(net: nn.Module) -> dict[str, InstanceNorm]:
    return {name: norm for name, norm in net.named_modules() if isinstance(norm, InstanceNorm)}
