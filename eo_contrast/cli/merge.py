"""``eo-contrast merge``: join what ``--shard`` of translate or land-cover-map left."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option


@click.command("merge")
@click.argument("out", type=click.Path(path_type=Path))
@overwrite_option
@output_options
def command(out: Path, *, overwrite: bool, output: Output) -> None:
    """Make OUT of the pieces that ``--shard i/n`` of translate or land-cover-map left beside it.

    \b
    Example:
      eo-contrast merge map.tif
    """
    from eo_contrast.inference.raster_run import merge_pieces

    result = merge_pieces(out, overwrite=overwrite, quiet=output.quiet)
    output.emit(result)
    output.show(f"{out}: written ({result['megapixels']:.2f} megapixels)")
