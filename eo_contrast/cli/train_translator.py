"""``eo-contrast train-translator``: tiles in, a translator out."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command(name="train-translator")
@click.argument("config")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of tiles.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=V", help="Override one value.")
@click.option("--steps", type=click.IntRange(1), help="Train so many steps in all.")
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
    resume: bool,
    overwrite: bool,
    device: str,
    output: Output,
) -> None:
    """Train a satellite-to-map translator.

    CONFIG is a YAML file or the name of a shipped one (cut, fastcut, fastcut-small, ...).

    \b
    Example:
      eo-contrast train-translator fastcut-small --data tiles/ --out runs/first
      torchrun --nproc-per-node 2 -m eo_contrast train-translator cut --data tiles/ \\
        --out runs/two --set data.batch_size=2
    """
    from eo_contrast.config import find_config, load_config
    from eo_contrast.training.run_folder import RunOptions
    from eo_contrast.translate.config import TranslatorConfig
    from eo_contrast.translate.run import train_translator

    loaded = load_config(TranslatorConfig, find_config(config, "configs/translate"), overrides)
    options = RunOptions(
        device=device,
        steps=steps,
        resume=resume,
        overwrite=overwrite,
        quiet=output.quiet,
        say=output.say,
    )
    result = train_translator(loaded, data, out, options)
    output.emit(result)
    output.say(
        f"{result['run']}: {result['steps']} steps in {result['seconds']:.0f} s; "
        f"see it with: eo-contrast report {result['run']}"
    )
