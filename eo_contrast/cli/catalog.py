"""``eo-contrast catalog``: what a catalogue holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eo_contrast.cli.options import Output, output_options


@click.group(name="catalog")
def command() -> None:
    """Look at a catalogue that ``eo-contrast ingest`` made."""


@command.command(name="info")
@click.argument("catalogue", type=click.Path(path_type=Path))
@output_options
def info(catalogue: Path, *, output: Output) -> None:
    """Count the images of CATALOGUE by sensor, product, split and label.

    \b
    Example:
      eo-contrast catalog info eurosat.parquet
    """
    from eo_contrast.catalog.describe import describe_catalogue

    facts = describe_catalogue(catalogue)
    output.emit(facts)
    output.show("\n".join(f"{name}: {_worded(value)}" for name, value in facts.items()))


def _worded(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_worded(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " ".join(f"{one:.5f}" if isinstance(one, float) else str(one) for one in value)
    return str(value)
