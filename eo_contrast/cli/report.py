"""``eo-contrast report``: the HTML page of a run."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--embeddings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a pretraining run: what embed made with it, for a map and nearest neighbours.",
)
@overwrite_option
@output_options
def command(run: Path, *, embeddings: Path | None, overwrite: bool, output: Output) -> None:
    """Write RUN/report.html, one self-contained page: scores, curves, pictures, settings.

    RUN is the folder of a training, pretraining or fine-tuning run, finished or not.
    An older page is replaced with --overwrite.

    \b
    Example:
      eo-contrast report runs/first
      eo-contrast report runs/simclr --embeddings eurosat-emb.parquet
      eo-contrast report runs/eurosat
    """
    from eo_contrast.files import refuse_existing
    from eo_contrast.report.run_report import run_report
    from eo_contrast.training.describe import REPORT_FILE

    refuse_existing(run / REPORT_FILE, overwrite=overwrite)
    page = run_report(run, embeddings=embeddings)
    output.emit({"run": run, "report": page})
    output.say(f"{page}: written; open it in a browser")
