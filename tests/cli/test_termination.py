"""SIGTERM ends a command as Ctrl-C does: exit code 75, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_sigterm_ends_a_command_with_75_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "eo_contrast", "synth", "sat2map", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, "--pairs", "150", "--size", "64"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and not list(tmp_path.glob(".out.partial/train/*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert "interrupted" in stderr
    assert list(tmp_path.iterdir()) == []
