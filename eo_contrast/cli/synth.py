"""``eo-contrast synth``: data to try everything with, made from nothing."""

from __future__ import annotations

import time
from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option


@click.group()
def command() -> None:
    """Write a synthetic landscape as a training archive."""


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--pairs", default=64, show_default=True, help="Training pairs to make.")
@click.option("--size", default=256, show_default=True, help="Side of a picture in pixels.")
@click.option("--seed", default=0, show_default=True, help="Which world.")
@click.option("--scene-size", default=1024, show_default=True, help="Side of the scene in pixels.")
@click.option("--ground-resolution", default=2.0, show_default=True, help="Metres a pixel.")
@overwrite_option
@output_options
def sat2map(
    folder: Path,
    pairs: int,
    size: int,
    seed: int,
    scene_size: int,
    ground_resolution: float,
    overwrite: bool,
    output: Output,
) -> None:
    """Satellite pictures and their maps, side by side, and a GeoTIFF scene to translate.

    Writes DIR/train/*.png and DIR/test/*.png (satellite left, map right), DIR/pairs.csv,
    DIR/scene.tif and its true map DIR/scene_map.tif.

    Example:  eo-contrast synth sat2map data/world --pairs 64 --size 256 --seed 0
    """
    from eo_contrast.progress import progress
    from eo_contrast.synth.sat2map import Sat2mapPlan, write_sat2map

    start = time.monotonic()
    plan = Sat2mapPlan(pairs, size, seed, scene_size, ground_resolution)
    with progress("synth", plan.steps, unit="pictures", quiet=output.quiet) as advance:
        write_sat2map(folder, plan, advance, overwrite=overwrite)
    seconds = round(time.monotonic() - start, 3)
    output.say(f"{folder}: {pairs} training and {plan.test_pairs} test pairs, one scene")
    output.emit(
        {
            "folder": folder,
            "train": plan.pairs,
            "test": plan.test_pairs,
            "scene": folder / "scene.tif",
            "seconds": seconds,
        }
    )
