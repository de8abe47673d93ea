"""``eo-contrast translate``: a raster, or a folder of them, into maps by a saved model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option
from eo_contrast.errors import InputError, WorldError

TILE_FORMATS = ("xyz", "mbtiles", "pmtiles")


@dataclass(frozen=True)
class Request:
    """The arguments and options of one call, by the names that click gives them."""

    source: str
    out: Path
    model_name: str
    overlap: int | None
    tile: int | None
    norm: Literal["scene", "tile"]
    bands: str | None
    scaling: str
    aoi: Path | None
    file_format: Literal["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"]
    vector: Path | None
    palette: str | None
    stac: bool
    compat: bool
    grid: Literal["source", "model"]
    report: Path | None
    truth: Path | None
    precision: Literal["auto", "fp32", "bf16"]
    workers: int
    scheduler: str | None
    shard: str | None
    resume: bool
    dry_run: bool
    overwrite: bool
    device: str


@click.command("translate")
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "model_name",
    required=True,
    help="model.safetensors, the run folder that holds it, or 'identity' (a copy).",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    help="Pixels shared by neighbouring tiles [default: so many that tiling shows nowhere].",
)
@click.option("--tile", type=click.IntRange(min=1), help="Side of a tile in pixels [default: 768].")
@click.option(
    "--norm",
    type=click.Choice(["scene", "tile"]),
    default="scene",
    show_default=True,
    help="Normalise by statistics of the whole scene, or of each tile (may show seams).",
)
@click.option("--bands", help="The model's bands in the raster: numbers or names, as 1,2,3.")
@click.option(
    "--scaling",
    default="card",
    show_default=True,
    metavar="HOW",
    help="How the raster's numbers become the model's values: card (by its own scale and offset), "
    "dtype (0 to the type's largest), product (Sentinel-2), percentiles or percentiles:LOW,HIGH "
    "(of the whole raster), or LOW,HIGH.",
)
@click.option(
    "--aoi",
    type=click.Path(path_type=Path),
    help="A vector file of any CRS: translate what lies in its polygons, leave the rest out.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"]),
    default="cog",
    show_default=True,
    help="cog has overviews and opens fast over a network; xyz, mbtiles and pmtiles are web-map "
    "tiles, png has a world file beside it.",
)
@click.option(
    "--vector",
    type=click.Path(path_type=Path),
    help="Also write the map's classes as polygons: .gpkg, .geojson, .parquet or .fgb.",
)
@click.option(
    "--palette",
    help="Map style whose colours are the classes of --vector [default: the model's own].",
)
@click.option("--stac/--no-stac", default=True, help="Write a STAC Item beside the raster.")
@click.option("--compat", is_flag=True, help="Write files that GDAL of ten years ago opens.")
@click.option(
    "--grid",
    type=click.Choice(["source", "model"]),
    default="source",
    show_default=True,
    help="Pixels of the result: the source's own, or at the model's ground resolution.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Also write this HTML page: source and map side by side, settings, time.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="The true map on the same grid: shown and scored on the --report page.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Of the network under --norm scene; auto is bf16 where the processor multiplies it.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes on this machine, each with its own model.",
)
@click.option(
    "--scheduler", help="Address of a dask cluster whose workers do it, as tcp://host:8786."
)
@click.option(
    "--shard",
    help="Do part i of n, as 2/7, and leave the rest to others; 'merge OUT' joins them "
    "[default: what a Slurm array says].",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done.")
@overwrite_option
@device_option
@output_options
def command(source: str, out: Path, *, output: Output, **options: Any) -> None:
    """Turn SOURCE, a raster, into OUT, a map on the same grid, by MODEL.

    SOURCE may be a file, an http(s) address or a /vsi path of GDAL. It may be a folder, a
    quoted glob or a catalogue of rasters: then OUT is a folder. A folder of z/x/y or quadkey
    tiles becomes one raster where OUT is a file or the format is xyz.

    A run that was stopped goes on with --resume; OUT is the same to the byte however it was
    made.

    \b
    Example:
      eo-contrast translate scene.tif map.tif --model runs/quickstart
    """
    request = Request(source=source, out=out, **options)
    sources = _sources(request)
    _refuse_idle(request, _given_options())
    _check_report(request, several=sources is not None)
    if request.vector is not None and sources is not None:
        raise InputError(f"--vector: is the file of one raster, but {source} names several")
    runner = _runner(request, several=sources is not None, output=output)
    model = _model(request)
    translate_one = _translation(request, model, runner, quiet=output.quiet)
    if sources is None:
        result = _translated(request, model, translate_one, output)
    else:
        result = _all_translated(request, sources, translate_one)
    output.emit(result)
    output.show(_in_words(result, dry_run=request.dry_run, shard=runner.shard))
    failed = result.get("failed", [])
    for failure in failed:
        click.echo(f"{failure['path']}: not translated: {failure['error']}", err=True)
    if failed:
        raise WorldError(f"{source}: {len(failed)} of {len(sources or [])} rasters failed")


def _sources(request: Request) -> Sequence[Path | str] | None:
    """The rasters that SOURCE holds; None where it is one, or tiles that become one."""
    from eo_contrast.translate.many import find_sources

    one_file = request.out.suffix.lower() in (".tif", ".tiff", ".png", ".mbtiles", ".pmtiles")
    one = one_file or request.file_format == "xyz"
    if one and Path(request.source).is_dir():
        return None
    return find_sources(request.source, request.out)


def _given_options() -> frozenset[str]:
    """Names of the options that the user gave, and did not leave at their defaults."""
    context = click.get_current_context()
    return frozenset(
        name
        for name in context.params
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    )


def _refuse_idle(request: Request, given: frozenset[str]) -> None:
    """Refuse what would change nothing: whoever gives an option expects something of it."""
    from eo_contrast.translate.tile_models import IDENTITY

    idle: dict[str, str] = {}
    if request.model_name == IDENTITY:
        idle |= dict.fromkeys(("grid", "norm", "precision"), f"--model {IDENTITY}, a copy")
    if request.file_format not in ("cog", "gtiff"):
        idle["compat"] = f"--format {request.file_format}, which any reader opens"
    if request.file_format in TILE_FORMATS and request.stac:
        idle["stac"] = f"--format {request.file_format}, which gets no STAC Item"
    for name, what in idle.items():
        if name in given:
            raise InputError(f"--{name}: does nothing with {what}; leave it out")


def _check_report(request: Request, *, several: bool) -> None:
    from eo_contrast.files import refuse_existing

    source, report, truth = request.source, request.report, request.truth
    if truth is not None and report is None:
        raise InputError("--truth is shown on the page of --report; give --report FILE.html too")
    if report is None:
        return
    if several or Path(source).is_dir():
        raise InputError(f"--report: is the page of one raster, but {source} is a folder of them")
    if request.file_format in TILE_FORMATS:
        raise InputError(
            f"--report: shows a map that is one raster, but --format {request.file_format} makes "
            "tiles; give --format cog, gtiff or png, or leave it out"
        )
    if report.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{report}: the page is HTML; give a name that ends in .html")
    if truth is not None and not truth.exists():
        raise InputError(f"{truth}: no such file; --truth takes the true map, a raster")
    refuse_existing(report, overwrite=request.overwrite)


def _runner(request: Request, *, several: bool, output: Output) -> Any:
    from eo_contrast.inference.shard import Shard, shard_from_environment
    from eo_contrast.translate.apply import Runner

    given = request.shard is not None
    part = Shard.parse(request.shard) if request.shard is not None else shard_from_environment()
    if part is not None and several:
        raise InputError(_many_in_parts(request.source, given=given))
    if part is not None and request.report is not None:
        raise InputError("--report: a shard makes no map to show; leave it out")
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


def _model(request: Request) -> Any:
    import torch

    from eo_contrast.training.device import resolve_device
    from eo_contrast.translate.tile_models import load_tile_model

    device = torch.device(resolve_device(request.device))
    return load_tile_model(request.model_name, device, request.precision)


def _translation(
    request: Request, model: Any, runner: Any, *, quiet: bool
) -> Callable[..., dict[str, Any]]:
    """What translates a raster into a file, with all else as the user asked."""
    from eo_contrast.translate.apply import translate_raster
    from eo_contrast.translate.finish import Finish
    from eo_contrast.translate.job import TranslateOptions

    options = TranslateOptions(
        tile=request.tile,
        overlap=request.overlap,
        norm=request.norm,
        bands=request.bands,
        scaling=request.scaling,
        aoi=request.aoi,
        grid=request.grid,
    )
    finish = Finish(
        format=request.file_format,
        compat=request.compat,
        stac=request.stac,
        vector=str(request.vector) if request.vector else None,
        colours=_colours(request.vector, request.palette, model),
    )
    return partial(
        translate_raster,
        model=model,
        options=options,
        finish=finish,
        runner=runner,
        overwrite=request.overwrite,
        resume=request.resume,
        dry_run=request.dry_run,
        quiet=quiet,
    )


def _translated(
    request: Request, model: Any, translate_one: Callable[..., dict[str, Any]], output: Output
) -> dict[str, Any]:
    """Translate one raster, and write the page of it where one is wanted."""
    from eo_contrast.raster.location import located

    source, out = located(request.source), request.out
    if request.truth is not None:
        plan = translate_one(source, out, dry_run=True, quiet=True)
        _check_truth(request.truth, source, model, plan)
    result = translate_one(source, out)
    if request.report is not None and not request.dry_run:
        _write_report(source, out, request.report, request.truth, _palette_of(model), result)
        output.say(f"{request.report}: written; open it in a browser")
    return result


def _all_translated(
    request: Request, sources: Sequence[Path | str], translate_one: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    from eo_contrast.translate.finish import SUFFIXES
    from eo_contrast.translate.many import translate_many

    folder = Path(request.source)
    return translate_many(
        sources,
        request.out,
        translate_one,
        overwrite=request.overwrite,
        resume=request.resume,
        suffix=next(iter(SUFFIXES[request.file_format]), ""),
        root=folder if folder.is_dir() else None,
    )


def _check_truth(truth: Path, source: Any, model: Any, plan: dict[str, Any]) -> None:
    """Find what cannot be scored before hours of translation, not after them."""
    from eo_contrast.evaluate.rasters import refuse_unfit_truth

    bands = model.card.bands_out if model.card else ("red", "green", "blue")
    if len(bands) != 3:
        raise InputError(f"--truth: scores compare maps of three bands, the model gives {bands}")
    _palette_of(model)
    size = {"height": plan["height"], "width": plan["width"]}
    refuse_unfit_truth(truth, source, Path(plan["output"]), **size, copies=model.card is None)


def _colours(vector: Path | None, palette: str | None, model: Any) -> Any:
    if vector is None:
        if palette is not None:
            raise InputError(f"--palette {palette}: tells the classes of --vector; give it too")
        return None
    from eo_contrast.evaluate.map_agreement import load_palette

    name = palette or (model.card.palette if model.card else None)
    if name is None:
        raise InputError(f"--vector {vector}: the model names no map style; give --palette NAME")
    return load_palette(name).classes


def _palette_of(model: Any) -> Any:
    from eo_contrast.evaluate.map_agreement import load_palette

    name = model.card.palette if model.card else None
    return load_palette(name) if name else None


def _write_report(
    source: Any,
    out: Path,
    report: Path,
    truth: Path | None,
    palette: Any,
    summary: dict[str, Any],
) -> None:
    from eo_contrast.evaluate.rasters import score_rasters
    from eo_contrast.report.translation import translation_report

    scores = None
    if truth is not None:
        scores = score_rasters(truth, out, palette)
    translation_report(source, out, report, summary=summary, scores=scores, truth=truth)


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
