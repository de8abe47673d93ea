"""What a stage is: a plain function of a configuration whose fields say what it reads and writes.

A stage is declared by its configuration alone::

    class Brightness(Config):
        catalogue: Input
        out: Output
        band: str = "B04"

    def brightness(config: Brightness, call: Call) -> dict[str, Any]: ...

Fields of type ``Input``, ``Inputs`` and ``Archive`` are what it reads, ``Output`` what it writes,
whole or not at all; ``Means[T]`` says how or where the work is done and not what comes of it. All
other fields are options, and what is made of others is made anew.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

from eo_contrast.config import Config, flattened
from eo_contrast.errors import InputError


class Role(Enum):
    """What a field of a stage's configuration is to the pipeline."""

    INPUT = "input"
    ARCHIVE = "archive"
    OUTPUT = "output"
    MEANS = "means"


T = TypeVar("T")
Input = Annotated[Path, Role.INPUT]
"""A file or folder that is read; known by its content."""
OptionalInput = Annotated[Path | None, Role.INPUT]
Inputs = Annotated[dict[str, Path], Role.INPUT]
"""Several, by name."""
Archive = Annotated[Path, Role.ARCHIVE]
"""A folder too large to be read whole; known by names, sizes and times, and by where it lies."""
Output = Annotated[Path, Role.OUTPUT]
"""A file or folder that is written, below the pipeline's folder."""
OptionalOutput = Annotated[Path | None, Role.OUTPUT]
Means = Annotated[T, Role.MEANS]
"""An option that changes how or where the work is done, and not a byte of the outputs."""

READ = (Role.INPUT, Role.ARCHIVE)


@dataclass(frozen=True)
class Call:
    """What a stage is told beside its configuration.

    Attributes:
        resume: an earlier call with the same inputs and options was stopped: go on from what it
            left, where the stage can; else, and otherwise always, write outputs anew.
        device: auto, cpu, cuda or mps.
        say: takes a remark, one line.
    """

    resume: bool = False
    device: str = "auto"
    quiet: bool = False
    say: Callable[[str], None] = lambda text: None


StageFunction = Callable[[Any, Call], Mapping[str, Any]]
"""Does the work, and returns what is worth telling of it, as the command of that name does."""


@runtime_checkable
class NamesSettings(Protocol):
    """A configuration whose options ``config`` and ``set`` name settings with changes to them."""

    def settings(self) -> Config:
        """All of them; not the name of their file decides, but these values."""
        ...


@dataclass(frozen=True)
class Stage:
    """A stage of a pipeline.

    Attributes:
        name: in the pipeline.
        kind: the name of its function, as the pipeline's file has it.
        config: with paths as they are on disk.
        inputs: by option; of an option with several ``option.name``.
        archives: which of them are archives.
        outputs: by option.
        options: what else decides its outputs, nested options as ``a.b``.
    """

    name: str
    kind: str
    function: StageFunction
    config: Config
    inputs: Mapping[str, Path]
    archives: frozenset[str]
    outputs: Mapping[str, Path]
    options: Mapping[str, Any]

    @property
    def processes(self) -> int:
        """How many share the work, started by torchrun where it is more than one."""
        return int(getattr(self.config, "processes", 1))


def new_stage(name: str, kind: str, function: StageFunction, config: Config) -> Stage:
    """A stage of a configuration whose paths are as they are on disk.

    Raises: InputError: the settings that it names are wrong.
    """
    return Stage(
        name=name,
        kind=kind,
        function=function,
        config=config,
        inputs=paths_of(config, *READ),
        archives=frozenset(paths_of(config, Role.ARCHIVE)),
        outputs=paths_of(config, Role.OUTPUT),
        options=_options(config),
    )


def config_of(function: StageFunction, kind: str) -> type[Config]:
    """The configuration that a stage's function takes, by the annotation of its first argument.

    Raises: InputError: it is no such function, or its configuration has no output.
    """
    parameters = list(inspect.signature(function).parameters) if callable(function) else []
    hints = typing.get_type_hints(function) if parameters else {}
    found = hints.get(parameters[0]) if len(parameters) == 2 else None
    if not (isinstance(found, type) and issubclass(found, Config)):
        raise InputError(
            f"{kind}: a stage is a function of (config: CONFIG, call: Call), where CONFIG is a "
            "class made of eo_contrast.config.Config; see docs/pipelines.md"
        )
    if not any(_role(found, field) is Role.OUTPUT for field in found.model_fields):
        raise InputError(
            f"{kind}: {found.__name__} has no output; declare one, as in 'out: Output'"
        )
    return found


def paths_of(config: Config, *roles: Role) -> dict[str, Path]:
    """Paths in the fields of these roles, by option; of an option with several ``option.name``."""
    found: dict[str, Path] = {}
    for field in type(config).model_fields:
        value = getattr(config, field)
        if _role(type(config), field) not in roles or value is None:
            continue
        if isinstance(value, Mapping):
            found |= {f"{field}.{name}": path for name, path in value.items()}
        else:
            found[field] = value
    return found


def with_paths(config: Config, paths: Mapping[str, Path]) -> Config:
    """The configuration with other paths, named as :func:`paths_of` does."""
    changed: dict[str, Any] = {}
    for name, path in paths.items():
        field, several, key = name.partition(".")
        if several:
            changed[field] = {**changed.get(field, getattr(config, field)), key: path}
        else:
            changed[field] = path
    return config.model_copy(update=changed)


def with_means(config: Config, **means: Any) -> Config:
    """The configuration with these means, where it has such fields and the user set none."""
    fields = type(config).model_fields
    changed = {
        name: value
        for name, value in means.items()
        if value is not None and name in fields and name not in config.model_fields_set
    }
    return config.model_copy(update=changed)


def _options(config: Config) -> dict[str, Any]:
    kind = type(config)
    values = config.model_dump(mode="json")
    decides = {name: value for name, value in values.items() if _role(kind, name) is None}
    if isinstance(config, NamesSettings):
        del decides["config"]
        decides["set"] = config.settings().model_dump(mode="json")
    return flattened(decides)


def _role(kind: type[Config], field: str) -> Role | None:
    metadata = kind.model_fields[field].metadata
    return next((each for each in metadata if isinstance(each, Role)), None)
