"""A pipeline from its file: stages, and which of them reads what another writes."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import yaml
from pydantic import Field

from eo_contrast.config import Config, apply_override, nearest, read_values, validated
from eo_contrast.errors import InputError
from eo_contrast.pipeline.graph import find_cycle, in_order
from eo_contrast.pipeline.stage import (
    READ,
    Role,
    Stage,
    StageFunction,
    config_of,
    new_stage,
    paths_of,
    with_means,
    with_paths,
)
from eo_contrast.pipeline.stages import STAGES

KIND, GIVEN = "kind", "given"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class PipelineConfig(Config):
    """A pipeline's file; each stage's values go to the configuration of its function."""

    jobs: int = Field(1, ge=1, description="stages that may run at once, each its own process")
    scheduler: str | None = Field(
        None, description="address of a dask cluster, for all stages that can spread over one"
    )
    given: dict[str, Path | None] = Field(
        {}, description="files from outside, by the names that stages read them by"
    )
    stages: dict[str, dict[str, Any] | None] = Field(
        min_length=1, description="by name: kind (else the name is the kind), and its options"
    )


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that can run.

    Attributes:
        folder: where outputs go.
        modules: where the file lies, and modules that it names beside it.
        stages: each after those that it reads from.
        makers: by stage and input, the stages that make it, or parts of it.
        written: the same as a file's values, every option with its value.
    """

    name: str
    folder: Path
    modules: Path
    stages: Mapping[str, Stage]
    makers: Mapping[str, Mapping[str, frozenset[str]]]
    jobs: int
    written: Mapping[str, Any]

    @cached_property
    def needs(self) -> dict[str, frozenset[str]]:
        """By stage, the stages that it reads from."""
        return {name: frozenset().union(*of.values()) for name, of in self.makers.items()}


@dataclass(frozen=True)
class _Drafted:
    """A stage whose paths are still as the file has them.

    Attributes:
        inputs: by option, those that are given in place of their names.
    """

    name: str
    kind: str
    function: StageFunction
    config: Config
    inputs: Mapping[str, Path]


def load_pipeline(
    file: Path, folder: Path, overrides: Iterable[str] = (), *, scheduler: str | None = None
) -> Pipeline:
    """Read a pipeline and find out what waits for what; nothing is run or written.

    Args:
        folder: where outputs go; relative paths in the file are outputs there, where a stage makes
            them, and else files as seen from the current folder.
        overrides: ``stage.option=value``, or ``given.name=path``.
        scheduler: instead of the file's.

    Raises:
        InputError: an unknown stage, kind or option, two stages with one output, an input that no
            stage makes and no file is, or a cycle.
    """
    config = _read(file, overrides)
    config = config.model_copy(update={"scheduler": scheduler or config.scheduler})
    drafted = {
        name: _drafted(file, name, values or {}, config) for name, values in config.stages.items()
    }
    outputs = _outputs(file, drafted, config.given)
    made_by = {name: dict(_made_by(draft, folder, outputs)) for name, draft in drafted.items()}
    needs = {
        name: frozenset(maker for makers in of_inputs.values() for maker in makers)
        for name, of_inputs in made_by.items()
    }
    _refuse_cycle(file, needs, made_by)
    stages = {}
    for name in in_order(needs):
        draft = drafted[name]
        found = {
            option: _on_disk(path, folder, inside=bool(made_by[name][option]))
            for option, path in draft.inputs.items()
        }
        _refuse_missing(file, draft, found, made_by[name], outputs)
        written = {
            option: folder.absolute() / path
            for option, path in paths_of(draft.config, Role.OUTPUT).items()
        }
        stages[name] = _stage(file, draft, {**found, **written})
    return Pipeline(
        name=file.stem,
        folder=folder,
        modules=file.parent,
        stages=stages,
        makers={
            name: {option: frozenset(makers) for option, makers in made_by[name].items()}
            for name in stages
        },
        jobs=config.jobs,
        written=_written(config, drafted),
    )


def function_of(kind: str, modules: Path) -> StageFunction:
    """The function of a stage: a shipped one by its name, or another as ``module:function``.

    Args:
        modules: a folder that is looked in, beside what is installed.

    Raises: InputError: there is none.
    """
    module, is_own, name = kind.partition(":")
    if not is_own:
        if kind in STAGES:
            return STAGES[kind]
        raise InputError(
            f"unknown kind of stage '{kind}'{nearest(kind, STAGES)}; known are "
            f"{', '.join(STAGES)}, or a function of your own as module:function"
        )
    if str(modules.absolute()) not in sys.path:
        sys.path.insert(0, str(modules.absolute()))
    try:
        function: StageFunction = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{kind}: cannot be imported ({error}); looked beside the pipeline's file and among "
            "what is installed"
        ) from error
    return function


def _read(file: Path, overrides: Iterable[str]) -> PipelineConfig:
    _refuse_repeated(file)
    values = read_values(file)
    stages = values.get("stages")
    known: dict[str, Any] = stages if isinstance(stages, dict) else {}
    for override in overrides:
        key, has_value, _ = override.partition("=")
        name, has_option, _ = key.strip().partition(".")
        if not (has_value and has_option):
            raise InputError(
                f"--set {override}: expected STAGE.OPTION=VALUE; stages are {', '.join(known)}"
            )
        if name == GIVEN:
            apply_override(values, override)
        elif name in known:
            apply_override(known, override)
        else:
            raise InputError(
                f"--set {override}: {file} has no stage '{name}'{nearest(name, known)}; it has "
                f"{', '.join(known)}"
            )
    return validated(PipelineConfig, values, str(file))


def _refuse_repeated(file: Path) -> None:
    """Refuse two stages of one name, of which YAML would keep the second and say nothing."""
    try:
        top = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return  # reading the values tells what is wrong
    for key, value in top.value if isinstance(top, yaml.MappingNode) else []:
        if key.value == "stages" and isinstance(value, yaml.MappingNode):
            names = [name.value for name, _ in value.value]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise InputError(f"{file}: two stages are called {twice}; rename one")


def _drafted(
    file: Path, name: str, values: Mapping[str, Any], pipeline: PipelineConfig
) -> _Drafted:
    where = f"{file}: stage {name}"
    if not NAME.fullmatch(name) or name == GIVEN:
        raise InputError(f"{where}: a name is of letters, digits, _ and -, a letter first")
    kind = str(values.get(KIND, name))
    try:
        function = function_of(kind, file.parent)
        model = config_of(function, kind)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    options = {key: value for key, value in values.items() if key != KIND}
    missing = [
        option
        for option, field in model.model_fields.items()
        if field.is_required() and option not in options
    ]
    if missing:
        raise InputError(f"{where}: needs {missing[0]}; give --set {name}.{missing[0]}=VALUE")
    try:
        config = validated(model, options, where)
    except InputError as error:
        text = str(error)
        raise (error if text.startswith(where) else InputError(f"{where}: {text}")) from error
    config = with_means(config, scheduler=pipeline.scheduler)
    inputs = {
        option: _in_place(path, pipeline.given, file)
        for option, path in paths_of(config, *READ).items()
    }
    return _Drafted(name, kind, function, config, inputs)


def _in_place(path: Path, given: Mapping[str, Path | None], file: Path) -> Path:
    """The path itself, or where the file lies whose name it begins with."""
    first, *rest = path.parts or (".",)
    if first not in given:
        return path
    place = given[first]
    if place is None:
        raise InputError(f"{file}: {first} is to be given; give --set {GIVEN}.{first}=PATH")
    return Path.cwd().joinpath(place.expanduser(), *rest)


def _outputs(
    file: Path, drafted: Mapping[str, _Drafted], given: Mapping[str, Path | None]
) -> dict[PurePath, str]:
    """The stage that makes each output.

    Raises: InputError: two make one, one within another's, or outside of the pipeline's folder.
    """
    makers: dict[PurePath, str] = {}
    for name, draft in drafted.items():
        for option, path in paths_of(draft.config, Role.OUTPUT).items():
            where = f"{file}: stage {name}: {option}: {path}"
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise InputError(f"{where}: outputs lie below the pipeline's folder; give a name")
            if path.parts[0].startswith("."):
                raise InputError(f"{where}: hidden names are the pipeline's own; give another")
            if path.parts[0] in given:
                raise InputError(f"{where}: is the name of a file that is given; rename one")
            for other, maker in makers.items():
                if _meet(path, other):
                    clash = f"is an output of stage {maker}, too"
                    if path != other:
                        clash = f"lies within or around {other}, an output of stage {maker}"
                    raise InputError(f"{where}: {clash}; rename one of them")
            makers[path] = name
    return makers


def _made_by(
    draft: _Drafted, folder: Path, outputs: Mapping[PurePath, str]
) -> Iterator[tuple[str, dict[str, PurePath]]]:
    """For each input the stages that make it, or a part of it, and their outputs."""
    for option, path in draft.inputs.items():
        inside = _inside(path, folder)
        yield (
            option,
            {
                maker: output
                for output, maker in outputs.items()
                if inside is not None and _meet(inside, output)
            },
        )


def _inside(path: Path, folder: Path) -> PurePath | None:
    """A path as seen from the pipeline's folder; None: it lies elsewhere."""
    if not path.is_absolute():
        return PurePath(*(part for part in path.parts if part != "."))
    absolute = folder.absolute()
    return path.relative_to(absolute) if path.is_relative_to(absolute) else None


def _meet(one: PurePath, other: PurePath) -> bool:
    """Whether two paths are one, or one lies within the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def _on_disk(path: Path, folder: Path, *, inside: bool) -> Path:
    base = folder.absolute() if inside else Path.cwd()
    return base / path.expanduser()


def _refuse_missing(
    file: Path,
    draft: _Drafted,
    found: Mapping[str, Path],
    made_by: Mapping[str, Mapping[str, PurePath]],
    outputs: Mapping[PurePath, str],
) -> None:
    for option, path in found.items():
        if not made_by[option] and not path.exists():
            written = draft.inputs[option]
            others = [str(output) for output, maker in outputs.items() if maker != draft.name]
            near = nearest(str(written), [*others, *_beside(written)])
            raise InputError(
                f"{file}: stage {draft.name}: its {option} is {written}, which no stage makes and "
                f"no file is{near or f'; give --set {draft.name}.{option}=PATH'}"
            )


def _beside(path: Path) -> list[str]:
    """What lies in the folder of a file that is missing, named as it was."""
    folder = path.expanduser().parent
    if not folder.is_dir():
        return []
    return [str(path.with_name(each.name)) for each in sorted(folder.iterdir())]


def _refuse_cycle(
    file: Path,
    needs: Mapping[str, frozenset[str]],
    made_by: Mapping[str, Mapping[str, Mapping[str, PurePath]]],
) -> None:
    cycle = find_cycle(needs)
    if not cycle:
        return
    steps = []
    for stage, maker in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        output = next(makers[maker] for makers in made_by[stage].values() if maker in makers)
        steps.append(f"{stage} needs {output} of {maker}")
    raise InputError(
        f"{file}: stages wait for each other: {', '.join(steps)}; let one of them read another file"
    )


def _stage(file: Path, draft: _Drafted, paths: Mapping[str, Path]) -> Stage:
    try:
        return new_stage(draft.name, draft.kind, draft.function, with_paths(draft.config, paths))
    except InputError as error:
        raise InputError(f"{file}: stage {draft.name}: {error}") from error


def _written(config: PipelineConfig, drafted: Mapping[str, _Drafted]) -> dict[str, Any]:
    stages = {
        name: {KIND: draft.kind, **draft.config.model_dump(mode="json")}
        for name, draft in drafted.items()
    }
    return {**config.model_dump(mode="json"), "stages": stages}
