"""One stage in a process of its own, or in several that torchrun starts.

The runner writes an order into the pipeline's folder, starts this module and reads the outcome. A
worker ends when its runner has: else a run that is killed and begun again would meet what is left
of the first.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eo_contrast.errors import EoContrastError, InputError, Interrupted, WorldError
from eo_contrast.files import whole_file
from eo_contrast.pipeline.definition import function_of
from eo_contrast.pipeline.perform import alone, perform
from eo_contrast.pipeline.record import FOLDER
from eo_contrast.pipeline.stage import Call, Stage, config_of, new_stage

FAILURES = {kind.__name__: kind for kind in (InputError, WorldError, Interrupted)}
WATCH_SECONDS = 0.3
MODULE = "eo_contrast.pipeline.worker"


@dataclass(frozen=True)
class Worker:
    """A stage at work in another process."""

    process: subprocess.Popen[bytes]
    outcome: Path

    def finished(self) -> dict[str, Any] | None:
        """The stage's result; None while it runs.

        Raises: what the stage raised; WorldError: its process was killed or broke.
        """
        code = self.process.poll()
        if code is None:
            return None
        told = _read(self.outcome)
        if told is None:
            raise _without_outcome(code)
        if "error" in told:
            raise FAILURES.get(told["kind"], WorldError)(told["error"])
        result: dict[str, Any] = told["result"]
        return result

    def stop(self) -> None:
        """Ask it to save its state and end, and wait for that; at a second Ctrl-C end it."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        except KeyboardInterrupt:
            self.process.kill()


def start_worker(stage: Stage, call: Call, folder: Path, modules: Path, log: Path | None) -> Worker:
    """Start a stage in a process of its own.

    Args:
        folder: the pipeline's.
        modules: where functions of the user's own are looked for.
        log: what its messages go to; None: where this process's go.
    """
    order, outcome = _order(folder, stage.name), _outcome(folder, stage.name)
    outcome.unlink(missing_ok=True)
    told = {
        "kind": stage.kind,
        "config": stage.config.model_dump(mode="json"),
        "modules": str(modules.absolute()),
        "call": {"resume": call.resume, "device": call.device, "quiet": call.quiet},
    }
    with whole_file(order) as partial:
        partial.write_text(json.dumps(told))
    command = [sys.executable, "-m", MODULE, str(folder), stage.name, str(os.getpid())]
    with nullcontext(2) if log is None else log.open("wb") as messages:
        # In a session of its own: Ctrl-C reaches the runner alone, which hands it on.
        process = subprocess.Popen(
            command, stdout=messages, stderr=messages, start_new_session=True
        )
    return Worker(process, outcome)


def work(folder: Path, name: str, runner: int) -> int:
    """Carry out the order of a stage; what a worker runs.

    Args:
        runner: its parent process; without it the worker ends.

    Returns: the exit code.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with, args=(runner,), daemon=True).start()
    order = json.loads(_order(folder, name).read_text())
    processes = int(order["config"].get("processes", 1))
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        return _spread(folder, name, processes)
    is_first = os.environ.get("RANK", "0") == "0"
    try:
        with alone(folder / FOLDER / name) if is_first else nullcontext():
            told: dict[str, Any] = {"result": _carried_out(order, name, is_first=is_first)}
    except EoContrastError as error:
        told = {"error": str(error), "kind": type(error).__name__}
    except KeyboardInterrupt:
        told = {"error": "interrupted", "kind": Interrupted.__name__}
    if is_first or "error" in told:
        with whole_file(_outcome(folder, name)) as partial:
            partial.write_text(json.dumps(told))
    return 1 if "error" in told else 0


def _carried_out(order: dict[str, Any], name: str, *, is_first: bool) -> dict[str, Any]:
    function = function_of(order["kind"], Path(order["modules"]))
    config = config_of(function, order["kind"]).model_validate(order["config"])
    stage = new_stage(name, order["kind"], function, config)

    def say(text: str) -> None:
        if is_first and not order["call"]["quiet"]:
            print(f"{name}: {text}", file=sys.stderr, flush=True)

    return perform(stage, Call(**order["call"], say=say))


def _spread(folder: Path, name: str, processes: int) -> int:
    """The same order in several processes, as torchrun starts them."""
    from torch.distributed.run import main

    spread = ["--standalone", f"--nproc-per-node={processes}", "-m", MODULE]
    try:
        main([*spread, str(folder), name, str(os.getpid())])
    except Exception:
        # torchrun tells at length that a process failed; the outcome tells why, if that is known.
        if not _outcome(folder, name).exists():
            raise
        return 1
    return 0


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(Interrupted.exit_code)


def _order(folder: Path, stage: str) -> Path:
    return folder / FOLDER / f"{stage}.order"


def _outcome(folder: Path, stage: str) -> Path:
    return folder / FOLDER / f"{stage}.outcome"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return told


def _without_outcome(code: int) -> EoContrastError:
    if code in (Interrupted.exit_code, -signal.SIGTERM, -signal.SIGINT):
        return Interrupted("interrupted")
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return WorldError(f"its process ended by {how}; its messages say more, or memory ran out")


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
