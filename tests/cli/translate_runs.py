"""Whole translate commands, some as processes of their own, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.training.card import Card, save_model

CHECKOUT = Path(__file__).resolve().parents[2]


def tiny_model(folder: Path) -> Path:
    """A folder, filled with a generator of random weights."""
    torch.manual_seed(0)
    net = ResnetGenerator(GeneratorConfig(width=4, blocks=1))
    save_model(net, Card(architecture=net.config), folder / "model.safetensors")
    return folder


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "eo_contrast", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}


def run_apart(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, which has seen no file and holds no lock."""
    return subprocess.run(
        command(*words), env=environment(), capture_output=True, text=True, timeout=240
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def started(*words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*words), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for_piece(out: Path) -> None:
    """Return when the first finished piece of an output lies beside it."""
    parts = out.with_name(f".{out.name}.parts")
    end = time.monotonic() + 120
    while not list(parts.glob("pieces-*/*.tif")) and time.monotonic() < end:
        time.sleep(0.005)


def killed_midway(out: Path, *words: str | Path, by: int = signal.SIGKILL) -> int:
    """Start a command, kill it when the first piece is there; its exit code."""
    process = started(*words)
    wait_for_piece(out)
    process.send_signal(by)
    return process.wait(timeout=60)
