"""``eo-contrast info``: what a file or folder is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from eo_contrast.cli.options import Output, output_options
from eo_contrast.errors import InputError

ADDRESSES = ("/vsi", "http://", "https://", "s3://", "gs://", "az://")


@click.command("info")
@click.argument("file")
@output_options
def command(file: str, *, output: Output) -> None:
    """Say what FILE is: a raster, a catalogue, a model, a checkpoint or a run folder.

    \b
    Example:
      eo-contrast info scene.tif
      eo-contrast info runs/quickstart --json
    """
    facts = _describe(file)
    output.emit(facts)
    output.show(_in_words(facts))


def _describe(file: str) -> dict[str, Any]:
    path = Path(file)
    if not path.exists() and not file.startswith(ADDRESSES):
        raise InputError(f"{file}: no such file; give a raster, a model or a run folder")
    if path.suffix == ".parquet":
        from eo_contrast.catalog.describe import describe_catalogue

        return describe_catalogue(path)
    if path.is_dir() or path.suffix in (".safetensors", ".ckpt"):
        return _describe_trained(path)
    from eo_contrast.raster.describe import describe_raster

    try:
        return describe_raster(file)
    except InputError as error:
        raise InputError(f"{error}; give a raster, a model.safetensors or a run folder") from error


def _describe_trained(path: Path) -> dict[str, Any]:
    from eo_contrast.training import describe

    if path.suffix == ".safetensors":
        return describe.describe_model(path)
    if path.suffix == ".ckpt":
        return describe.describe_checkpoint(path)
    if describe.is_run_folder(path):
        return describe.describe_run(path)
    raise InputError(
        f"{path}: a folder without a run in it (no config.yaml, model.safetensors or "
        "metrics.jsonl); give a run folder, a model or a raster"
    )


def _in_words(facts: Mapping[str, Any], indent: str = "") -> str:
    """One line a fact, nested ones indented; texts of several lines start on their own."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{name}:", _in_words(value, indent + "  ")]
        elif isinstance(value, str) and "\n" in value:
            lines += [f"{indent}{name}:", *(f"{indent}  {line}" for line in value.splitlines())]
        else:
            lines.append(f"{indent}{name}: {_word(value)}")
    return "\n".join(lines)


def _word(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(_word(part) for part in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == {}:
        return "none"
    return str(value)
