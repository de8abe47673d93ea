"""A run's folder: laid out, resumed from, and gone again if nothing came of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from pydantic import ValidationError

from eo_contrast.config import Config, save_config
from eo_contrast.errors import InputError
from eo_contrast.files import refuse_strangers
from eo_contrast.training.card import MODEL_FILE
from eo_contrast.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from eo_contrast.training.describe import CONFIG_FILE, REPORT_FILE
from eo_contrast.training.log import METRICS_FILE, TIMINGS_FILE, RunLog

SAMPLES = "samples"
TEST_FILE = "test.safetensors"
"""What a land-cover model said of its test places."""


@dataclass(frozen=True)
class RunOptions:
    """What a user says beside the configuration.

    Attributes:
        steps: train so many in all, whatever the schedule says; ``None``: all of it.
        resume: go on from the run folder's checkpoint.
        overwrite: start anew in a folder that holds another run.
    """

    device: str = "auto"
    steps: int | None = None
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False
    say: Callable[[str], None] = lambda text: None


def lay_out(run: Path, config: Config, *, resume: bool) -> None:
    """The folder with its configuration; what a run left there before is taken away.

    Raises: InputError: it holds what no training run makes.
    """
    if run.exists() and not resume:
        refuse_strangers(run, _belongs_to_a_run, "no training run")
        shutil.rmtree(run)
    (run / SAMPLES).mkdir(parents=True, exist_ok=True)
    save_config(config, run / CONFIG_FILE)


def checkpoint_of(run: Path, config: Config) -> dict[str, Any]:
    """The folder's checkpoint, made with this very configuration.

    Raises: InputError: there is none, or it was made with another.
    """
    checkpoint = load_checkpoint(run / CHECKPOINT_FILE)
    now, then = config.model_dump(mode="json"), _as_now(config, checkpoint["config"])
    changed = sorted(key for key in now if now[key] != then.get(key))
    if changed:
        raise InputError(
            f"{run}: the checkpoint was made with another {', '.join(changed)}; "
            f"resume with {run / CONFIG_FILE}, or start anew elsewhere"
        )
    return checkpoint


def _as_now(config: Config, then: dict[str, Any]) -> dict[str, Any]:
    """A configuration of before, with what was added since at its default."""
    try:
        return type(config).model_validate(then).model_dump(mode="json")
    except ValidationError:
        return then


def run_log(run: Path, checkpoint: Mapping[str, Any], fabric: Fabric) -> RunLog:
    """The folder's log, cut to what it had when the checkpoint was made."""
    return RunLog(
        run,
        metrics_bytes=int(checkpoint.get("metrics_bytes", 0)),
        step=int(checkpoint.get("step", 0)),
        writes=fabric.is_global_zero,
    )


@contextmanager
def no_trace_of_unreadable(run: Path, fabric: Fabric) -> Iterator[None]:
    """An image that cannot be read, met before anything was saved, leaves no run folder."""
    try:
        yield
    except InputError:
        if fabric.is_global_zero and not (run / CHECKPOINT_FILE).exists():
            shutil.rmtree(run)
        raise


def _belongs_to_a_run(name: str) -> bool:
    made = {CONFIG_FILE, MODEL_FILE, CHECKPOINT_FILE, METRICS_FILE, TIMINGS_FILE}
    return name in made | {REPORT_FILE, SAMPLES, TEST_FILE} or name.startswith("events.")
