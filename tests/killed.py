"""Runs that are stopped in a process of their own, and what they are compared by."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch


def started(words: Sequence[str | Path]) -> subprocess.Popen[str]:
    """Type a command after ``eo-contrast`` in a process of its own."""
    command = [sys.executable, "-m", "eo_contrast", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 90) -> None:
    """Until the process has written something into a file."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if path.is_file() and path.stat().st_size:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def assert_same(one: object, other: object) -> None:
    """Equal to the bit, wherever tensors are nested."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert one == other
