"""Pipelines that are killed in the middle of a stage, and what they leave."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from typed import done

DRIVER = Path(__file__).with_name("killed_run.py")
MADE_BY_TIME = ("events.", "timings.jsonl", "last.ckpt")
"""Beginnings of names of files that tell of time, or that only a resumed training reads."""


def run(folder: Path, *words: str) -> list[str]:
    """Run to the end; the stages that ran."""
    given = ["run", folder / "small.yaml", "--out", folder / "out", "--device", "cpu", *words]
    said = done(given).stderr
    return [line.split(":")[0] for line in said.splitlines() if ": done in" in line]


def killed(folder: Path, name: str, times: int = 1) -> str:
    """Run until a file is about to get its name; what was said."""
    words = [str(folder / "small.yaml"), "--out", str(folder / "out"), "--device", "cpu"]
    process = subprocess.run(
        [sys.executable, str(DRIVER), name, str(times), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    return process.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that a pipeline made, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.relative_to(folder).parts[0].startswith(".")
        and not path.name.startswith(MADE_BY_TIME)
    }


def taken_back(folder: Path, stage: str, *outs: str) -> None:
    """The folder as it was before a stage ran for the first time; those after it have run."""
    for out in outs:
        path = folder / "out" / out
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "out" / ".pipeline" / f"{stage}.json").unlink()
