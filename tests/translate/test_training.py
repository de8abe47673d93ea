"""A training run: whole, resumable bit for bit, the same however it is spread."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from killed import started
from PIL import Image
from tiny_run import TINY
from typed import done

from eo_contrast.errors import InputError, Interrupted
from eo_contrast.training.card import load_model, read_card
from eo_contrast.training.checkpoint import load_checkpoint
from eo_contrast.training.run_folder import RunOptions
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.run import train_translator
from eo_contrast.translate.trainer import start_training


def config(**changes: Any) -> TranslatorConfig:
    return TranslatorConfig.model_validate({**TINY, **changes})


def assert_same_state(one: Any, other: Any, at: str = "") -> None:
    assert type(one) is type(other), at
    if isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for key in one:
            assert_same_state(one[key], other[key], f"{at}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same_state(*pair, f"{at}/{number}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), at
    else:
        assert one == other, at


def test_a_run_leaves_config_weights_checkpoint_metrics_and_pictures(tiles, tmp_path):
    run = tmp_path / "run"
    result = train_translator(config(), tiles, run, RunOptions(device="cpu", quiet=True))
    assert result["steps"] == 12
    assert result["losses"]["loss_nce"] > 0
    names = {path.name for path in run.iterdir()}
    assert {"config.yaml", "model.safetensors", "last.ckpt", "metrics.jsonl", "samples"} <= names
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["phase"] == "train"] == [3, 6, 9, 12]
    assert [row["step"] for row in rows if row["phase"] == "watch"] == [4, 8, 12]
    assert len(list((run / "samples").iterdir())) == 3
    net, card = load_model(run)
    assert card.architecture == config().generator
    assert card.trained["steps"] == 12
    assert net(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)


def test_a_model_can_be_read_by_whoever_can_read_the_rest_of_the_run(tiles, tmp_path):
    run = tmp_path / "run"
    train_translator(config(), tiles, run, RunOptions(device="cpu", quiet=True, steps=1))
    modes = {(run / name).stat().st_mode for name in ("model.safetensors", "config.yaml")}
    assert len(modes) == 1


def test_the_saved_config_gives_the_same_run_again(tiles, tmp_path):
    options = RunOptions(device="cpu", quiet=True)
    train_translator(config(), tiles, tmp_path / "one", options)
    saved = yaml.safe_load((tmp_path / "one" / "config.yaml").read_text())
    train_translator(TranslatorConfig.model_validate(saved), tiles, tmp_path / "two", options)
    for name in ("model.safetensors", "metrics.jsonl", "config.yaml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_saved_model_is_the_moving_average_not_the_last_weights(tiles, tmp_path):
    run = tmp_path / "run"
    train_translator(config(), tiles, run, RunOptions(device="cpu", quiet=True))
    state = load_checkpoint(run / "last.ckpt")
    saved = load_model(run)[0].state_dict()
    assert_same_state(dict(saved), dict(state["averaged"]))
    last = state["nets"]["generator"]
    assert not torch.equal(saved["stem.conv.weight"], last["stem.conv.weight"])


def test_without_an_average_the_last_weights_are_saved_and_resumed(tiles, tmp_path):
    plain = config(average=None)
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train_translator(plain, tiles, straight, RunOptions(device="cpu", quiet=True))
    for steps, resume in ((5, False), (None, True)):
        options = RunOptions(device="cpu", quiet=True, steps=steps, resume=resume)
        train_translator(plain, tiles, broken, options)
    last = load_checkpoint(straight / "last.ckpt")["nets"]["generator"]
    assert_same_state(dict(load_model(straight)[0].state_dict()), dict(last))
    name = "model.safetensors"
    assert (straight / name).read_bytes() == (broken / name).read_bytes()


def test_stopping_by_sigterm_and_resuming_is_the_straight_run_bit_for_bit(tiles, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(TINY | {"schedule": {"unit": "steps", "constant": 200}}))
    words = ["train-translator", str(file), "--data", str(tiles), "--steps", "80"]
    words += ["--device", "cpu", "--quiet", "--out"]
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    done([*words, straight])
    process = started([*words, broken])
    wait_for_rows(broken / "metrics.jsonl", 2)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert "--resume" in stderr
    stopped_at = load_checkpoint(broken / "last.ckpt")["step"]
    assert 0 < stopped_at < 80
    done([*words, broken, "--resume"])
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes(), name
    one, other = (load_checkpoint(run / "last.ckpt") for run in (straight, broken))
    assert_same_state(one, other)


def wait_for_rows(path: Path, rows: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.is_file() and path.read_text().count("\n") >= rows:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} did not reach {rows} rows")


def test_resuming_after_the_metrics_ran_ahead_of_the_checkpoint_cuts_them(tiles, tmp_path):
    options = RunOptions(device="cpu", quiet=True)
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train_translator(config(), tiles, straight, options)
    train_translator(config(), tiles, broken, RunOptions(device="cpu", quiet=True, steps=5))
    with (broken / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "phase": "train", "loss_')
    train_translator(config(), tiles, broken, RunOptions(device="cpu", quiet=True, resume=True))
    rows = [json.loads(line) for line in (broken / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 12
    assert (straight / "model.safetensors").read_bytes() == (
        broken / "model.safetensors"
    ).read_bytes()


def test_resuming_with_another_configuration_is_refused_by_key(tiles, tmp_path):
    run = tmp_path / "run"
    train_translator(config(), tiles, run, RunOptions(device="cpu", quiet=True, steps=5))
    with pytest.raises(InputError, match="another seed"):
        train_translator(
            config(seed=1), tiles, run, RunOptions(device="cpu", quiet=True, resume=True)
        )


def test_an_existing_run_is_refused_and_untouched(tiles, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("mine")
    with pytest.raises(InputError, match="--overwrite"):
        train_translator(config(), tiles, run, RunOptions(device="cpu", quiet=True))
    assert (run / "config.yaml").read_text() == "mine"


def test_overwrite_does_not_delete_a_folder_that_is_no_run(tiles, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    options = RunOptions(device="cpu", quiet=True, overwrite=True)
    with pytest.raises(InputError, match=r"thesis\.tex"):
        train_translator(config(), tiles, tmp_path, options)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("recipe", ["cut", "fastcut"])
def test_two_processes_get_the_gradient_of_the_doubled_batch(tiles, tmp_path, recipe):
    values = {**TINY, "recipe": recipe, "average": None}
    values["data"] = {**TINY["data"], "batch_size": 2}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    common = ["-m", "eo_contrast", "train-translator", str(file), "--data", str(tiles)]
    common += ["--steps", "1", "--device", "cpu", "--quiet", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run([sys.executable, *common, str(one)], check=True, timeout=120, env=environment)
    spread = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    spread += ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    subprocess.run([*spread, *common, str(two)], check=True, timeout=180, env=environment)
    whole, shared = (load_checkpoint(run / "last.ckpt")["optimizers"] for run in (one, two))
    for name in whole:
        # After one step Adam's first moment is the gradient times a constant.
        gradients, others = (
            [state["exp_avg"] for state in optimizers[name]["state"].values()]
            for optimizers in (whole, shared)
        )
        largest = max(gradient.abs().max() for gradient in gradients)
        for gradient, other in zip(gradients, others, strict=True):
            assert (gradient - other).abs().max() <= 1e-5 * largest, name


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_batch_that_does_not_divide_among_the_processes_is_refused(monkeypatch):
    from eo_contrast.translate import run

    class TwoProcesses:
        world_size = 2

    with pytest.raises(InputError, match=r"data\.batch_size is 1"):
        run._check_processes(config(), TwoProcesses())


def test_a_signal_before_the_last_step_is_not_mistaken_for_success(tiles, tmp_path, monkeypatch):
    from eo_contrast.training.loop import StopSignal

    monkeypatch.setattr(StopSignal, "anywhere", lambda self, fabric: True)
    with pytest.raises(Interrupted, match="step 1 of 12"):
        train_translator(config(), tiles, tmp_path / "r", RunOptions(device="cpu", quiet=True))
    assert load_checkpoint(tmp_path / "r" / "last.ckpt")["step"] == 1


def test_ground_resolution_comes_from_tile_names_and_lands_on_the_card(shared, tmp_path):
    root = shared / "data" / "sat2map"
    values = {"data": {"crop": {"load_size": None, "crop_size": 32}, "split": "test"}}
    options = RunOptions(device="cpu", quiet=True, steps=1)
    train_translator(config(**values, watch={"images": 1}), root, tmp_path / "run", options)
    resolution = read_card(tmp_path / "run").ground_resolution_m
    assert resolution is not None
    assert 1.6 <= resolution <= 2.15


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tiles, tmp_path):
    from eo_contrast.errors import WorldError

    wild = config(optimizer={"lr": 1e30})
    with pytest.raises(WorldError, match=r"optimizer\.lr"):
        train_translator(wild, tiles, tmp_path / "run", RunOptions(device="cpu", quiet=True))


def tagged(tiles: Path, root: Path, tags: dict[str, str]) -> Path:
    """The same tiles, with a table that gives each a tag."""
    shutil.copytree(tiles, root)
    rows = [f"train/{number}.png,{tags[number]}" for number in tags]
    (root / "pairs.csv").write_text("\n".join(["file,tag", *rows]) + "\n")
    return root


def test_a_discriminator_that_is_told_tags_trains_and_refuses_a_tag_it_does_not_know(
    tiles, tmp_path
):
    options = RunOptions(device="cpu", quiet=True)
    told = config(
        discriminator={"width": 2, "layers": 1, "norm": "none", "tags": ["park", "water"]},
        initialisation_discriminator="kaiming",
        data=TINY["data"] | {"balance": "tag-matched"},
    )
    known = {str(number): ("park", "water")[number % 2] for number in range(6)}
    result = train_translator(told, tagged(tiles, tmp_path / "a", known), tmp_path / "b", options)
    assert result["steps"] == 12
    unknown = {str(number): "field" for number in range(6)}
    with pytest.raises(InputError, match=r"discriminator\.tags are park, water.*'field'"):
        train_translator(told, tagged(tiles, tmp_path / "c", unknown), tmp_path / "d", options)
    assert not (tmp_path / "d").exists()


def test_tags_for_the_discriminator_want_tags_that_match():
    with pytest.raises(ValueError, match=r"set data\.balance to tag-matched"):
        config(discriminator={"tags": ["park"]})


def test_channels_last_gives_the_same_run_up_to_rounding(tiles, tmp_path):
    options = RunOptions(device="cpu", quiet=True, steps=2)
    losses = [
        train_translator(config(channels_last=last), tiles, tmp_path / str(last), options)["losses"]
        for last in (False, True)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    training = start_training(config(channels_last=True), torch.device("cpu"))
    weight = training.nets.generator.get_submodule("block1").conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_every_adversarial_loss_trains_and_is_another(tiles, tmp_path):
    seen = set()
    for mode in ("lsgan", "wgan-gp", "hinge", "vanilla"):
        options = RunOptions(device="cpu", quiet=True, steps=2)
        loss = {"adversarial": mode}
        result = train_translator(config(loss=loss), tiles, tmp_path / mode, options)
        seen.add(round(result["losses"]["loss_discriminator"], 6))
    assert len(seen) == 4


@pytest.mark.parametrize(("mode", "compiled"), [("lsgan", 3), ("wgan-gp", 2)])
def test_compile_reaches_the_nets_but_no_discriminator_that_is_differentiated_twice(
    tiles, tmp_path, monkeypatch, mode, compiled
):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda work, **options: calls.append(work) or work)
    options = RunOptions(device="cpu", quiet=True, steps=2)
    run = config(compile=True, loss={"adversarial": mode})
    assert train_translator(run, tiles, tmp_path / mode, options)["steps"] == 2
    assert len(calls) == compiled


def test_bytes_that_are_no_checkpoint_are_refused_whatever_they_spell(tmp_path):
    spelt = (b"hello", b"", b"\x80\x04K\x01.", b"(lp0\n.", b"G", b"J\x01", b"M")
    for number, content in enumerate(spelt):
        path = tmp_path / f"{number}.ckpt"
        path.write_bytes(content)
        with pytest.raises(InputError, match="checkpoint"):
            load_checkpoint(path)


def test_a_run_without_a_named_palette_is_scored_by_the_one_that_fits(tmp_path):
    root = tmp_path / "maps"
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        pixels = np.full((40, 80, 3), 100, np.uint8)
        pixels[:, 40:60] = (182, 208, 209)
        pixels[:, 60:] = (242, 239, 232)
        Image.fromarray(pixels).save(root / split / "0.png")
    run = tmp_path / "run"
    train_translator(config(), root, run, RunOptions(device="cpu", quiet=True, steps=1))
    assert read_card(run).palette == "osm16"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"psnr", "ssim", "iou/water", "iou/mean_iou"} <= rows[-1].keys()


def test_a_run_on_maps_of_no_known_style_is_scored_by_closeness_alone(tiles, tmp_path):
    run = tmp_path / "run"
    train_translator(config(), tiles, run, RunOptions(device="cpu", quiet=True, steps=1))
    assert read_card(run).palette is None
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"psnr", "ssim"} <= rows[-1].keys()
    assert "iou/mean_iou" not in rows[-1]
