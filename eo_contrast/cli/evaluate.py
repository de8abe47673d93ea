"""``eo-contrast evaluate``: numbers for translated maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from eo_contrast.cli.options import Output, device_option, output_options
from eo_contrast.errors import InputError

FOLDER = click.Path(path_type=Path)


@click.group(name="evaluate")
def command() -> None:
    """Measure how close translated maps are to real ones."""


@command.command(name="translation")
@click.option("--real", type=FOLDER, help="Folder of true maps.")
@click.option("--fake", type=FOLDER, help="Folder of translated maps.")
@click.option("--paired", is_flag=True, help="Equal names in both folders are the same place.")
@click.option("--data", type=FOLDER, help="Folder of satellite and map pairs.")
@click.option("--model", help="A model.safetensors, its run folder, or identity.")
@click.option("--split", default="test", show_default=True, help="Which pairs of --data.")
@click.option(
    "--satellite-side",
    type=click.Choice(["left", "right"]),
    help="Half of side-by-side files [default: as the model was trained, else left].",
)
@click.option("--palette", help="Map style: osm16, pix2pix-maps or a YAML file.")
@click.option("--baselines", is_flag=True, help="Score trivial maps beside.")
@device_option
@output_options
def translation(
    real: Path | None,
    fake: Path | None,
    paired: bool,
    data: Path | None,
    model: str | None,
    split: str,
    satellite_side: Literal["left", "right"] | None,
    palette: str | None,
    baselines: bool,
    device: str,
    output: Output,
) -> None:
    """Score translated maps against the true maps of the same places.

    Give two folders of images, or a folder of pairs and a model to translate them with.

    \b
    Example:
      eo-contrast evaluate translation --data tiles/ --model runs/first --baselines
      eo-contrast evaluate translation --real maps/ --fake translated/ --paired
    """
    if real and fake and not (data or model):
        scores = _score_folders(real, fake, paired, palette, baselines, output)
    elif data and model and not (real or fake):
        scores = _score_model(
            model, data, split, satellite_side, palette, baselines, device, output
        )
    else:
        given = [f"--{name}" for name, value in _sources(real, fake, data, model) if value]
        raise InputError(
            f"evaluate translation: found {' '.join(given) or 'no source'}; give either "
            "--real DIR --fake DIR --paired, or --data ROOT --model MODEL"
        )
    output.emit(scores)
    output.show(_as_text(scores))


def _sources(*values: Any) -> list[tuple[str, Any]]:
    return list(zip(("real", "fake", "data", "model"), values, strict=True))


def _score_folders(
    real: Path, fake: Path, paired: bool, palette: str | None, baselines: bool, output: Output
) -> dict[str, Any]:
    from eo_contrast.evaluate.folders import match_folders, palette_for, score_folders

    if not paired:
        raise InputError(
            f"{fake}: scores compare maps of the same place; add --paired if equal names in "
            f"{real} and {fake} are the same place"
        )
    pairs = match_folders(real, fake)
    chosen = palette_for(pairs.reals(), palette, output.say)
    return {**score_folders(pairs, chosen, baselines=baselines), "palette": chosen.name}


def _score_model(
    model: str,
    data: Path,
    split: str,
    side: Literal["left", "right"] | None,
    palette: str | None,
    baselines: bool,
    device: str,
    output: Output,
) -> dict[str, Any]:
    import torch

    from eo_contrast.data.image_pairs import find_image_pairs
    from eo_contrast.progress import progress
    from eo_contrast.training.device import resolve_device
    from eo_contrast.translate.score import palette_of, satellite_side_of, score_model
    from eo_contrast.translate.tile_models import load_tile_model

    loaded = load_tile_model(model, torch.device(resolve_device(device)))
    pairs = find_image_pairs(data, split, satellite_side=side or satellite_side_of(loaded))
    chosen = palette_of(loaded, pairs, palette, output.say)
    with progress("translating", len(pairs.a), unit="images", quiet=output.quiet) as advance:
        scores = score_model(
            pairs, loaded, chosen, baselines=baselines, done=lambda number: advance(number, "")
        )
    return {**scores, "palette": chosen.name}


def _as_text(scores: dict[str, Any]) -> str:
    """One line a score; beside it the baselines, if any."""
    from eo_contrast.report.score_table import flat_scores, score_of, worded

    shown = {name: value for name, value in scores.items() if name not in ("baselines", "palette")}
    columns = {"translated": flat_scores(shown)}
    for name, baseline in scores.get("baselines", {}).items():
        columns[name.replace("_", " ")] = flat_scores(baseline)
    lines = [["", *columns]]
    for key in columns["translated"]:
        score = score_of(key)
        label = f"{score.label} [{score.unit}]" if score.unit else score.label
        lines.append([label, *(worded(column[key], score) for column in columns.values())])
    widths = [max(len(line[number]) for line in lines) for number in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
