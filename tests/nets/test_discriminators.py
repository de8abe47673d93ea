"""Discriminators that are told the tag of a tile, and those without a norm."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.nets.discriminators import DiscriminatorConfig, build_discriminator
from eo_contrast.nets.norms import InstanceNorm

TAGS = ("park", "water")


@pytest.mark.parametrize("kind", ["patch", "pixel"])
def test_the_same_image_is_judged_by_the_tag_it_is_said_to_have(kind: str) -> None:
    config = DiscriminatorConfig(kind=kind, width=4, layers=1, tags=TAGS, norm="none")
    net = build_discriminator(config)
    image = torch.rand(1, 3, 16, 16).expand(2, -1, -1, -1)
    park, water = net(image, torch.eye(2))
    assert park.shape == water.shape
    assert not torch.allclose(park, water)


@pytest.mark.parametrize("kind", ["patch", "pixel"])
def test_a_tag_is_a_constant_plane_beside_the_bands(kind: str) -> None:
    told = build_discriminator(DiscriminatorConfig(kind=kind, width=4, layers=1, tags=TAGS))
    plain = build_discriminator(DiscriminatorConfig(kind=kind, width=4, layers=1, bands=5))
    plain.load_state_dict(told.state_dict())
    image = torch.rand(2, 3, 16, 16)
    planes = torch.eye(2)[:, :, None, None].expand(2, 2, 16, 16)
    assert torch.equal(told(image, torch.eye(2)), plain(torch.cat((image, planes), 1)))


@pytest.mark.parametrize("kind", ["patch", "pixel"])
def test_without_a_norm_there_is_none(kind: str) -> None:
    net = build_discriminator(DiscriminatorConfig(kind=kind, norm="none"))
    assert not [part for part in net.modules() if isinstance(part, InstanceNorm)]
