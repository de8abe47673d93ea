"""``eo-contrast land-cover-map``: a raster, or a folder of them, into maps of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from eo_contrast.cli.options import Output
from eo_contrast.cli.raster_runs import (
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
    beside: tuple[str, ...]
    without: tuple[str, ...]
    probabilities: Path | None


@click.command("land-cover-map")
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "model_name",
    required=True,
    help="What finetune made, of task segmentation or classification: model.safetensors, or the "
    "run folder that holds it.",
)
@click.option(
    "--with",
    "beside",
    multiple=True,
    metavar="SENSOR=FILE",
    help="The raster of the model's other sensor, as s1=radar.tif; it is laid on SOURCE's grid.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="SENSOR",
    help="One of the model's sensors that there is no raster of, as s2.",
)
@click.option(
    "--probabilities",
    type=click.Path(path_type=Path),
    help="Also write every class's probability to this GeoTIFF: a band each, 250 for 1.",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    help="Pixels shared by neighbouring windows of the network [default: half of a window].",
)
@click.option(
    "--tile",
    type=click.IntRange(min=1),
    help="Side in pixels of what is run at once, as many windows as fill it [default: 256 on a "
    "processor, else 1024]; for speed and memory alone.",
)
@click.option(
    "--norm",
    type=click.Choice(["scene", "tile"]),
    default="scene",
    show_default=True,
    help="As of translate; these networks treat all windows alike, so there is no tile.",
)
@click.option("--bands", help="The model's bands in SOURCE: numbers or names, as 1,2,3.")
@click.option(
    "--scaling",
    default="card",
    show_default=True,
    metavar="HOW",
    help="How SOURCE's numbers become reflectance or a picture's 0 to 1: card (by its own scale "
    "and offset, else by what its product stores), product, dtype, percentiles or "
    "percentiles:LOW,HIGH, or LOW,HIGH.",
)
@result_options
@run_options
def command(source: str, out: Path, *, output: Output, **options: Any) -> None:
    """Map the land cover of SOURCE, a raster, into OUT, a raster of classes, by MODEL.

    OUT has one band of class numbers with a colour table and the classes' names, 255 where there
    are no data. SOURCE is what it may be for translate, with the bands that MODEL learnt from;
    values are taken by its scale and offset, else as its product stores them (Sentinel-2 counts of
    1/10000 with the offset of their baseline, Sentinel-1 decibel).

    A run that was stopped goes on with --resume; OUT is the same to the byte however it was
    made.

    \b
    Example:
      eo-contrast land-cover-map scene.tif classes.tif --model runs/land
      eo-contrast land-cover-map s2.tif classes.tif --model runs/both --with s1=s1.tif
    """
    request = Request(source=source, out=out, **options)
    sources = sources_of(request)
    refuse_idle(request)
    if request.norm == "tile":
        raise InputError(
            "--norm tile: a land-cover network has no norm over a tile; leave it out, or give scene"
        )
    _refuse_several(request, several=sources is not None)
    runner = runner_of(request, several=sources is not None, output=output)
    run_one = _mapping(request, runner, quiet=output.quiet)
    if sources is None:
        from eo_contrast.raster.location import located

        result = run_one(located(source), out)
    else:
        result = all_run(request, sources, run_one)
    tell(request, result, output, shard=runner.shard)


def _refuse_several(request: Request, *, several: bool) -> None:
    for option, given in (("with", request.beside), ("probabilities", request.probabilities)):
        if given and several:
            raise InputError(
                f"--{option}: is of one raster, but {request.source} names several; give each its "
                "own command"
            )


def _mapping(request: Request, runner: Any, *, quiet: bool) -> Callable[..., dict[str, Any]]:
    """What maps a raster into a file, with all else as the user asked."""
    import torch

    from eo_contrast.inference.finish import Finish
    from eo_contrast.landcover.map_job import MapOptions
    from eo_contrast.landcover.map_model import load_land_cover_model
    from eo_contrast.landcover.mapping import land_cover_map
    from eo_contrast.training.device import resolve_device

    options = MapOptions(
        tile=request.tile,
        overlap=request.overlap,
        bands=request.bands,
        scaling=request.scaling,
        aoi=request.aoi,
        grid=request.grid,
        beside=_beside(request.beside),
    )
    finish = Finish(
        format=request.file_format,
        compat=request.compat,
        stac=request.stac,
        vector=str(request.vector) if request.vector else None,
        probabilities=str(request.probabilities) if request.probabilities else None,
    )
    return partial(
        land_cover_map,
        model=load_land_cover_model(
            request.model_name,
            torch.device(resolve_device(request.device)),
            without=request.without,
        ),
        options=options,
        finish=finish,
        runner=runner,
        overwrite=request.overwrite,
        resume=request.resume,
        dry_run=request.dry_run,
        quiet=quiet,
    )


def _beside(given: tuple[str, ...]) -> dict[str, Any]:
    """Rasters by sensor, of ``SENSOR=FILE``."""
    from eo_contrast.raster.location import located

    found = {}
    for text in given:
        sensor, equals, place = text.partition("=")
        if not (sensor and equals and place):
            raise InputError(f"--with {text}: give SENSOR=FILE, as s1=radar.tif")
        if sensor in found:
            raise InputError(f"--with {text}: {sensor} is given twice; give each sensor once")
        found[sensor] = located(place)
    return found
