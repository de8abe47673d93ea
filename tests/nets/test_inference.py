"""The fast way to run a generator: near the slow one, and the same bytes however it is run."""

from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.memory import memory_kept
from eo_contrast.nets import inference
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.inference import fast_generator, multiplies_bfloat16, resolved
from eo_contrast.nets.norms import collect_statistics, fixed_statistics

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
LEGEND = ((0, 0, 0), (255, 0, 0), (0, 255, 255))
# Grey levels, of 255: what full precision and bfloat16 may be off by, on average.
MEAN_GREY = {"fp32": 0.001, "bf16": 1.0}


def scene_and_net(*, side=64, palette=None, width=8, blocks=2, antialias=True):
    torch.manual_seed(0)
    config = GeneratorConfig(
        width=width,
        blocks=blocks,
        palette=palette,
        antialias_down=antialias,
        antialias_up=antialias,
    )
    net = ResnetGenerator(config)
    tiles = torch.rand(3, 3, side, side) * 2 - 1
    return tiles, net, collect_statistics(net, tiles)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("palette", [None, LEGEND])
@pytest.mark.parametrize("precision", MEAN_GREY)
def test_it_is_near_the_net(precision, palette, antialias):
    tiles, net, statistics = scene_and_net(palette=palette, antialias=antialias)
    with fixed_statistics(net, statistics), torch.no_grad():
        wanted = net(tiles)
    result = fast_generator(net, statistics, precision=precision)(tiles)
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert (result - wanted).abs().mean() * 127.5 < MEAN_GREY[precision]


def assert_same_bytes_by_threads_and_batch(run, tiles):
    together = run(tiles)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(run(tiles), together)
            assert torch.equal(torch.cat([run(tile[None]) for tile in tiles]), together)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(
    not multiplies_bfloat16(), reason="the promise is for processors with AMX, where auto takes it"
)
@settings(deadline=None, max_examples=10)
@given(
    width=st.sampled_from([3, 16, 32]),
    antialias=st.booleans(),
    palette=st.sampled_from([None, LEGEND]),
    side=st.sampled_from([32, 100, 128]),
)
def test_bfloat16_gives_the_same_bytes_whatever_the_threads_and_the_batch(
    width, antialias, palette, side
):
    tiles, net, statistics = scene_and_net(
        side=side, palette=palette, width=width, antialias=antialias
    )
    run = fast_generator(net, statistics, precision="bf16")
    assert_same_bytes_by_threads_and_batch(run, tiles)


@settings(deadline=None, max_examples=10)
@given(
    size=st.sampled_from([(16, 76), (16, 100), (32, 52), (32, 128)]),
    palette=st.sampled_from([None, LEGEND]),
)
def test_float32_does_so_for_antialiased_nets_and_tiles_that_are_not_tiny(size, palette):
    width, side = size
    assert 4 * width * (side // 4) ** 2 > 20480
    tiles, net, statistics = scene_and_net(side=side, palette=palette, width=width)
    run = fast_generator(net, statistics, precision="fp32")
    assert_same_bytes_by_threads_and_batch(run, tiles)


def test_the_net_is_left_as_it_was():
    tiles, net, statistics = scene_and_net()
    with torch.no_grad():
        own = net(tiles)
        fast_generator(net, statistics, precision="bf16")(tiles)
        assert torch.equal(net(tiles), own)


def test_colours_of_a_legend_are_not_rounded():
    tiles, net, statistics = scene_and_net(palette=((1, 3, 7), (251, 253, 249)))
    with torch.no_grad():
        net.head.conv.bias[0] += 1000
    result = fast_generator(net, statistics, precision="bf16")(tiles)
    assert torch.equal(((result + 1) * 127.5)[0, :, 0, 0].round(), torch.tensor([1.0, 3.0, 7.0]))


def test_the_choice_depends_on_processor_and_device_alone(monkeypatch):
    monkeypatch.setattr(inference, "_processor_features", lambda: frozenset({"amx_bf16"}))
    assert resolved("auto", CPU) == "bf16"
    assert resolved("auto", CUDA) == "fp32"
    assert resolved("fp32", CPU) == "fp32"
    monkeypatch.setattr(inference, "_processor_features", frozenset)
    assert resolved("auto", CPU) == "fp32"
    assert resolved("bf16", CPU) == "bf16"


@pytest.mark.skipif(sys.platform != "linux", reason="flags are read from /proc/cpuinfo")
def test_an_older_torch_leaves_the_question_to_the_system(monkeypatch):
    known = multiplies_bfloat16()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    inference._processor_features.cache_clear()
    try:
        assert multiplies_bfloat16() == known
    finally:
        inference._processor_features.cache_clear()


def test_memory_may_be_kept_again_and_again():
    for _ in range(2):
        with memory_kept():
            big = torch.ones(1 << 24)
            assert big.sum() == 1 << 24
