"""``eo-contrast synth``: data to try everything with, made from nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option

# Spelled out, so that help needs none of the libraries that write archives.
LAYOUTS = (
    "s2-safe", "s1-grd", "s1-rtc", "ssl4eo-v1", "ssl4eo-v1.1", "seco", "sen12ms", "dfc2020",
    "bigearthnet-v1", "bigearthnet-v2", "terramesh", "eurosat-rgb", "eurosat-ms", "so2sat", "xyz",
    "folder",
)  # fmt: skip


@click.group()
def command() -> None:
    """Write a synthetic landscape as a training archive.

    The landscape is one world for each seed; every layout shows it by its own sensors.

    Example:  eo-contrast synth ssl4eo-v1 data/archive --places 32 --dates 4
    """


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


def _archive_command(layout: str) -> click.Command:
    help_text = (
        f"The world as an archive in the layout {layout}.\n\n"
        f"Example:  eo-contrast synth {layout} data/{layout} --places 32 --size 128"
    )

    @click.command(layout, help=help_text)
    @click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
    @click.option("--places", default=32, show_default=True, help="Places to show.")
    @click.option(
        "--dates", default=4, show_default=True, help="Dates a place, where the layout has several."
    )
    @click.option("--size", default=128, show_default=True, help="Side in pixels of 10 m.")
    @click.option("--seed", default=0, show_default=True, help="Which world.")
    @overwrite_option
    @output_options
    def archive(folder: Path, overwrite: bool, output: Output, **plan: Any) -> None:
        from eo_contrast.progress import progress
        from eo_contrast.synth.archives import image_count, write_archive
        from eo_contrast.synth.archives.images import ArchivePlan

        start = time.monotonic()
        planned = ArchivePlan(**plan)
        total = image_count(layout, planned)
        with progress("synth", total, unit="images", quiet=output.quiet) as advance:
            images = write_archive(folder, layout, planned, advance, overwrite=overwrite)
        output.say(f"{folder}: {images} images of {planned.places} places as {layout}")
        seconds = round(time.monotonic() - start, 3)
        output.emit({"folder": folder, "layout": layout, "images": images, "seconds": seconds})

    return archive


for _layout in LAYOUTS:
    command.add_command(_archive_command(_layout))
