"""Configuration: a YAML file fills a pydantic model, ``--set a.b=value`` overrides.

The models stand beside the code they configure; this module only loads, overrides,
explains and saves. YAML holds values alone: no class paths, no expressions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from eo_contrast.errors import InputError


class Config(BaseModel):
    """Base of every configuration: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


ConfigT = TypeVar("ConfigT", bound=Config)


def shipped_folder(kind: str) -> Path:
    """The folder of files shipped with the package: ``configs/translate``, ``pipelines``, ...

    In a wheel they lie inside the package; in a checkout beside it.
    """
    inside = Path(str(resources.files("eo_contrast"))) / "_shipped" / kind
    return inside if inside.is_dir() else Path(__file__).parent.parent / kind


def find_config(source: str, kind: str) -> Path:
    """A YAML file's path, from a path or from the name of a shipped one.

    Raises:
        InputError: neither a file nor a shipped name; lists the shipped names.
    """
    path = Path(source)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(shipped_folder(kind).glob("*.yaml"))}
    if source in shipped:
        return shipped[source]
    near = nearest(source, shipped)
    raise InputError(
        f"{source}: no such configuration file{near}; shipped ones are {', '.join(shipped)}"
    )


def load_config(model: type[ConfigT], path: Path, overrides: Iterable[str] = ()) -> ConfigT:
    """Read ``path`` into ``model``, then apply ``a.b=value`` overrides in order.

    Raises:
        InputError: not YAML, an unknown key (the nearest right one is named), a value
            that the model refuses, or an override without ``=``.
    """
    values = read_values(path)
    for override in overrides:
        apply_override(values, override)
    return validated(model, values, str(path))


def read_values(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file.

    Raises: InputError: not YAML, or something else than keys and values.
    """
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds {type(values).__name__}, not keys and values")
    return values


def validated(model: type[ConfigT], values: Mapping[str, Any], where: str) -> ConfigT:
    """The configuration that the values make.

    Args:
        where: what they are of, for the message.

    Raises: InputError: an unknown key (the nearest right one is named), or a value that the model
        refuses.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error, model)}") from error


def save_config(config: Config, path: Path) -> None:
    """Write every value, defaults included, so that the file alone repeats the run."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set what ``a.b=value`` says in nested values.

    Raises: InputError: no ``=``, no YAML, or a key below one that has no parts.
    """
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise InputError(f"--set {override}: expected KEY=VALUE, such as optimizer.lr=1e-4")
    *parents, last = key.strip().split(".")
    here = values
    for parent in parents:
        if here.get(parent) is None:
            here[parent] = {}
        child = here[parent]
        if not isinstance(child, dict):
            raise InputError(f"--set {override}: {parent} holds {child!r}, it has no parts")
        here = child
    try:
        here[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: {text!r} is not a YAML value") from error


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    where = ".".join(location)
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        near = nearest(location[-1], known)
        return f"unknown key '{where}'{near}; known here: {', '.join(sorted(known))}"
    message = first["msg"].removeprefix("Value error, ")
    if not where:
        return message
    if first["type"] == "missing":
        return f"'{where}' is missing"
    return f"'{where}' is {first['input']!r}: {message[0].lower()}{message[1:]}"


def _fields_at(model: type[BaseModel], location: list[str]) -> Mapping[str, object]:
    for part in location:
        field = model.model_fields.get(part)
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
                break
    return model.model_fields


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by the dotted names that :func:`apply_override` takes."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def nearest(word: str, known: Iterable[str]) -> str:
    """For messages: ``; did you mean 'x'?``, or nothing where none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
