"""Which stages have to run, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from eo_contrast.errors import InputError
from eo_contrast.files import refuse_existing
from eo_contrast.pipeline.code import code_of
from eo_contrast.pipeline.content import ABSENT, Digests
from eo_contrast.pipeline.definition import Pipeline
from eo_contrast.pipeline.record import Origin, Record, differences, read_record
from eo_contrast.pipeline.stage import Stage

NOT_MADE = "not made yet"
STOPPED = "was begun and did not finish"


@dataclass(frozen=True)
class Planned:
    """What is to be done of a stage.

    Attributes:
        reasons: why it has to run; empty: it is current.
        origin: what its outputs would be made of; inputs that are not there yet are left out.
        record: what is kept of it; None: it was never begun.
        resume: it goes on from what an earlier, stopped call left, where the stage can.
    """

    stage: Stage
    reasons: tuple[str, ...]
    origin: Origin
    record: Record | None
    resume: bool = False

    @property
    def is_current(self) -> bool:
        """Whether nothing has to be done."""
        return not self.reasons


@dataclass(frozen=True)
class Leniency:
    """What is forgiven.

    Attributes:
        overwrite: outputs that are there and that no stage here is known to have made.
        same_code: that other code made the outputs.
    """

    overwrite: bool = False
    same_code: bool = False


def planned(pipeline: Pipeline, digests: Digests, leniency: Leniency) -> list[Planned]:
    """Every stage in order; whatever reads from one that has to run has to run, too.

    While the stages run, one whose inputs come out as they were turns out to be current.

    Raises: InputError: an output is there that no stage here is known to have made.
    """
    found: list[Planned] = []
    to_run: set[str] = set()
    for name in pipeline.stages:
        found.append(examined(pipeline, name, digests, leniency, to_run=to_run))
        if not found[-1].is_current:
            to_run.add(name)
    return found


def examined(
    pipeline: Pipeline,
    name: str,
    digests: Digests,
    leniency: Leniency,
    *,
    to_run: Set[str] = frozenset(),
) -> Planned:
    """What is to be done of one stage.

    Args:
        to_run: stages before it that will run first.

    Raises: InputError: as :func:`planned` does.
    """
    stage = pipeline.stages[name]
    record = read_record(pipeline.folder, name)
    makers = pipeline.makers[name]
    waiting = {option: makers[option] & to_run for option in makers if makers[option] & to_run}
    origin = origin_of(stage, digests, without=waiting)
    if record is None:
        _refuse_strangers(stage, leniency)
        return Planned(stage, (NOT_MADE,), origin, None)
    then = record.origin
    if leniency.same_code:
        then = replace(then, code=origin.code)
    reasons = [
        f"input made anew: {option}, by {', '.join(sorted(names))}"
        for option, names in waiting.items()
    ]
    reasons += differences(_without(then, waiting), origin)
    if not record.done:
        return Planned(stage, (STOPPED, *reasons), origin, record, resume=not reasons)
    reasons += _outputs_changed(stage, record, digests)
    return Planned(stage, tuple(reasons), origin, record)


def origin_of(
    stage: Stage, digests: Digests, *, without: Mapping[str, object] | None = None
) -> Origin:
    """What a stage's outputs would be made of now, but for some inputs."""
    inputs = {
        option: digests.stamps(path) if option in stage.archives else digests.content(path)
        for option, path in stage.inputs.items()
        if option not in (without or {})
    }
    return Origin(stage.kind, stage.options, inputs, code_of(stage.function))


def _without(origin: Origin, inputs: Mapping[str, object]) -> Origin:
    kept = {name: digest for name, digest in origin.inputs.items() if name not in inputs}
    return replace(origin, inputs=kept)


def _outputs_changed(stage: Stage, record: Record, digests: Digests) -> list[str]:
    found = []
    for option, path in stage.outputs.items():
        digest = digests.content(path)
        if digest == ABSENT:
            found.append(f"output missing: {option} ({path.name})")
        elif digest != record.outputs.get(option):
            found.append(f"output changed since: {option} ({path.name})")
    return found


def _refuse_strangers(stage: Stage, leniency: Leniency) -> None:
    for path in stage.outputs.values():
        try:
            refuse_existing(path, overwrite=leniency.overwrite)
        except InputError as error:
            raise InputError(
                f"{path}: is there already, and stage {stage.name} is not known to have made it; "
                "give --overwrite to replace it, or another --out"
            ) from error
