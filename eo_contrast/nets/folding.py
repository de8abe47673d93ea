"""A generator made ready for one scene: its norms folded into its convolutions.

With fixed statistics an instance norm is a scale and a shift per channel, and so are weights
and bias of the convolution before it; one can be made of both. For inference: there is no
training a net without norms.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from eo_contrast.nets.generator import PaletteMixture, ResidualBlock, ResnetGenerator
from eo_contrast.nets.norms import InstanceNorm
from eo_contrast.nets.padding import ReflectionPad
from eo_contrast.nets.resampling import BlurUp

Convolution = nn.Conv2d | nn.ConvTranspose2d


class FoldedBlock(nn.Module):
    """x + conv(pad(relu(conv(pad(x))))): a residual block whose norms are in its convolutions."""

    def __init__(self, conv1: nn.Conv2d, conv2: nn.Conv2d) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1 = conv1
        self.conv2 = conv2

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(self.pad(x)).relu_()
        residual: Tensor = self.conv2(self.pad(inner))
        return residual.add_(x)


class WideTanh(nn.Module):
    """tanh in float32 or better, in place where that is the input's own type."""

    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.promote_types(x.dtype, torch.float32)).tanh_()


class SteadyMixture(nn.Module):
    """:class:`PaletteMixture`, in which no pixel's bits depend on its place in the batch.

    The library's softmax over planes computes them 16 pixels at a time and what is left at
    the end of a thread's share by another formula. Over values side by side there is no rest.
    """

    colours: Tensor

    def __init__(self, colours: Tensor) -> None:
        super().__init__()
        self.register_buffer("colours", colours)

    def forward(self, scores: Tensor) -> Tensor:
        wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
        shares = wide.permute(0, 2, 3, 1).contiguous().softmax(dim=-1)
        mixed = shares @ self.colours.to(shares.dtype)
        return mixed.permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def folded(net: ResnetGenerator, statistics: Mapping[str, Tensor]) -> nn.Sequential:
    """``net`` under fixed ``statistics``, as a net without norms that gives the same.

    The same up to rounding: the products are those of the net, scaled before they are added
    and not after.

    Args:
        net: left as it was, the statistics that its norms are fixed to included.
        statistics: of a scene, by the norms' names, as ``collect_statistics`` gives them.

    Returns: stages by the names they have in ``net``; weights need no gradient; takes and
        gives what ``net`` does, except that what is narrower than float32 comes out as that.
    Raises:
        ValueError: a norm of the net is not named in ``statistics``.
    """
    copy = deepcopy(net).requires_grad_(False)
    for convolution, norm, name in _pairs(copy):
        if name not in statistics:
            raise ValueError(f"no statistics for the norm {name!r}")
        _fold(convolution, statistics[name], norm.eps)
    stages = {name: _without_norms(stage) for name, stage in copy.named_children()}
    return nn.Sequential(OrderedDict(stages))


def _pairs(net: ResnetGenerator) -> list[tuple[Convolution, InstanceNorm, str]]:
    """Each convolution that a norm follows, that norm and the norm's name."""
    modules = dict(net.named_modules())
    return [
        (cast(Convolution, modules[name.replace("norm", "conv")]), norm, name)
        for name, norm in modules.items()
        if isinstance(norm, InstanceNorm)
    ]


def _fold(convolution: Convolution, statistics: Tensor, eps: float) -> None:
    """Make ``convolution(x)`` what ``norm(convolution(x))`` was."""
    # On the CPU: not every device computes in float64.
    mean, variance = statistics.cpu().double()
    scale = torch.rsqrt(variance + eps)
    # A transposed convolution counts its outputs along the second axis.
    shape = (1, -1, 1, 1) if isinstance(convolution, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    bias = cast(Tensor, convolution.bias)
    convolution.weight.copy_(convolution.weight.cpu().double() * scale.view(shape))
    bias.copy_((bias.cpu().double() - mean) * scale)


def _without_norms(stage: nn.Module) -> nn.Module:
    if isinstance(stage, ResidualBlock):
        return FoldedBlock(stage.conv1, stage.conv2)
    kept = {
        name: _for_inference(element)
        for name, element in stage.named_children()
        if not isinstance(element, InstanceNorm)
    }
    return nn.Sequential(OrderedDict(kept))


def _for_inference(element: nn.Module) -> nn.Module:
    """The same function, by the kernel that is best where no gradient is asked for."""
    if isinstance(element, nn.Conv2d):
        return _plain(element)
    if isinstance(element, ReflectionPad):
        return nn.ReflectionPad2d(element.width)
    if isinstance(element, BlurUp):
        # Its kernel's outer([1,3,3,1])/16 are the weights of bilinear interpolation, and its
        # repeated edge what that does at the border. Measured on CPU: as fast in float32, a
        # fifth of the time in bfloat16, for which there is no kernel of transposed depthwise
        # convolution.
        return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    if isinstance(element, PaletteMixture):
        return SteadyMixture(element.colours)
    if isinstance(element, nn.ReLU):
        return nn.ReLU(inplace=True)
    return WideTanh() if isinstance(element, nn.Tanh) else element


def _plain(convolution: nn.Conv2d) -> nn.Conv2d:
    """The library's own convolution: by columns (few_bands.py) nothing was gained here.

    Measured for a whole net: in channels-last float32 as fast, in bfloat16 slower.
    """
    if type(convolution) is nn.Conv2d:
        return convolution
    inside, outside = convolution.in_channels, convolution.out_channels
    with torch.device("meta"):
        plain = nn.Conv2d(inside, outside, cast(tuple[int, int], convolution.kernel_size))
    plain.weight, plain.bias = convolution.weight, convolution.bias
    return plain
