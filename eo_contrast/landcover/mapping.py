"""Apply a saved land-cover model to a raster: raster in, map of classes out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from eo_contrast.inference.finish import Finish
from eo_contrast.inference.job import Method
from eo_contrast.inference.raster_run import AS_COG, HERE, Runner, refuse_sources, run_raster
from eo_contrast.landcover.map_job import MapOptions, legend_of, prepare_map
from eo_contrast.landcover.map_model import LandCoverModel, load_land_cover_model
from eo_contrast.raster.location import Location

AS_CARD = MapOptions()


def land_cover_map(
    source: Location,
    out: Path,
    model: LandCoverModel,
    options: MapOptions = AS_CARD,
    *,
    finish: Finish = AS_COG,
    runner: Runner = HERE,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Map one raster's land cover into ``out``, which appears whole or not at all.

    >>> model = eo_contrast.load_land_cover_model("classes", torch.device("cpu"))
    >>> told = eo_contrast.land_cover_map(
    ...     "sat2map/scene.tif", Path("classes.tif"), model, quiet=True)
    >>> list(told["classes"]), sum(told["classes"].values()) == 128 * 128
    (['field', 'town'], True)

    ``out`` has one uint8 band: the number of each pixel's likeliest class, 255 where there are no
    data; a colour table, and names beside it (:mod:`eo_contrast.raster.class_map`). What is blended
    where windows overlap are probabilities.

    Args:
        finish: its ``vector`` and ``probabilities`` name further outputs; the legend is the
            model's, whatever it says of it.

    Returns: as :func:`eo_contrast.inference.raster_run.run_raster`, with ``classes``, the pixels of
        each by name.
    Raises:
        InputError: a raster, option or existing output that will not do.
        WorldError: the disk is full or failing; Interrupted: stopped, resumable.
    """
    refuse_sources(options.beside.values(), (out, *finish.besides))
    method = Method(
        model=model,
        load=partial(load_land_cover_model, without=model.without),
        decide=partial(prepare_map, model, options, finish.probabilities is not None),
        options={
            "tile": options.tile,
            "overlap": options.overlap,
            "bands": options.bands,
            "scaling": options.scaling,
            "aoi": options.aoi,
            "grid": options.grid,
            "with": " ".join(sorted(options.beside)) or None,
            "without": " ".join(model.without) or None,
        },
        aoi=options.aoi,
        verb="map",
    )
    return run_raster(
        source,
        out,
        method,
        finish=replace(finish, legend=legend_of(model.card)),
        runner=runner,
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        quiet=quiet,
    )
