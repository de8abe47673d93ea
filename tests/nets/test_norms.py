"""Instance norm is right where the library's is silently wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.norms import (
    InstanceNorm,
    collect_statistics,
    fix_statistics,
    fixed_statistics,
    instance_norm,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def by_definition(x: Tensor, cotangent: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Value and input gradient, each image and channel by itself, from the formulas."""
    value, gradient = torch.empty_like(x), torch.empty_like(x)
    for image in range(x.shape[0]):
        for channel in range(x.shape[1]):
            plane, upstream = x[image, channel], cotangent[image, channel]
            centred = plane - plane.mean()
            inverse = 1 / torch.sqrt((centred**2).mean() + eps)
            y = centred * inverse
            value[image, channel] = y
            slope = upstream - upstream.mean() - y * (upstream * y).mean()
            gradient[image, channel] = inverse * slope
    return value, gradient


def tensor(batch: int, channels: int, layout: str, device: str, seed: int) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, 6, 5, generator=draws, dtype=torch.float64) + 3
    return x.to(device).contiguous(memory_format=LAYOUTS[layout])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gradient_layout", LAYOUTS)
@pytest.mark.parametrize("input_layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 2, 16])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_value_and_gradient_are_exact_in_every_layout(
    batch, channels, input_layout, gradient_layout, device
):
    x = tensor(batch, channels, input_layout, device, seed=1).requires_grad_(True)
    cotangent = tensor(batch, channels, gradient_layout, device, seed=2)
    value, gradient = by_definition(x.detach(), cotangent)
    output = instance_norm(x)
    output.backward(cotangent)
    torch.testing.assert_close(output.detach(), value, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(x.grad, gradient, rtol=1e-10, atol=1e-10)


def test_gradient_check_by_finite_differences_with_a_channels_last_gradient():
    x = tensor(1, 3, "contiguous", "cpu", seed=3).requires_grad_(True)

    def channels_last_consumer(x: Tensor) -> Tensor:
        return instance_norm(x).permute(0, 2, 3, 1).contiguous().square()

    assert torch.autograd.gradcheck(channels_last_consumer, (x,))


@pytest.mark.parametrize("gradient_layout", LAYOUTS)
@pytest.mark.parametrize("input_layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2])
def test_the_rectified_norm_is_relu_after_norm_in_value_and_gradient(
    batch, input_layout, gradient_layout
):
    cotangent = tensor(batch, 4, gradient_layout, "cpu", seed=6)
    x, plain = (
        tensor(batch, 4, input_layout, "cpu", seed=5).requires_grad_(True) for _ in range(2)
    )
    norm = InstanceNorm(4)
    together, apart = norm.rectified(x), torch.relu(norm(plain))
    together.backward(cotangent)
    apart.backward(cotangent)
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.grad, plain.grad, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradcheck(norm.rectified, (x,))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_large_mean_does_not_cost_digits_in_float32(layout):
    x = tensor(1, 8, layout, "cpu", seed=4) + 1000
    wide = instance_norm(x)
    narrow = instance_norm(x.float())
    assert (narrow.double() - wide).abs().max() < 2e-3


def test_fixed_statistics_make_a_pixel_independent_of_its_tile():
    net = ResnetGenerator(GeneratorConfig(width=4, blocks=1)).double()
    scene = torch.rand(1, 3, 64, 96, dtype=torch.float64) * 2 - 1
    statistics = collect_statistics(net, scene)
    with fixed_statistics(net, statistics), torch.no_grad():
        whole = net(scene)
        part = net(scene[..., 32:])
    radius = 36
    torch.testing.assert_close(whole[..., 32 + radius :], part[..., radius:])
    with torch.no_grad():
        alone = net(scene[..., 32:])
    assert (alone - part).abs().max() > 1e-3


def test_statistics_of_one_image_reproduce_its_own_normalisation():
    net = ResnetGenerator(GeneratorConfig(width=4, blocks=2))
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        own = net(image)
        with fixed_statistics(net, collect_statistics(net, image)):
            fixed = net(image)
    torch.testing.assert_close(own, fixed, rtol=1e-4, atol=1e-5)


def test_pooled_statistics_are_those_of_all_tiles_together():
    norm = nn.Sequential(InstanceNorm(2))
    tiles = torch.stack([torch.full((2, 4, 4), 1.0), torch.full((2, 4, 4), 5.0)])
    pooled = collect_statistics(norm, tiles)["0"]
    torch.testing.assert_close(pooled, torch.tensor([[3.0, 3.0], [4.0, 4.0]]))


def test_missing_statistics_are_refused_by_name():
    net = nn.Sequential(InstanceNorm(2))
    with pytest.raises(ValueError, match="'0'"):
        fix_statistics(net, {})
