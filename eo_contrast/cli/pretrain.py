"""``eo-contrast pretrain``: a catalogue in, an encoder out."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command(name="pretrain")
@click.argument("config")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="A catalogue, or a pack of one."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=V", help="Override one value.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps.")
@click.option("--epochs", type=click.IntRange(1), help="Same as --set schedule.epochs=N.")
@click.option("--resume", is_flag=True, help="Go on from the run folder's last checkpoint.")
@overwrite_option
@device_option
@output_options
def command(
    config: str,
    data: Path,
    out: Path,
    overrides: tuple[str, ...],
    steps: int | None,
    epochs: int | None,
    resume: bool,
    overwrite: bool,
    device: str,
    output: Output,
) -> None:
    """Pretrain an encoder without labels.

    CONFIG is a YAML file or the name of a shipped one (simclr, moco_v2, seco, s1s2, ...).

    \b
    Example:
      eo-contrast pretrain simclr --data catalogue.parquet --out runs/simclr \\
        --set data.size=64 --set data.batch_size=128 --epochs 20
      torchrun --nproc-per-node 2 -m eo_contrast pretrain seco --data pack/ --out runs/seco
    """
    from eo_contrast.config import find_config, load_config
    from eo_contrast.errors import InputError
    from eo_contrast.pretrain.config import PretrainConfig
    from eo_contrast.pretrain.run import pretrain
    from eo_contrast.training.run_folder import RunOptions

    if steps is not None and epochs is not None:
        raise InputError("--steps and --epochs both say how long; give one of them")
    if epochs is not None:
        overrides = (*overrides, f"schedule.epochs={epochs}")
    loaded = load_config(PretrainConfig, find_config(config, "configs/pretrain"), overrides)
    options = RunOptions(
        device=device,
        steps=steps,
        resume=resume,
        overwrite=overwrite,
        quiet=output.quiet,
        say=output.say,
    )
    result = pretrain(loaded, data, out, options)
    output.emit(result)
    output.say(
        f"{result['run']}: {result['steps']} steps in {result['seconds']:.0f} s; "
        f"see it with: eo-contrast report {result['run']}"
    )
