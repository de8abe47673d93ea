"""``eo-contrast benchmark``: encoders against each other on land cover."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command(name="benchmark")
@click.argument("config")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="A labelled catalogue, or a pack of one.",
)
@click.option(
    "--encoders",
    required=True,
    metavar="A,NAME=B,...",
    help="Models that pretrain made ({seed} may stand in a path), random (untrained, as the first "
    "of them), statistics, random-convolutions, coates-ng, imagenet-lite0.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A folder.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=V", help="Override one value.")
@click.option("--resume", is_flag=True, help="Go on in a folder; more encoders may be given.")
@overwrite_option
@device_option
@output_options
def command(
    config: str,
    data: Path,
    encoders: str,
    out: Path,
    overrides: tuple[str, ...],
    resume: bool,
    overwrite: bool,
    device: str,
    output: Output,
) -> None:
    """Measure encoders by kNN, linear probe and fine-tuning, with few labels and many.

    CONFIG is a YAML file or the name of a shipped protocol. OUT gets results.csv, table.md,
    table.tex, plots and report.html; every number is a mean over seeds with an interval over seeds
    and test places.

    \b
    Example:
      eo-contrast benchmark eurosat --data eurosat.parquet --out runs/benchmark \\
        --encoders simclr=runs/simclr-{seed},random,statistics
    """
    from eo_contrast.config import find_config, load_config
    from eo_contrast.landcover.benchmark import BenchmarkOptions, benchmark, cells_of
    from eo_contrast.landcover.benchmark_config import BenchmarkConfig
    from eo_contrast.landcover.contenders import contenders_of
    from eo_contrast.progress import progress
    from eo_contrast.report.benchmark import benchmark_report

    path = find_config(config, "configs/landcover/benchmark")
    loaded = load_config(BenchmarkConfig, path, overrides)
    contenders = contenders_of(encoders)
    cells = len(list(cells_of(loaded, contenders)))
    with progress("benchmark", cells, unit="cells", quiet=output.quiet) as advance:
        options = BenchmarkOptions(
            device=device, resume=resume, overwrite=overwrite, say=output.say, advance=advance
        )
        result = benchmark(loaded, data, contenders, out, options)
    page = benchmark_report(out)
    output.emit({**result, "table": out / "table.md", "report": page})
    output.show((out / "table.md").read_text())
    output.say(f"{page}: written; open it in a browser")
