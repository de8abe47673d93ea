"""Apply a saved translator to a raster: raster in, map out."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from eo_contrast.inference.finish import Finish
from eo_contrast.inference.job import Job, Method
from eo_contrast.inference.raster_run import AS_COG, HERE, run_raster
from eo_contrast.inference.raster_run import Runner as Runner
from eo_contrast.inference.raster_run import merge_pieces as merge_pieces
from eo_contrast.raster.location import Location
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.translate.job import TranslateOptions, prepare_job
from eo_contrast.translate.tile_models import Model, load_tile_model


def translate_raster(
    source: Location,
    out: Path,
    model: Model,
    options: TranslateOptions,
    *,
    finish: Finish = AS_COG,
    runner: Runner = HERE,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Translate one raster into ``out``, which appears whole or not at all.

    >>> model = eo_contrast.load_tile_model("translator", torch.device("cpu"))
    >>> told = eo_contrast.translate_raster(
    ...     "sat2map/scene.tif", Path("map.tif"), model, eo_contrast.TranslateOptions(), quiet=True)
    >>> told["width"], told["height"]
    (128, 128)

    Returns and raises: as :func:`eo_contrast.inference.raster_run.run_raster`.
    """
    method = Method(
        model=model,
        load=load_tile_model,
        decide=partial(_decided, model, options),
        options=asdict(options),
        adapts=options.norm == "scene" and model.card is not None,
        aoi=options.aoi,
    )
    return run_raster(
        source,
        out,
        method,
        finish=finish,
        runner=runner,
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        quiet=quiet,
    )


def _decided(
    model: Model,
    options: TranslateOptions,
    dataset: Any,
    meta: RasterMeta,
    path: Location,
    called: str,
) -> Job:
    return prepare_job(dataset, meta, model, options, path, called=called)
