"""A pipeline is run: stages in order, one or several at once, those that are current left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from eo_contrast.errors import InputError, Interrupted, WorldError
from eo_contrast.files import locked, whole_file
from eo_contrast.pipeline.content import ABSENT, Digests
from eo_contrast.pipeline.definition import Pipeline
from eo_contrast.pipeline.perform import alone, perform
from eo_contrast.pipeline.plan import Leniency, Planned, examined, planned
from eo_contrast.pipeline.record import FOLDER, Record, write_record
from eo_contrast.pipeline.stage import Call
from eo_contrast.pipeline.worker import Worker, start_worker

DIGESTS = "digests"
DEFINITION = "pipeline.yaml"
POLL_SECONDS = 0.05
STRICT = Leniency()
CURRENT, STALE, DONE = "current", "stale", "done"


@dataclass(frozen=True)
class RunOptions:
    """What a user says beside the pipeline.

    Attributes:
        jobs: stages that may run at once; None: as the pipeline says.
    """

    jobs: int | None = None
    device: str = "auto"
    leniency: Leniency = STRICT
    quiet: bool = False
    say: Callable[[str], None] = lambda text: None


@dataclass
class _Running:
    """A run in progress.

    Attributes:
        told: what there is to tell of each stage that is through.
        workers: stages at work in other processes, when each began, and why.
    """

    pipeline: Pipeline
    options: RunOptions
    digests: Digests
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    workers: dict[str, tuple[Worker, Planned, float]] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        """Stages that may run at once."""
        return self.options.jobs or self.pipeline.jobs


def plan_pipeline(pipeline: Pipeline, leniency: Leniency) -> dict[str, Any]:
    """What a run would do; nothing is written.

    Returns: as :func:`run_pipeline`, with ``state`` "stale" of what would run; of those ``seconds``
        and ``result`` are the last run's.
    Raises: InputError: an output is there that no stage here is known to have made.
    """
    plan = planned(pipeline, _digests(pipeline), leniency)
    stages = [_told(each, STALE if each.reasons else CURRENT) for each in plan]
    return _summary(pipeline, stages, dry_run=True, seconds=0.0)


def run_pipeline(pipeline: Pipeline, options: RunOptions) -> dict[str, Any]:
    """Run every stage that is not current, each after those that it reads from.

    Returns: ``pipeline``, ``out``, ``dry_run``, ``stages`` (a list of {name, kind, state, reasons,
        outputs, seconds, result}, with ``state`` "current" or "done"), ``ran``, ``stale`` and
        ``current`` (names), ``seconds``.
    Raises:
        InputError: an input or option is wrong, or an output is there that is not the pipeline's.
        WorldError: the disk is full, or a process was killed; the same run goes on.
        Interrupted: stopped by a signal; the same run goes on.
    """
    began = time.monotonic()
    with locked(pipeline.folder.absolute()):
        running = _Running(pipeline, options, _digests(pipeline))
        # All of it before the first stage: what is refused is refused before anything is written.
        planned(pipeline, running.digests, options.leniency)
        with whole_file(pipeline.folder / DEFINITION) as partial:
            partial.write_text(yaml.safe_dump(dict(pipeline.written), sort_keys=False))
        try:
            _all_stages(running)
        except KeyboardInterrupt as error:
            at = " and ".join(running.workers)
            raise _stopped(pipeline, f"in {at}" if at else "between stages") from error
        finally:
            for worker, _, _ in running.workers.values():
                worker.stop()
    stages = [running.told[name] for name in pipeline.stages]
    seconds = round(time.monotonic() - began, 3)
    return _summary(pipeline, stages, dry_run=False, seconds=seconds)


def _all_stages(running: _Running) -> None:
    """Begin what can begin, see what has ended, until all is through."""
    pipeline = running.pipeline
    while len(running.told) < len(pipeline.stages):
        for name in pipeline.stages:
            waits = not pipeline.needs[name] <= set(running.told)
            if name in running.told or name in running.workers or waits:
                continue
            if len(running.workers) < running.jobs:
                _begun(running, name)
        for name, (worker, plan, began) in list(running.workers.items()):
            with _named(pipeline, name):
                result = worker.finished()
            if result is not None:
                del running.workers[name]
                _ended(running, plan, result, time.monotonic() - began)
        if running.workers:
            time.sleep(POLL_SECONDS)


def _begun(running: _Running, name: str) -> None:
    """Begin a stage, and end it where it runs in this process or is current."""
    pipeline, options = running.pipeline, running.options
    plan = examined(pipeline, name, running.digests, options.leniency)
    if plan.is_current:
        _refresh(pipeline, plan)
        options.say(f"{name}: current")
        running.told[name] = _told(plan, CURRENT)
        return
    options.say(f"{name}: {'; '.join(plan.reasons)}")
    write_record(pipeline.folder, name, Record(plan.origin))
    began = time.monotonic()
    call = Call(
        resume=plan.resume,
        device=options.device,
        quiet=options.quiet,
        say=lambda text: options.say(f"{name}: {text}"),
    )
    if running.jobs > 1 or plan.stage.processes > 1:
        log = pipeline.folder / FOLDER / f"{name}.log" if running.jobs > 1 else None
        if log is not None:
            options.say(f"{name}: its messages go to {log}")
        worker = start_worker(plan.stage, call, pipeline.folder, pipeline.modules, log)
        running.workers[name] = (worker, plan, began)
        return
    with _named(pipeline, name), alone(pipeline.folder / FOLDER / name):
        result = perform(plan.stage, call)
    _ended(running, plan, result, time.monotonic() - began)


def _ended(running: _Running, plan: Planned, result: Mapping[str, Any], seconds: float) -> None:
    """Record that a stage is done, with what its outputs hold."""
    stage = plan.stage
    outputs = {option: running.digests.content(path) for option, path in stage.outputs.items()}
    lacking = next((option for option, digest in outputs.items() if digest == ABSENT), None)
    if lacking is not None:
        raise InputError(
            f"stage {stage.name}: {stage.kind} ended without its output {lacking} "
            f"({stage.outputs[lacking]}); have it written"
        )
    record = Record(plan.origin, True, outputs, round(seconds, 3), result)
    write_record(running.pipeline.folder, stage.name, record)
    running.digests.save()
    running.options.say(f"{stage.name}: done in {seconds:.1f} s")
    running.told[stage.name] = _told(replace(plan, record=record), DONE)


def _refresh(pipeline: Pipeline, plan: Planned) -> None:
    """What was forgiven once is forgiven from then on."""
    if plan.record is not None and plan.record.origin != plan.origin:
        write_record(pipeline.folder, plan.stage.name, replace(plan.record, origin=plan.origin))


@contextmanager
def _named(pipeline: Pipeline, name: str) -> Iterator[None]:
    """Failures within the block say which stage they are of, and how to go on."""
    try:
        yield
    except InputError as error:
        # The settings of a training are options of the stage here.
        way_out = str(error).replace("--set ", f"--set {name}.set.")
        raise InputError(f"stage {name}: {way_out}") from error
    except WorldError as error:
        raise WorldError(f"stage {name}: {error}; the same run command goes on") from error
    except (Interrupted, KeyboardInterrupt) as error:
        raise _stopped(pipeline, f"in stage {name}") from error


def _stopped(pipeline: Pipeline, where: str) -> Interrupted:
    return Interrupted(f"{pipeline.folder}: stopped {where}; the same run command goes on")


def _digests(pipeline: Pipeline) -> Digests:
    return Digests(pipeline.folder / FOLDER / DIGESTS)


def _told(plan: Planned, state: str) -> dict[str, Any]:
    record = plan.record
    return {
        "name": plan.stage.name,
        "kind": plan.stage.kind,
        "state": state,
        "reasons": list(plan.reasons),
        "outputs": {option: str(path) for option, path in plan.stage.outputs.items()},
        "seconds": record.seconds if record else 0.0,
        "result": dict(record.result) if record else {},
    }


def _summary(
    pipeline: Pipeline, stages: list[dict[str, Any]], *, dry_run: bool, seconds: float
) -> dict[str, Any]:
    current = [each["name"] for each in stages if each["state"] == CURRENT]
    others = [each["name"] for each in stages if each["state"] != CURRENT]
    return {
        "pipeline": pipeline.name,
        "out": str(pipeline.folder),
        "dry_run": dry_run,
        "stages": stages,
        "ran": [] if dry_run else others,
        "stale": others if dry_run else [],
        "current": current,
        "seconds": seconds,
    }
