"""``eo-contrast quickstart``: everything once, on data made on the spot."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command(name="quickstart")
@click.argument(
    "folder", metavar="[DIR]", default="runs/quickstart", type=click.Path(path_type=Path)
)
@click.option(
    "--set", "overrides", multiple=True, metavar="STAGE.A=V", help="Override one option of a stage."
)
@overwrite_option
@device_option
@output_options
def command(
    folder: Path, overrides: tuple[str, ...], overwrite: bool, device: str, output: Output
) -> None:
    """Make a world, pretrain on it, map its land cover, draw its map, and write a report.

    Takes a few minutes on two cores. Leaves DIR/report.html, DIR/map.tif and DIR/land_cover.tif
    (default DIR: runs/quickstart), and beside them what they were made of. It is the pipeline
    quickstart of the command run: stopped or killed, it goes on when it is given again.

    \b
    Example:
      eo-contrast quickstart runs/first
    """
    from eo_contrast.config import find_config
    from eo_contrast.pipeline.definition import load_pipeline
    from eo_contrast.pipeline.plan import Leniency
    from eo_contrast.pipeline.run import RunOptions, run_pipeline

    pipeline = load_pipeline(find_config("quickstart", "pipelines"), folder, overrides)
    options = RunOptions(
        device=device,
        leniency=Leniency(overwrite=overwrite),
        quiet=output.quiet,
        say=output.say,
    )
    result = run_pipeline(pipeline, options)
    made = {
        "report": str(folder / "report.html"),
        "map": str(folder / "map.tif"),
        "land_cover": str(folder / "land_cover.tif"),
    }
    output.emit(result | made)
    output.show(
        "\n".join(f"{name.replace('_', ' ') + ':':11} {path}" for name, path in made.items())
    )
