"""``eo-contrast translate``: a raster, or a folder of them, into maps by a saved model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from eo_contrast.cli.options import Output
from eo_contrast.cli.raster_runs import (
    TILE_FORMATS,
    RasterRequest,
    all_run,
    refuse_idle,
    result_options,
    run_options,
    runner_of,
    sources_of,
    tell,
)
from eo_contrast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Request(RasterRequest):
    """The arguments and options of one call, by the names that click gives them."""

    norm: Literal["scene", "tile"]
    palette: str | None
    report: Path | None
    truth: Path | None
    precision: Literal["auto", "fp32", "bf16"]


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
@result_options
@click.option(
    "--palette",
    help="Map style whose colours are the classes of --vector [default: the model's own].",
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
@run_options
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
    sources = sources_of(request)
    _refuse_idle(request)
    _check_report(request, several=sources is not None)
    runner = runner_of(request, several=sources is not None, output=output)
    if runner.shard is not None and request.report is not None:
        raise InputError("--report: a shard makes no map to show; leave it out")
    model = _model(request)
    translate_one = _translation(request, model, runner, quiet=output.quiet)
    if sources is None:
        result = _translated(request, model, translate_one, output)
    else:
        result = all_run(request, sources, translate_one)
    tell(request, result, output, shard=runner.shard)


def _refuse_idle(request: Request) -> None:
    from eo_contrast.translate.tile_models import IDENTITY

    copies = request.model_name == IDENTITY
    idle = dict.fromkeys(("grid", "norm", "precision"), f"--model {IDENTITY}, a copy")
    refuse_idle(request, idle if copies else None)


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
    from eo_contrast.inference.finish import Finish
    from eo_contrast.translate.apply import translate_raster
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
