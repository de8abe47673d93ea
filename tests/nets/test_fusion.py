"""Features of several sensors into one."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.nets.fusion import FUSIONS, AttentionFusion, Concatenation, build_fusion


def parts(*shape: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 8, *shape, generator=generator) for _ in range(2)]


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("shape", [(), (5, 4)])
def test_places_and_pixels_are_fused(kind, shape):
    fuse = build_fusion(kind, 2, 8)
    assert fuse(parts(*shape)).shape == (3, fuse.channels, *shape)


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("shape", [(), (5, 4)])
def test_a_missing_sensor_changes_nothing_whatever_it_holds(kind, shape):
    fuse = build_fusion(kind, 2, 8)
    one, other = parts(*shape)
    present = torch.tensor([[True, False], [True, True], [True, False]])
    fused = fuse([one, other], present)
    changed = fuse([one, other + 100], present)
    torch.testing.assert_close(fused[[0, 2]], changed[[0, 2]])
    assert not torch.allclose(fused[1], changed[1])


@pytest.mark.parametrize("kind", FUSIONS)
def test_all_present_is_as_if_nothing_were_said(kind):
    fuse = build_fusion(kind, 2, 8)
    everything = torch.ones(3, 2, dtype=torch.bool)
    torch.testing.assert_close(fuse(parts(5, 4), everything), fuse(parts(5, 4)))


def test_attention_is_a_weighted_mean():
    fuse = AttentionFusion(2, 8)
    weights = fuse.weights(parts(5, 4))
    torch.testing.assert_close(weights.sum(1), torch.ones(3, 5, 4))
    values = torch.stack(
        [layer(each) for layer, each in zip(fuse.values, parts(5, 4), strict=True)], dim=1
    )
    by_hand = (weights[:, :, None] * values).sum(1)
    torch.testing.assert_close(fuse(parts(5, 4)), by_hand)


def test_attention_gives_a_missing_sensor_no_weight():
    present = torch.tensor([[False, True]] * 3)
    weights = AttentionFusion(2, 8).weights(parts(5, 4), present)
    assert torch.equal(weights[:, 0], torch.zeros(3, 5, 4))
    torch.testing.assert_close(weights[:, 1], torch.ones(3, 5, 4))


def test_one_sensor_passes_through():
    fuse = build_fusion("attention", 1, 8)
    assert isinstance(fuse, Concatenation)
    assert torch.equal(fuse(parts(5, 4)[:1]), parts(5, 4)[0])
