"""What commands share that make rasters of rasters: options, sources, who works, the last line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from eo_contrast.cli.options import (
    Output,
    device_option,
    given_options,
    output_options,
    overwrite_option,
)
from eo_contrast.errors import InputError, WorldError

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

TILE_FORMATS = ("xyz", "mbtiles", "pmtiles")


@dataclass(frozen=True, kw_only=True)
class RasterRequest:
    """The arguments and options of one call that all these commands have."""

    source: str
    out: Path
    model_name: str
    overlap: int | None
    tile: int | None
    bands: str | None
    scaling: str
    aoi: Path | None
    file_format: Literal["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"]
    vector: Path | None
    stac: bool
    compat: bool
    grid: Literal["source", "model"]
    workers: int
    scheduler: str | None
    shard: str | None
    resume: bool
    dry_run: bool
    overwrite: bool
    device: str


def result_options(command: CommandT) -> CommandT:
    """Add ``--aoi --format --vector --stac --compat --grid``: what is made, and how it is kept."""
    for option in reversed(
        (
            click.option(
                "--aoi",
                type=click.Path(path_type=Path),
                help="A vector file of any CRS: take what lies in its polygons, leave the rest "
                "out.",
            ),
            click.option(
                "--format",
                "file_format",
                type=click.Choice(["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"]),
                default="cog",
                show_default=True,
                help="cog has overviews and opens fast over a network; xyz, mbtiles and pmtiles "
                "are web-map tiles, png has a world file beside it.",
            ),
            click.option(
                "--vector",
                type=click.Path(path_type=Path),
                help="Also write the map's classes as polygons: .gpkg, .geojson, .parquet or .fgb.",
            ),
            click.option(
                "--stac/--no-stac", default=True, help="Write a STAC Item beside the raster."
            ),
            click.option(
                "--compat", is_flag=True, help="Write files that GDAL of ten years ago opens."
            ),
            click.option(
                "--grid",
                type=click.Choice(["source", "model"]),
                default="source",
                show_default=True,
                help="Pixels of the result: the source's own, or at the model's ground resolution.",
            ),
        )
    ):
        command = option(command)
    return command


def run_options(command: CommandT) -> CommandT:
    """Add ``--workers --scheduler --shard --resume --dry-run``, and what every command has."""
    for option in reversed(
        (
            click.option(
                "--workers",
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                help="Processes on this machine, each with its own model.",
            ),
            click.option(
                "--scheduler",
                help="Address of a dask cluster whose workers do it, as tcp://host:8786.",
            ),
            click.option(
                "--shard",
                help="Do part i of n, as 2/7, and leave the rest to others; 'merge OUT' joins "
                "them [default: what a Slurm array says].",
            ),
            click.option("--resume", is_flag=True, help="Go on with a run that was interrupted."),
            click.option(
                "--dry-run", is_flag=True, help="Check everything and say what would be done."
            ),
            overwrite_option,
            device_option,
            output_options,
        )
    ):
        command = option(command)
    return command


def sources_of(request: RasterRequest) -> Sequence[Path | str] | None:
    """The rasters that SOURCE holds; None where it is one, or tiles that become one."""
    from eo_contrast.inference.many import find_sources

    one_file = request.out.suffix.lower() in (".tif", ".tiff", ".png", ".mbtiles", ".pmtiles")
    one = one_file or request.file_format == "xyz"
    if one and Path(request.source).is_dir():
        return None
    return find_sources(request.source, request.out)


def refuse_idle(request: RasterRequest, idle: Mapping[str, str] | None = None) -> None:
    """Refuse what would change nothing: whoever gives an option expects something of it.

    Args:
        idle: options that do nothing here, and with what; beside those of formats.
    """
    found = dict(idle or {})
    if request.file_format not in ("cog", "gtiff"):
        found["compat"] = f"--format {request.file_format}, which any reader opens"
    if request.file_format in TILE_FORMATS and request.stac:
        found["stac"] = f"--format {request.file_format}, which gets no STAC Item"
    given = given_options()
    for name, what in found.items():
        if name in given:
            raise InputError(f"--{name}: does nothing with {what}; leave it out")


def runner_of(request: RasterRequest, *, several: bool, output: Output) -> Any:
    """Who does the work, as the options and a Slurm array say.

    Raises: InputError: they contradict each other, or there are several sources for what is of one.
    """
    if request.vector is not None and several:
        raise InputError(f"--vector: is the file of one raster, but {request.source} names several")
    from eo_contrast.inference.raster_run import Runner
    from eo_contrast.inference.shard import Shard, shard_from_environment

    given = request.shard is not None
    part = Shard.parse(request.shard) if request.shard is not None else shard_from_environment()
    if part is not None and several:
        raise InputError(_many_in_parts(request.source, given=given))
    if request.scheduler is not None and request.workers > 1:
        raise InputError("--scheduler: the cluster has its own workers; leave --workers out")
    if part is not None and not given:
        output.say(
            f"part {part.number}/{part.count}, as task of a Slurm array; unset "
            "SLURM_ARRAY_TASK_ID for the whole"
        )
    return Runner(workers=request.workers, scheduler=request.scheduler, shard=part)


def _many_in_parts(source: str, *, given: bool) -> str:
    if given:
        return (
            f"--shard: parts are of one raster, but {source} names several; give each its own "
            "command with --shard, or share the work by --workers or --scheduler"
        )
    return (
        f"{source}: names several rasters, and each task of this Slurm array would do them all; "
        "give each task one of them, or all tasks the same one, which they share; or unset "
        "SLURM_ARRAY_TASK_ID where this task is to do all"
    )


def all_run(
    request: RasterRequest, sources: Sequence[Path | str], run_one: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """Make an output of each of many sources; what came of it."""
    from eo_contrast.inference.finish import SUFFIXES
    from eo_contrast.inference.many import run_many

    folder = Path(request.source)
    return run_many(
        sources,
        request.out,
        run_one,
        overwrite=request.overwrite,
        resume=request.resume,
        suffix=next(iter(SUFFIXES[request.file_format]), ""),
        root=folder if folder.is_dir() else None,
    )


def tell(request: RasterRequest, result: dict[str, Any], output: Output, *, shard: Any) -> None:
    """Print what came of it.

    Raises: WorldError: some of many rasters failed.
    """
    output.emit(result)
    output.show(_in_words(result, dry_run=request.dry_run, shard=shard))
    failed = result.get("failed", [])
    for failure in failed:
        click.echo(f"{failure['path']}: failed: {failure['error']}", err=True)
    if failed:
        count = len(failed) + len(result["files"]) + len(result["kept"])
        raise WorldError(f"{request.source}: {len(failed)} of {count} rasters failed")


def _in_words(result: dict[str, Any], *, dry_run: bool, shard: Any) -> str:
    size = f"{result['tiles']} tiles, {result['megapixels']:.2f} megapixels"
    if "files" in result:
        size = f"{len(result['files'])} rasters, {size}"
    if dry_run:
        return f"{result['output']}: would be written ({size}{_expected_in_words(result)})"
    if shard is not None:
        return f"{result['output']}: part {shard.number}/{shard.count} done; 'merge' joins them"
    return f"{result['output']}: written ({size}{_spent_in_words(result)})"


def _expected_in_words(result: dict[str, Any]) -> str:
    expected = result.get("expected")
    if expected is None:
        return ""
    return (
        f"; about {expected['seconds']:.0f} s of reading and network, {expected['memory_mib']:.0f} "
        f"MiB of memory for windows, at most {expected['disk_mib']:.0f} MiB of disk"
    )


def _spent_in_words(result: dict[str, Any]) -> str:
    seconds = result.get("seconds")
    if seconds is None:
        return ""
    rate = result["megapixels"] / max(seconds["total"], 1e-9)
    return (
        f"; {rate:.2f} megapixels/s, read {seconds['read']:.1f} s, "
        f"network {seconds['infer']:.1f} s, "
        f"write {seconds['write']:.1f} s, limited by {result['limited_by']}, peak "
        f"{result['peak_rss_mib']:.0f} MiB"
    )
