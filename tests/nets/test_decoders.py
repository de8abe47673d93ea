"""Decoders: logits at the image's side, of any pyramid and any side."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.nets.decoders import DECODERS, LinearMaps
from eo_contrast.nets.encoders import drawn_from

FIVE = {2: 8, 4: 8, 8: 16, 16: 24, 32: 32}
FOUR = {4: 8, 8: 16, 16: 24, 32: 32}


def pyramid(channels: dict[int, int], side: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, count, -(-side // stride), -(-side // stride), generator=generator)
        for stride, count in channels.items()
    ]


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("channels", [FIVE, FOUR], ids=["from a half", "from a quarter"])
@pytest.mark.parametrize("side", [32, 40, 64, 120])
def test_every_pixel_has_a_number_for_each_class(kind, channels, side):
    decode = DECODERS[kind](list(channels.values()), 32, 3)
    assert decode(pyramid(channels, side), side).shape == (2, 3, side, side)


@pytest.mark.parametrize("kind", DECODERS)
def test_every_map_from_a_quarter_on_is_used(kind):
    decode = DECODERS[kind](list(FOUR.values()), 32, 3).eval()
    maps = [each.requires_grad_() for each in pyramid(FOUR, 64)]
    decode(maps, 64).square().sum().backward()
    used = [each.grad is not None and each.grad.abs().sum() > 0 for each in maps]
    # DeepLabV3+ takes the coarsest and the finest.
    assert used == ([True, False, False, True] if kind == "deeplabv3plus" else [True] * 4)


@pytest.mark.parametrize("kind", DECODERS)
def test_classes_can_be_learnt_through_it(kind):
    """Which half of the picture is bright, told from maps that say it."""
    with drawn_from(0):
        decode = DECODERS[kind](list(FOUR.values()), 32, 2)
    maps = pyramid(FOUR, 64)
    for each in maps:
        each[..., : each.shape[-1] // 2] += 2
    classes = torch.zeros(2, 64, 64, dtype=torch.long)
    classes[..., :32] = 1
    optimizer = torch.optim.Adam(decode.parameters(), lr=0.01)
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(decode(maps, 64), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (decode(maps, 64).argmax(1) == classes).float().mean()
    assert right > 0.85


def test_the_linear_layer_on_maps_is_linear():
    decode = LinearMaps(list(FOUR.values()), 3).eval()
    maps = pyramid(FOUR, 32)
    nothing = decode([torch.zeros_like(each) for each in maps], 32)
    once, twice = decode(maps, 32), decode([2 * each for each in maps], 32)
    torch.testing.assert_close(twice - nothing, 2 * (once - nothing), rtol=1e-4, atol=1e-4)
