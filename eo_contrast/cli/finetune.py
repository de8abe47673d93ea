"""``eo-contrast finetune``: a labelled catalogue and an encoder in, a land-cover model out."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command(name="finetune")
@click.argument("config")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="A labelled catalogue, or a pack of one.",
)
@click.option(
    "--encoder",
    required=True,
    metavar="MODEL|random",
    help="What pretrain made; random; or random:MODEL, one of its kind, untrained.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option(
    "--label-fraction", type=float, metavar="SHARE", help="Use a share of the training labels."
)
@click.option("--set", "overrides", multiple=True, metavar="A.B=V", help="Override one value.")
@click.option("--resume", is_flag=True, help="Go on from the run folder's last checkpoint.")
@overwrite_option
@device_option
@output_options
def command(
    config: str,
    data: Path,
    encoder: str,
    out: Path,
    label_fraction: float | None,
    overrides: tuple[str, ...],
    resume: bool,
    overwrite: bool,
    device: str,
    output: Output,
) -> None:
    """Train land cover on an encoder: classes of places, or of pixels.

    CONFIG is a YAML file or the name of a shipped one (classification, multi-label,
    segmentation). The epoch that does best on validation is kept, and scored on test.

    \b
    Example:
      eo-contrast finetune classification --data eurosat.parquet \\
        --encoder runs/simclr --out runs/eurosat --label-fraction 0.1
    """
    from eo_contrast.config import find_config, load_config
    from eo_contrast.errors import InputError
    from eo_contrast.landcover.config import FinetuneConfig
    from eo_contrast.landcover.finetune import RunOptions, finetune

    if label_fraction is not None:
        if not 0 < label_fraction <= 1:
            raise InputError(
                f"--label-fraction {label_fraction:g}: is a share, above 0 and at most 1"
            )
        overrides = (*overrides, f"data.label_fraction={label_fraction!r}")
    loaded = load_config(FinetuneConfig, find_config(config, "configs/landcover"), overrides)
    options = RunOptions(
        device=device, resume=resume, overwrite=overwrite, quiet=output.quiet, say=output.say
    )
    result = finetune(loaded, data, encoder, out, options)
    output.emit(result)
    shown = "  ".join(f"{name} {score:.4f}" for name, score in result["test"].items())
    output.say(
        f"{result['run']}: {result['labels']} labels, epoch {result['epoch']} kept, "
        f"{result['seconds']:.0f} s; test {shown}"
    )
