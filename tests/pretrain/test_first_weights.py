"""Runs that go on from an encoder, ours or another's, say what they took of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from small_encoders import eats, saved_encoder
from small_run import packed_world, small

from eo_contrast.errors import InputError
from eo_contrast.nets.weights import to_timm
from eo_contrast.pretrain.run import pretrain
from eo_contrast.training.encoder_card import load_encoder
from eo_contrast.training.run_folder import RunOptions

STANDS_STILL = {"optimizer__lr": 1e-30, "optimizer__weight_decay": 0.0}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def level_1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("level_1") / "model.safetensors"
    return saved_encoder(path, {"image": eats("s2-l1c")})


def kernels(path: Path) -> torch.Tensor:
    net, card = load_encoder(path)
    return to_timm(net.trunk(next(iter(card.sensors))))["layer1.0.conv1.weight"]


def test_a_run_says_which_kernels_it_does_not_take(world, level_1, tmp_path):
    start = {"image": {"path": str(level_1), "allow_band_change": True}}
    config = small("moco_v2", start=start, **STANDS_STILL)
    said: list[str] = []
    options = RunOptions(device="cpu", quiet=True, steps=1, say=said.append)
    pretrain(config, world, tmp_path / "run", options)
    assert torch.equal(kernels(tmp_path / "run"), kernels(level_1))
    assert any("kernels of B10 are left out" in line for line in said)


def test_other_bands_are_refused_before_anything_is_written(world, level_1, tmp_path):
    config = small("moco_v2", start={"image": {"path": str(level_1)}})
    with pytest.raises(
        InputError, match=r"s2-l2a without B10.* start.image.allow_band_change=true"
    ):
        pretrain(config, world, tmp_path / "run", RunOptions(device="cpu", quiet=True))
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_needs_the_first_weights_no_more(world, tmp_path):
    first = saved_encoder(tmp_path / "first.safetensors", {"image": eats("s2-l2a")})
    config = small("moco_v2", start={"image": {"path": str(first)}})
    pretrain(config, world, tmp_path / "run", RunOptions(device="cpu", quiet=True, steps=1))
    first.unlink()
    options = RunOptions(device="cpu", quiet=True, steps=2, resume=True)
    assert pretrain(config, world, tmp_path / "run", options)["steps"] == 2


def test_weights_for_a_sensor_that_is_not_there_are_refused():
    with pytest.raises(ValidationError, match=r"start.radar: no such sensor; the graph has image"):
        small("moco_v2", start={"radar": {"path": "encoder.pth"}})
