"""``eo-contrast report``: the HTML page of a run."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@output_options
def command(run: Path, *, output: Output) -> None:
    """Write RUN/report.html, one self-contained page: scores, curves, pictures, settings.

    RUN is the folder of a training run, finished or not. An older page is replaced.

    \b
    Example:
      eo-contrast report runs/first
    """
    from eo_contrast.report.training import training_report

    page = training_report(run)
    output.emit({"run": run, "report": page})
    output.say(f"{page}: written; open it in a browser")
