"""``eo-contrast run``: a pipeline of stages, those that are current left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command(name="run")
@click.argument("pipeline")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of all outputs [default: runs/ and the pipeline's name].",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="STAGE.A=V", help="Override one option of a stage."
)
@click.option("--jobs", type=click.IntRange(1), help="Stages at once, each its own process.")
@click.option(
    "--scheduler",
    help="Address of a dask cluster for ingest, embed and translate, as tcp://host:8786.",
)
@click.option("--dry-run", is_flag=True, help="Say what would run, and why; write nothing.")
@click.option("--resume", is_flag=True, help="Go on where it was stopped, as it does anyway.")
@click.option(
    "--same-code", is_flag=True, help="Take outputs of other code as current from now on."
)
@overwrite_option
@device_option
@output_options
def command(
    pipeline: str,
    *,
    out: Path | None,
    overrides: tuple[str, ...],
    jobs: int | None,
    scheduler: str | None,
    dry_run: bool,
    resume: bool,
    same_code: bool,
    overwrite: bool,
    device: str,
    output: Output,
) -> None:
    """Run the stages of PIPELINE that are not current, and no others.

    PIPELINE is a YAML file or the name of a shipped one (landcover, sat2map, quickstart). A stage
    runs where an input, an option or its code changed, or an output is missing. A run that was
    stopped, or killed, goes on when it is given again.

    \b
    Example:
      eo-contrast run landcover --set given.archive=archive/ \\
        --set given.scene=scene.tif --dry-run
      eo-contrast run my.yaml --out runs/mine --set split.block_km=20
    """
    from eo_contrast.config import find_config
    from eo_contrast.pipeline.definition import load_pipeline
    from eo_contrast.pipeline.plan import Leniency
    from eo_contrast.pipeline.run import RunOptions, plan_pipeline, run_pipeline

    file = find_config(pipeline, "pipelines")
    folder = out or Path("runs") / file.stem
    loaded = load_pipeline(file, folder, overrides, scheduler=scheduler)
    leniency = Leniency(overwrite=overwrite, same_code=same_code)
    if dry_run:
        result = plan_pipeline(loaded, leniency)
        output.emit(result)
        output.show(_plan_in_words(result))
        return
    options = RunOptions(
        jobs=jobs, device=device, leniency=leniency, quiet=output.quiet, say=output.say
    )
    result = run_pipeline(loaded, options)
    output.emit(result)
    output.show(
        f"{result['out']}: {len(result['ran'])} of {len(result['stages'])} stages ran, the others "
        f"were current ({result['seconds']:.1f} s)"
    )


def _plan_in_words(result: dict[str, Any]) -> str:
    stages = result["stages"]
    width = max(len(stage["name"]) for stage in stages)
    lines = [f"{result['out']}: {len(result['stale'])} of {len(stages)} stages would run"]
    for stage in stages:
        why = "; ".join(stage["reasons"]) or "current"
        lines.append(f"  {stage['name']:{width}}  {why}")
    return "\n".join(lines)
