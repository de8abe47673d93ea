"""``eo-contrast ingest``: an archive on disk as one catalogue."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option

MOST_SHOWN = 20


@click.command("ingest")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--layout", default="auto", show_default=True, help="How the archive lies on disk.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The catalogue, a .parquet file.",
)
@click.option("--append", is_flag=True, help="Add to OUT; what did not change is not read again.")
@click.option(
    "--scheduler", help="Address of a dask cluster that reads the headers, as tcp://host:8786."
)
@click.option("--pattern", help="How a 'folder' names its files, as {place}/{date}_{band}.tif.")
@click.option("--product", default="", help="Of a 'folder' whose names do not tell it, as s2-l2a.")
@click.option("--bands", default="", help="Of a 'folder' whose files do not tell, as B02,B03,B04.")
@click.option("--unit", type=click.Choice(["dB", "linear"]), help="Of the radar in a 'folder'.")
@overwrite_option
@output_options
def command(
    root: Path,
    layout: str,
    out: Path,
    *,
    append: bool,
    scheduler: str | None,
    pattern: str | None,
    product: str,
    bands: str,
    unit: str | None,
    overwrite: bool,
    output: Output,
) -> None:
    """List the images under ROOT in a catalogue, without copying a pixel.

    Broken files are skipped and listed; they do not stop the scan.

    \b
    Example:
      eo-contrast ingest EuroSAT/ --out eurosat.parquet
      eo-contrast ingest scenes/ --layout folder --product rgb --out scenes.parquet
    """
    from eo_contrast.catalog.ingest import ingest
    from eo_contrast.catalog.layouts.folder import EVERY_FILE, FolderRules

    rules = None
    if pattern or product or bands or unit:
        names = tuple(name.strip() for name in bands.split(",") if name.strip())
        rules = FolderRules(pattern or EVERY_FILE, product, names, unit or "")
    told = ingest(
        root,
        out,
        layout=layout,
        append=append,
        rules=rules,
        scheduler=scheduler,
        overwrite=overwrite,
        advance=lambda done: output.say(f"ingest: {done} images looked at"),
    )
    output.emit(told)
    for one in told["skipped"][:MOST_SHOWN]:
        output.say(f"{one['path']}: skipped: {one['reason']}")
    if len(told["skipped"]) > MOST_SHOWN:
        output.say(f"... and {len(told['skipped']) - MOST_SHOWN} more; --json lists all")
    for warning in told["warnings"]:
        output.say(f"warning: {warning}")
    output.show(
        f"{out}: {told['rows']} images of {told['places']} places ({told['layout']}, "
        f"{told['added']} new or changed, {len(told['skipped'])} skipped, {told['seconds']:.1f} s)"
    )
