"""``eo-contrast embed``: a catalogue in, one vector an image out."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command("embed")
@click.argument("catalogue", type=click.Path(path_type=Path))
@click.option(
    "--model",
    required=True,
    type=click.Path(path_type=Path),
    help="An encoder: its model.safetensors or its run folder.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The embeddings, a .parquet file.",
)
@click.option(
    "--sensor",
    "sensors",
    multiple=True,
    metavar="NAME",
    help="One of the encoder's sensors [default: all that find their images]; may come again.",
)
@click.option(
    "--scheduler", help="Address of a dask cluster whose workers do it, as tcp://host:8786."
)
@overwrite_option
@device_option
@output_options
def command(
    catalogue: Path,
    *,
    model: Path,
    out: Path,
    sensors: tuple[str, ...],
    scheduler: str | None,
    overwrite: bool,
    device: str,
    output: Output,
) -> None:
    """Write one vector for each image of CATALOGUE that the encoder's sensors eat.

    The result is a catalogue itself (GeoParquet) with the columns embedding and
    embedding_sensor. Images that cannot be read are listed, the others are done (exit 1).

    \b
    Example:
      eo-contrast embed eurosat.parquet --model runs/simclr --out eurosat-emb.parquet
      eo-contrast embed archive.parquet --model runs/s1s2 --sensor s2 --out s2-emb.parquet
    """
    from eo_contrast.errors import WorldError
    from eo_contrast.pretrain.embed import EmbedOptions, embed

    options = EmbedOptions(
        sensors=sensors,
        device=device,
        scheduler=scheduler,
        overwrite=overwrite,
        quiet=output.quiet,
    )
    told = embed(catalogue, model, out, options)
    output.emit(told)
    output.show(
        f"{out}: {told['rows']} images as vectors of {told['width']} numbers "
        f"({told['skipped']} others skipped, {told['seconds']:.1f} s)"
    )
    for failure in told["failed"]:
        click.echo(f"{failure['id']}: not embedded: {failure['error']}", err=True)
    if told["failed"]:
        total = told["rows"] + len(told["failed"])
        raise WorldError(f"{catalogue}: {len(told['failed'])} of {total} images failed")
