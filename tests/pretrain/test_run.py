"""Pretraining runs: every shipped method, resumed exactly, refused in one line."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
import yaml
from killed import assert_same, started, wait_for
from small_run import METHODS, PLACES, SIDE, packed_world, small
from typed import done

from eo_contrast.config import load_config, shipped_folder
from eo_contrast.data.place_sources import open_places
from eo_contrast.errors import InputError
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.run import pretrain
from eo_contrast.training.checkpoint import load_checkpoint
from eo_contrast.training.encoder_card import load_encoder
from eo_contrast.training.run_folder import RunOptions


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    return packed_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def one_date(tmp_path_factory) -> Path:
    return packed_world(tmp_path_factory.mktemp("one-date"), dates=1)


def options(**values: object) -> RunOptions:
    return RunOptions(**({"device": "cpu", "quiet": True} | values))


def rows_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", METHODS)
def test_every_shipped_method_is_short_and_runs(world, tmp_path, method):
    lines = (shipped_folder("configs/pretrain") / f"{method}.yaml").read_text().splitlines()
    assert len(lines) <= 36
    config = small(method)
    told = pretrain(config, world, tmp_path / "run", options(steps=2))
    assert told["steps"] == 2
    losses = [value for name, value in told["losses"].items() if name.startswith("loss/")]
    assert len(losses) == len(config.graph.spaces)
    net, card = load_encoder(tmp_path / "run")
    assert card.trained["method"] == method
    assert card.ground_resolution_m == open_places(world).ground_resolution_m == 10.0
    for name, sensor in card.sensors.items():
        images = torch.zeros(2, len(sensor.bands), SIDE, SIDE)
        assert net(name, images).shape == (2, net.width)


def test_the_saved_configuration_gives_the_same_run_again(world, tmp_path):
    pretrain(small("moco_v2"), world, tmp_path / "one", options(steps=4))
    saved = load_config(PretrainConfig, tmp_path / "one" / "config.yaml")
    pretrain(saved, world, tmp_path / "two", options(steps=4))
    for name in ("model.safetensors", "metrics.jsonl", "config.yaml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("method", ["seco", "cmc_core", "byol", "seco_s1s2"])
def test_a_run_in_two_halves_is_the_straight_run_bit_for_bit(world, tmp_path, method):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    pretrain(small(method), world, straight, options(steps=6))
    pretrain(small(method), world, broken, options(steps=3))
    pretrain(small(method), world, broken, options(steps=6, resume=True))
    name = "model.safetensors"
    assert (straight / name).read_bytes() == (broken / name).read_bytes()
    one, other = (load_checkpoint(run / "last.ckpt") for run in (straight, broken))
    # The shorter run's log ends with rows of its own.
    assert_same(*({**state, "metrics_bytes": 0, "interval": {}} for state in (one, other)))


@pytest.mark.parametrize(
    ("method", "how"), [("seco", signal.SIGTERM), ("cmc_core", signal.SIGKILL)]
)
def test_stopped_by_a_signal_and_resumed_is_the_straight_run(world, tmp_path, method, how):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(small(method, save_every=4).model_dump(mode="json")))
    words = ["pretrain", str(file), "--data", str(world)]
    words += ["--steps", "16", "--device", "cpu", "--quiet", "--out"]
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    done([*words, straight])
    process = started([*words, broken])
    wait_for(broken / "last.ckpt", process)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (75 if how == signal.SIGTERM else -signal.SIGKILL), said
    assert 0 < load_checkpoint(broken / "last.ckpt")["step"] < 16
    done([*words, broken, "--resume"])
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes(), name
    assert_same(*(load_checkpoint(run / "last.ckpt") for run in (straight, broken)))


def test_chunks_encoded_twice_give_the_gradient_of_the_whole(world, tmp_path):
    """With a norm that looks at one image alone; batch norm would see chunks."""
    encoder = {"name": "convnext_tiny"}
    whole = small("moco_v2", encoder=encoder, data__size=32, data__batch_size=4)
    chunks = small("moco_v2", encoder=encoder, data__size=32, data__chunk=2)
    one = pretrain(whole, world, tmp_path / "one", options(steps=2))
    other = pretrain(chunks, world, tmp_path / "two", options(steps=2))
    assert other["losses"]["loss"] == pytest.approx(one["losses"]["loss"], rel=1e-4)


def test_a_run_starts_from_another_runs_trunk(world, tmp_path):
    pretrain(small("simclr", seed=1), world, tmp_path / "first", options(steps=2))
    config = small(
        "moco_v2",
        start={"image": {"path": str(tmp_path / "first")}},
        # No step worth the name, and no warm-up from 0.
        optimizer={"kind": "sgd", "lr": 1e-12, "weight_decay": 0.0},
    )
    pretrain(config, world, tmp_path / "second", options(steps=1))
    (first, _), (second, _) = (load_encoder(tmp_path / name) for name in ("first", "second"))
    for name, weights in first.named_parameters():
        torch.testing.assert_close(weights, second.get_parameter(name), rtol=1e-6, atol=1e-8)
    slow = load_checkpoint(tmp_path / "second" / "last.ckpt")["nets"]["graph"]
    kept = first.trunks["image"].net.conv1.weight
    torch.testing.assert_close(slow["slow.trunks.image.net.conv1.weight"], kept.detach())


def test_accumulated_parts_make_one_step(world, tmp_path):
    config = small("simclr", data__batch_size=8, data__accumulate=2)
    assert pretrain(config, world, tmp_path / "run", options(steps=2))["steps"] == 2


def test_a_seasons_graph_refuses_a_catalogue_of_one_date(one_date, tmp_path):
    with pytest.raises(InputError, match=r"date slot 1 .*no place has more than 1"):
        pretrain(small("seco"), one_date, tmp_path / "run", options())
    assert not (tmp_path / "run").exists()


def test_a_queue_longer_than_the_data_is_refused(world, tmp_path):
    config = small("moco_v2", graph__spaces__instance__queue=1000)
    with pytest.raises(InputError, match=rf"queue is 1000, but there are {PLACES} places"):
        pretrain(config, world, tmp_path / "run", options())


def test_a_sensor_that_the_data_has_not_is_refused(world, tmp_path):
    config = small("moco_v2", optical="rgb")
    with pytest.raises(InputError, match=r"product rgb is not in the data, which has s1-grd"):
        pretrain(config, world, tmp_path / "run", options())


def test_which_of_two_levels_is_meant_has_to_be_said(world, tmp_path):
    config = small("moco_v2", optical="auto")
    with pytest.raises(InputError, match=r"s2-l1c and s2-l2a, which are not the same"):
        pretrain(config, world, tmp_path / "run", options())


def test_an_epoch_without_a_step_is_refused(world, tmp_path):
    config = small("simclr", data__batch_size=64)
    with pytest.raises(InputError, match=rf"{PLACES} places, fewer than data.batch_size 64"):
        pretrain(config, world, tmp_path / "run", options())


def test_alike_by_class_needs_labels(world, tmp_path):
    config = small("supcon", graph__spaces__class__labels="class")
    with pytest.raises(InputError, match=r"not every place has a label"):
        pretrain(config, world, tmp_path / "run", options())
