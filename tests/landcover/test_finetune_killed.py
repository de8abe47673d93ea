"""Fine-tuning in a process of its own, stopped by signals and resumed."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from killed import assert_same, started, wait_for
from sources import coloured, mapped, written
from typed import done

from eo_contrast.training.checkpoint import load_checkpoint

EPOCHS = 4
STEPS = 8 * EPOCHS
COMMON: dict[str, Any] = {
    "encoder": {"stem": "small"},
    "data": {"batch_size": 2},
    "head": {"hidden": 16, "decoder_width": 32},
    "schedule": {"epochs": EPOCHS},
    "log_every": 3,
}
CLASSES = COMMON | {"mode": "full"}
PIXELS = COMMON | {"task": "segmentation", "mode": "frozen", "augment": {"quarter_turns": True}}
CACHED = COMMON | {"mode": "linear"}
"""Features of the encoder are computed once, before the first step."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A pack for each task, 16 training places each."""
    folder = tmp_path_factory.mktemp("packs")
    return {
        "classification": written(coloured(), folder / "pictures"),
        "segmentation": written(mapped(32), folder / "maps"),
    }


@pytest.mark.parametrize(
    ("config", "how"),
    [
        pytest.param(CLASSES, signal.SIGTERM, id="classes-term"),
        pytest.param(PIXELS, signal.SIGKILL, id="pixels-kill"),
        pytest.param(CACHED, signal.SIGKILL, id="cached-kill"),
    ],
)
def test_stopped_by_a_signal_and_resumed_is_the_straight_run(
    data: dict[str, Path], tmp_path: Path, config: dict[str, Any], how: signal.Signals
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    command = command_of(config, data, tmp_path)
    told = finished([*command, str(straight)])
    process = started([*command, str(broken)])
    wait_for(broken / "last.ckpt", process)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (75 if how == signal.SIGTERM else -signal.SIGKILL), said
    assert 0 < load_checkpoint(broken / "last.ckpt")["step"] < STEPS
    assert not (broken / "model.safetensors").exists()
    again = finished([*command, str(broken), "--resume"])
    assert {"test", "val", "epoch", "labels"} <= told.keys()
    assert without_run(again) == without_run(told)
    for name in ("model.safetensors", "metrics.jsonl", "test.safetensors"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes(), name
    assert_same(*(load_checkpoint(run / "last.ckpt") for run in (straight, broken)))


def test_a_stop_is_told_in_one_line_that_says_how_to_go_on(
    data: dict[str, Path], tmp_path: Path
) -> None:
    process = started([*command_of(CLASSES, data, tmp_path), str(tmp_path / "run")])
    wait_for(tmp_path / "run" / "metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert said.splitlines()[-1].startswith(f"error: {tmp_path}/run: stopped after step ")
    assert said.rstrip().endswith("state saved; the same command with --resume goes on")


def command_of(config: dict[str, Any], data: dict[str, Path], folder: Path) -> Sequence[str]:
    """``finetune`` with everything but its folder."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    pack = data[config.get("task", "classification")]
    words = ["finetune", str(file), "--data", str(pack), "--encoder", "random"]
    return [*words, "--device", "cpu", "--json", "--out"]


def finished(words: Sequence[str]) -> dict[str, Any]:
    """What a run tells when it has ended."""
    told: dict[str, Any] = json.loads(done(words).stdout)
    return told


def without_run(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in ("run", "seconds")}
