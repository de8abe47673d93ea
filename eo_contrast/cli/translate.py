"""``eo-contrast translate``: a raster, or a folder of them, into maps by a saved model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option
from eo_contrast.errors import InputError, WorldError


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
def command(
    source: str,
    out: Path,
    *,
    model_name: str,
    device: str,
    overwrite: bool,
    resume: bool,
    dry_run: bool,
    precision: Literal["auto", "fp32", "bf16"],
    workers: int,
    scheduler: str | None,
    shard: str | None,
    file_format: Literal["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"],
    compat: bool,
    vector: Path | None,
    palette: str | None,
    stac: bool,
    report: Path | None,
    truth: Path | None,
    output: Output,
    **choices: Any,
) -> None:
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
    import torch

    from eo_contrast.raster.location import located
    from eo_contrast.training.device import resolve_device
    from eo_contrast.translate.apply import translate_raster
    from eo_contrast.translate.finish import SUFFIXES, Finish
    from eo_contrast.translate.job import TranslateOptions
    from eo_contrast.translate.many import find_sources, translate_many
    from eo_contrast.translate.tile_models import load_tile_model

    sources = None if _is_mosaic(source, out, file_format) else find_sources(source)
    _check_report(source, report, truth, single=sources is None, overwrite=overwrite)
    runner = _runner(workers, scheduler, shard, report=report)
    model = load_tile_model(model_name, torch.device(resolve_device(device)), precision)
    translate_one = partial(
        translate_raster,
        model=model,
        options=TranslateOptions(**choices),
        finish=Finish(
            format=file_format,
            compat=compat,
            stac=stac,
            vector=str(vector) if vector else None,
            colours=_colours(vector, palette, model),
        ),
        runner=runner,
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        quiet=output.quiet,
    )
    if vector is not None and sources is not None:
        raise InputError(f"--vector: is the file of one raster, but {source} names several")
    if sources is None:
        if truth is not None:
            plan = translate_one(located(source), out, dry_run=True, quiet=True)
            _check_truth(truth, located(source), model, plan)
        result = translate_one(located(source), out)
        if report is not None and not dry_run:
            _write_report(located(source), out, report, truth, _palette_of(model), result)
            output.say(f"{report}: written; open it in a browser")
    else:
        folder = Path(source) if Path(source).is_dir() else None
        result = translate_many(
            sources,
            out,
            translate_one,
            overwrite=overwrite,
            resume=resume,
            suffix=next(iter(SUFFIXES[file_format]), ""),
            root=folder,
        )
    output.emit(result)
    output.show(_in_words(result, dry_run=dry_run, shard=runner.shard))
    failed = result.get("failed", [])
    for failure in failed:
        click.echo(f"{failure['path']}: not translated: {failure['error']}", err=True)
    if failed:
        raise WorldError(f"{source}: {len(failed)} of {len(sources or [])} rasters failed")


def _is_mosaic(source: str, out: Path, file_format: str) -> bool:
    """A folder of tiles that is to become one raster, or tiles again."""
    one = out.suffix.lower() in (".tif", ".tiff", ".png", ".mbtiles", ".pmtiles")
    return Path(source).is_dir() and (one or file_format == "xyz")


def _check_report(
    source: str, report: Path | None, truth: Path | None, *, single: bool, overwrite: bool
) -> None:
    from eo_contrast.files import refuse_existing

    if truth is not None and report is None:
        raise InputError("--truth is shown on the page of --report; give --report FILE.html too")
    if report is None:
        return
    if not single or Path(source).is_dir():
        raise InputError(f"--report: is the page of one raster, but {source} is a folder of them")
    if report.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{report}: the page is HTML; give a name that ends in .html")
    if truth is not None and not truth.exists():
        raise InputError(f"{truth}: no such file; --truth takes the true map, a raster")
    refuse_existing(report, overwrite=overwrite)


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


def _runner(workers: int, scheduler: str | None, shard: str | None, *, report: Path | None) -> Any:
    from eo_contrast.inference.shard import Shard, shard_from_environment
    from eo_contrast.translate.apply import Runner

    part = Shard.parse(shard) if shard is not None else shard_from_environment()
    if part is not None and report is not None:
        raise InputError("--report: a shard makes no map to show; leave it out")
    if scheduler is not None and workers > 1:
        raise InputError("--scheduler: the cluster has its own workers; leave --workers out")
    return Runner(workers=workers, scheduler=scheduler, shard=part)


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
