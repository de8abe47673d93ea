"""What is kept of each stage: what its outputs were made of, and whether they are finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eo_contrast.files import whole_file

FOLDER = ".pipeline"
"""In the pipeline's folder: a record a stage, the memory of digests, the lock."""
ABSENT_IN_WORDS = "nothing"


@dataclass(frozen=True)
class Origin:
    """Everything that decides a stage's outputs.

    Attributes:
        inputs: digests by option.
        code: digests by module.
    """

    kind: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str]
    code: Mapping[str, str]


@dataclass(frozen=True)
class Record:
    """A stage that was begun, and perhaps finished.

    Attributes:
        done: outputs are whole; else it was stopped, or runs.
        outputs: digests by option, where it is done.
        seconds: that it took, over all calls that it was resumed by.
        result: what its function returned.
    """

    origin: Origin
    done: bool = False
    outputs: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    result: Mapping[str, Any] = field(default_factory=dict)


def read_record(folder: Path, stage: str) -> Record | None:
    """The record of a stage; None: there is none, or one that is damaged or of another release."""
    try:
        told = json.loads(_path(folder, stage).read_text())
        return Record(**{**told, "origin": Origin(**told["origin"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(folder: Path, stage: str, record: Record) -> None:
    """Replace the record of a stage, whole or not at all.

    Raises: WorldError: the disk is full or failing.
    """
    with whole_file(_path(folder, stage)) as partial:
        partial.write_text(json.dumps(asdict(record), indent=1))


def differences(then: Origin, now: Origin) -> list[str]:
    """What changed from one to the other, a line each; equal ones have none."""
    found = []
    if then.kind != now.kind:
        found.append(f"stage changed: was {then.kind}, is {now.kind}")
    else:
        found += [
            f"option changed: {name} was {_worded(then.options, name)}, "
            f"is {_worded(now.options, name)}"
            for name in _changed(then.options, now.options)
        ]
    for name in _changed(then.inputs, now.inputs):
        if name not in then.inputs:
            found.append(f"input added: {name}")
        elif name not in now.inputs:
            found.append(f"input taken away: {name}")
        else:
            found.append(f"input changed: {name}")
    changed = _changed(then.code, now.code)
    if changed and then.kind == now.kind:
        others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        found.append(f"code changed: {changed[0]}{others}")
    return found


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name in {**then, **now} if then.get(name, ...) != now.get(name, ...)]


def _worded(options: Mapping[str, Any], name: str) -> str:
    return json.dumps(options[name]) if name in options else ABSENT_IN_WORDS


def _path(folder: Path, stage: str) -> Path:
    return folder / FOLDER / f"{stage}.json"
