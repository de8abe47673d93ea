"""Trunks take any number of bands, are a function of their seed, and give maps on the way."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import Encoder, EncoderConfig, EncoderName, build_encoder

SIDE = 64
WIDTHS: dict[EncoderName, int] = {
    "resnet18": 512,
    "resnet50": 2048,
    "swin_tiny": 768,
    "vit_small": 384,
    "convnext_tiny": 768,
}


ALL = torch.arange(64).expand(2, -1)
"""Numbers of the patches of two images of 8 x 8."""


def built(name: EncoderName = "resnet18", bands: int = 2, *, seed: int = 0, **more: Any) -> Encoder:
    return build_encoder(EncoderConfig(name=name, size=SIDE, **more), bands, seed=seed).eval()


def images(bands: int, *, side: int = SIDE, count: int = 2) -> Tensor:
    return torch.randn(count, bands, side, side, generator=torch.Generator().manual_seed(1))


def same_state(first: nn.Module, second: nn.Module) -> bool:
    pair = first.state_dict(), second.state_dict()
    return pair[0].keys() == pair[1].keys() and all(
        torch.equal(value, pair[1][name]) for name, value in pair[0].items()
    )


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("bands", [2, 13])
@torch.no_grad()
def test_a_trunk_gives_one_vector_an_image_whatever_its_bands(
    name: EncoderName, bands: int
) -> None:
    encoder = built(name, bands)
    assert encoder.width == WIDTHS[name]
    assert encoder(images(bands)).shape == (2, WIDTHS[name])


@pytest.mark.parametrize("name", WIDTHS)
@torch.no_grad()
def test_maps_have_the_strides_and_channels_that_are_said(name: EncoderName) -> None:
    encoder = built(name)
    maps = encoder.pyramid(images(2))
    assert tuple(each.shape[1] for each in maps) == encoder.pyramid_channels
    assert tuple(SIDE // each.shape[2] for each in maps) == encoder.pyramid_strides
    assert tuple(SIDE // each.shape[3] for each in maps) == encoder.pyramid_strides


@pytest.mark.parametrize(
    ("stem", "strides"),
    [("published", (2, 4, 8, 16, 32)), ("unpooled", (2, 4, 8, 16)), ("small", (1, 2, 4, 8))],
)
@torch.no_grad()
def test_stems_for_small_images_give_finer_maps(stem: str, strides: tuple[int, ...]) -> None:
    encoder = built(stem=stem)
    assert encoder.pyramid_strides == strides
    assert tuple(SIDE // each.shape[2] for each in encoder.pyramid(images(2))) == strides


@torch.no_grad()
def test_maps_come_from_the_weights_that_pool() -> None:
    encoder = built()
    pooled = encoder.pyramid(images(2))[-1].mean((2, 3))
    torch.testing.assert_close(pooled, encoder(images(2)))


@pytest.mark.parametrize("name", WIDTHS)
@torch.no_grad()
def test_means_of_maps_are_those_of_the_pyramid(name: EncoderName) -> None:
    encoder = built(name)
    means = [each.mean((2, 3)) for each in encoder.pyramid(images(2))]
    for number, mean in enumerate(means, start=1):
        torch.testing.assert_close(encoder.map_means(images(2), [number]), mean)
    found = encoder.map_means(images(2), [1, 3])
    torch.testing.assert_close(found, torch.cat([means[0], means[2]], dim=1))


@torch.no_grad()
def test_a_resnet_rounds_its_maps_up_at_odd_sizes() -> None:
    maps = built().pyramid(images(2, side=75))
    assert [each.shape[2] for each in maps] == [38, 19, 10, 5, 3]


@pytest.mark.parametrize("positions", ["learned", "alibi"])
@torch.no_grad()
def test_a_vit_of_other_patches_and_depth_has_as_many_maps(positions: str) -> None:
    encoder = built("vit_small", patch=8, depth=8, positions=positions)
    assert len(encoder.net.blocks) == 8
    assert encoder.pyramid_strides == (8, 8, 8, 8)
    maps = encoder.pyramid(images(2))
    assert [tuple(each.shape) for each in maps] == [(2, 384, 8, 8)] * 4
    torch.testing.assert_close(encoder.pool(encoder.tokens(images(2), ALL)), encoder(images(2)))


@pytest.mark.parametrize("name", WIDTHS)
def test_a_seed_decides_the_weights(name: EncoderName) -> None:
    assert same_state(built(name, seed=7), built(name, seed=7))


@pytest.mark.parametrize("stem", ["published", "small"])
def test_another_seed_gives_other_weights(stem: str) -> None:
    first, second = (built(stem=stem, seed=seed).net.conv1.weight for seed in (1, 2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("stem", ["published", "small"])
def test_torchs_own_random_state_neither_decides_weights_nor_moves(stem: str) -> None:
    torch.manual_seed(3)
    first = built(stem=stem)
    torch.manual_seed(4)
    before = torch.random.get_rng_state()
    assert same_state(first, built(stem=stem))
    assert torch.equal(before, torch.random.get_rng_state())


@torch.no_grad()
def test_layout_in_memory_changes_nothing() -> None:
    encoder = built()
    plain = encoder(images(2))
    encoder = encoder.to(memory_format=torch.channels_last)
    turned = encoder(images(2).contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(turned, plain, rtol=1e-4, atol=1e-5)


def test_the_gradient_reaches_every_weight() -> None:
    encoder = built()
    encoder(images(2)).square().sum().backward()
    assert all(each.grad is not None for each in encoder.parameters())


def test_images_of_other_bands_are_refused() -> None:
    with pytest.raises(InputError, match="images of 3 bands: this resnet18 takes 2"):
        built()(images(3))


@pytest.mark.parametrize("name", ["vit_small", "swin_tiny"])
@pytest.mark.parametrize("way", ["forward", "pyramid"])
def test_another_size_than_it_is_built_for_is_refused(name: EncoderName, way: str) -> None:
    encoder = built(name)
    with pytest.raises(
        InputError, match=r"96 x 96 pixels: this .* built for 64 x 64; .*encoder.size=96"
    ):
        getattr(encoder, way)(images(2, side=96))


def test_a_size_that_cannot_be_built_is_not_advised() -> None:
    with pytest.raises(InputError, match=r"64 x 64; crop or resize them$"):
        built("vit_small")(images(2, side=100))


def test_images_too_small_for_convnext_are_refused() -> None:
    with pytest.raises(InputError, match="convnext_tiny needs 32 a side"):
        built("convnext_tiny")(images(2, side=31))


@torch.no_grad()
def test_the_smallest_image_for_convnext_is_taken() -> None:
    assert built("convnext_tiny")(images(2, side=32)).shape == (2, 768)


@pytest.mark.parametrize(
    ("name", "size", "near"), [("vit_small", 60, 64), ("swin_tiny", 100, 96), ("vit_small", 3, 16)]
)
def test_a_size_that_patches_do_not_fill_is_refused(
    name: EncoderName, size: int, near: int
) -> None:
    with pytest.raises(ValidationError, match=f"give {near}"):
        EncoderConfig(name=name, size=size)


@pytest.mark.parametrize("stem", ["small", "unpooled"])
def test_a_stem_is_for_resnets_alone(stem: str) -> None:
    with pytest.raises(ValidationError, match="is for resnet18 and resnet50, convnext_tiny has"):
        EncoderConfig(name="convnext_tiny", stem=stem)


def test_without_a_size_a_vit_is_built_as_published() -> None:
    assert EncoderConfig(name="vit_small").built_size == 224


def test_no_bands_are_refused() -> None:
    with pytest.raises(InputError, match="0 bands"):
        build_encoder(EncoderConfig(), 0, seed=0)


def test_configuring_an_encoder_does_not_wait_for_timm() -> None:
    script = (
        "import sys; from eo_contrast.nets.encoders import EncoderConfig; EncoderConfig(); "
        "print('timm' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
