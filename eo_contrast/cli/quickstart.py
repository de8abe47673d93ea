"""``eo-contrast quickstart``: everything once, on data made on the spot."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command(name="quickstart")
@click.argument(
    "folder", metavar="[DIR]", default="runs/quickstart", type=click.Path(path_type=Path)
)
@click.option("--set", "overrides", multiple=True, metavar="A.B=V", help="Override one value.")
@overwrite_option
@device_option
@output_options
def command(
    folder: Path, overrides: tuple[str, ...], overwrite: bool, device: str, output: Output
) -> None:
    """Make a landscape, train a small translator, draw a map, write a report.

    Takes a few minutes on two cores. Leaves DIR/report.html and DIR/map.tif (default DIR:
    runs/quickstart), and beside them the tiles and the training run.

    \b
    Example:
      eo-contrast quickstart runs/first
    """
    from eo_contrast.config import find_config, load_config
    from eo_contrast.pipeline.quickstart import QuickstartConfig, run_quickstart

    config = load_config(QuickstartConfig, find_config("quickstart", "configs"), overrides)
    result = run_quickstart(config, folder, device=device, overwrite=overwrite, quiet=output.quiet)
    output.emit(result)
    output.show(f"map:    {result['map']}\nreport: {result['report']}")
