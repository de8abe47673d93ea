"""``eo-contrast report``: the HTML page of a run."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@overwrite_option
@output_options
def command(run: Path, *, overwrite: bool, output: Output) -> None:
    """Write RUN/report.html, one self-contained page: scores, curves, pictures, settings.

    RUN is the folder of a training run, finished or not. An older page is
    replaced with --overwrite.

    \b
    Example:
      eo-contrast report runs/first
    """
    from eo_contrast.files import refuse_existing
    from eo_contrast.report.training import training_report
    from eo_contrast.training.describe import REPORT_FILE

    refuse_existing(run / REPORT_FILE, overwrite=overwrite)
    page = training_report(run)
    output.emit({"run": run, "report": page})
    output.say(f"{page}: written; open it in a browser")
