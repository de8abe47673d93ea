"""Stages of a pipeline's own, as small as they come: texts joined to a text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydantic import Field

from eo_contrast.config import Config
from eo_contrast.files import whole_file
from eo_contrast.pipeline.stage import Archive, Call, Input, Inputs, Means, Output

calls: list[str] = []
"""Words of the stages that ran in this process, a star behind those that went on."""


class Joined(Config):
    """A word, and what the parts say."""

    parts: Inputs = Field({})
    word: str = ""
    tags: dict[str, int] = Field({})
    threads: Means[int] = 1
    seconds: Means[float] = 0
    out: Output


class Looked(Config):
    """A folder that is looked at."""

    root: Archive
    out: Output


class Idle(Config):
    """An output that is never made."""

    out: Output


class Without(Config):
    """No output."""

    source: Input


def joined(config: Joined, call: Call) -> dict[str, Any]:
    """Write the word and the parts' texts."""
    calls.append(config.word + ("*" if call.resume else ""))
    time.sleep(config.seconds)
    if config.word == "stop":
        raise KeyboardInterrupt
    texts = [path.read_text() for _, path in sorted(config.parts.items())]
    print("this is no result")
    call.say("joined")
    with whole_file(config.out) as partial:
        partial.write_text(config.word + "".join(texts))
    return {"length": len(config.word), "out": config.out, "nothing": float("nan")}


def shouted(config: Joined, call: Call) -> dict[str, Any]:
    """Write the word louder."""
    config.out.write_text(config.word.upper())
    return {}


def looked(config: Looked, call: Call) -> dict[str, Any]:
    """Write how many files there are."""
    calls.append("look")
    config.out.write_text(str(len([*config.root.iterdir()])))
    return {}


def idle(config: Idle, call: Call) -> dict[str, Any]:
    """Do nothing."""
    return {}


def without(config: Without, call: Call) -> dict[str, Any]:
    """Never called."""
    return {}


def no_stage(path: Path) -> None:
    """No stage."""
