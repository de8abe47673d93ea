"""A folded generator gives what the generator gives under the same fixed statistics."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from eo_contrast.nets.folding import folded
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.norms import InstanceNorm, collect_statistics, fixed_statistics

LEGEND = ((0, 0, 0), (255, 0, 0), (0, 255, 255), (10, 20, 30), (200, 220, 240))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@st.composite
def configs(draw):
    palette = draw(st.sampled_from([None, LEGEND[:2], LEGEND]))
    return GeneratorConfig(
        bands_in=draw(st.integers(1, 6)),
        bands_out=3 if palette else draw(st.integers(1, 6)),
        width=draw(st.integers(1, 5)),
        blocks=draw(st.integers(0, 3)),
        antialias_down=draw(st.booleans()),
        antialias_up=draw(st.booleans()),
        palette=palette,
    )


def scene_of(net, *, batch=2, height=16, width=24, seed=0):
    """Tiles whose bands differ in brightness and contrast, and their statistics."""
    draws = torch.Generator().manual_seed(seed)
    bands = net.config.bands_in
    tiles = torch.rand(batch, bands, height, width, generator=draws) * 0.5
    tiles = tiles + torch.linspace(-1, 0.5, bands).view(-1, 1, 1)
    tiles = tiles.to(next(net.parameters()).dtype)
    return tiles, collect_statistics(net, tiles)


def generator(config, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return ResnetGenerator(config).to(dtype)


def fixed(net, statistics, tiles):
    with fixed_statistics(net, statistics), torch.no_grad():
        return net(tiles)


@settings(deadline=None, max_examples=60)
@given(
    config=configs(),
    batch=st.integers(1, 3),
    sides=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    layout=st.sampled_from(sorted(LAYOUTS)),
    seed=st.integers(0, 100),
)
def test_in_float64_the_folded_net_is_the_net(config, batch, sides, layout, seed):
    net = generator(config, torch.float64, seed)
    _, statistics = scene_of(net, seed=seed)
    tiles, _ = scene_of(net, batch=batch, height=4 * sides[0], width=4 * sides[1], seed=seed + 1)
    wanted = fixed(net, statistics, tiles)
    quick = folded(net, statistics).to(memory_format=LAYOUTS[layout])
    result = quick(tiles.contiguous(memory_format=LAYOUTS[layout]))
    torch.testing.assert_close(result, wanted, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(config=configs(), seed=st.integers(0, 100))
def test_in_float32_it_is_the_net_up_to_rounding(config, seed):
    net = generator(config, seed=seed)
    tiles, statistics = scene_of(net, seed=seed)
    result = folded(net, statistics)(tiles)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, fixed(net, statistics, tiles), rtol=0, atol=1e-3)


@pytest.mark.parametrize("antialias", [False, True])
def test_no_norm_and_no_gradient_is_left(antialias):
    config = GeneratorConfig(width=2, blocks=1, antialias_down=antialias, antialias_up=antialias)
    net = generator(config)
    tiles, statistics = scene_of(net)
    quick = folded(net, statistics)
    assert not any(isinstance(module, InstanceNorm) for module in quick.modules())
    assert not quick(tiles).requires_grad


def test_net_and_tiles_are_left_as_they_were():
    net = generator(GeneratorConfig(width=2, blocks=1))
    tiles, statistics = scene_of(net)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    kept = tiles.clone()
    with torch.no_grad():
        own = net(tiles)
        folded(net, statistics)(tiles)
        assert torch.equal(net(tiles), own)
    assert torch.equal(tiles, kept)
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_what_the_net_is_fixed_to_does_not_matter():
    net = generator(GeneratorConfig(width=2, blocks=1))
    tiles, statistics = scene_of(net)
    _, others = scene_of(net, seed=5)
    wanted = folded(net, statistics)(tiles)
    with fixed_statistics(net, others):
        result = folded(net, statistics)(tiles)
    assert torch.equal(result, wanted)


def test_a_channel_that_never_varies_is_folded_too():
    net = generator(GeneratorConfig(width=2, blocks=1), torch.float64)
    tiles, statistics = scene_of(net)
    statistics["block1.norm1"][1, 0] = 0
    wanted = fixed(net, statistics, tiles)
    torch.testing.assert_close(folded(net, statistics)(tiles), wanted, rtol=0, atol=1e-12)


def test_the_stages_keep_their_names():
    net = generator(GeneratorConfig(width=2, blocks=2))
    _, statistics = scene_of(net)
    names = [name for name, _ in folded(net, statistics).named_children()]
    assert names == [name for name, _ in net.named_children()]


@pytest.mark.parametrize("missing", ["stem.norm", "block1.norm2", "up2.norm"])
def test_missing_statistics_are_refused_by_name(missing):
    net = generator(GeneratorConfig(width=2, blocks=1))
    _, statistics = scene_of(net)
    del statistics[missing]
    with pytest.raises(ValueError, match=missing):
        folded(net, statistics)


def test_a_net_for_one_scene_is_another_for_another():
    net = generator(GeneratorConfig(width=2, blocks=1))
    tiles, statistics = scene_of(net)
    others = {name: value + torch.tensor([[0.5], [1.0]]) for name, value in statistics.items()}
    difference = folded(net, statistics)(tiles) - folded(net, others)(tiles)
    assert difference.abs().max() > 1e-2


def test_half_precision_comes_out_as_float32():
    net = generator(GeneratorConfig(width=2, blocks=1))
    tiles, statistics = scene_of(net)
    quick: nn.Module = folded(net, statistics).bfloat16()
    assert quick(tiles.bfloat16()).dtype == torch.float32
