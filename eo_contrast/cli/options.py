"""Options that several commands share, so that each is spelled and explained once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from eo_contrast.cli.failures import want_traceback

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Output:
    """Where a command's words go: results on stdout, everything else on stderr.

    Attributes:
        json: the user wants one JSON object on stdout and nothing else there.
        quiet: the user wants neither progress nor remarks.
    """

    json: bool = False
    quiet: bool = False

    def emit(self, result: Mapping[str, Any]) -> None:
        """Print ``result`` as the command's one JSON object, if the user asked for JSON.

        Paths become strings, numpy values plain ones, and numbers that JSON cannot hold
        (NaN, infinity) null.
        """
        if self.json:
            click.echo(json.dumps(_plain(result), allow_nan=False))

    def show(self, text: str) -> None:
        """Print a result for people on stdout, unless the user asked for JSON."""
        if not self.json:
            click.echo(text)

    def say(self, text: str) -> None:
        """Print a remark on stderr, unless the user asked for quiet."""
        if not self.quiet:
            click.echo(text, err=True)


def output_options(command: CommandT) -> CommandT:
    """Add ``--json --quiet --debug``; the command gets an :class:`Output` as ``output``."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    @click.option("--quiet", is_flag=True, help="No progress, no remarks.")
    @click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=want_traceback,
        help="Show the traceback of an error.",
    )
    @wraps(command)
    def with_output(*args: Any, as_json: bool, quiet: bool, **kwargs: Any) -> Any:
        return command(*args, output=Output(json=as_json, quiet=quiet), **kwargs)

    return with_output  # type: ignore[return-value]


def overwrite_option(command: CommandT) -> CommandT:
    """Add ``--overwrite``; the command gets ``overwrite: bool``."""
    return click.option("--overwrite", is_flag=True, help="Replace an output that already exists.")(
        command
    )


def device_option(command: CommandT) -> CommandT:
    """Add ``--device``; the command gets ``device``: auto, cpu, cuda or mps."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where the networks run; auto takes the fastest there is.",
    )(command)


def given_options() -> frozenset[str]:
    """Names of the options that the user gave, and did not leave at their defaults."""
    context = click.get_current_context()
    return frozenset(
        name
        for name in context.params
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
