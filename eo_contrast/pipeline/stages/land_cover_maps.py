"""The stage that maps land cover of rasters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from eo_contrast.config import Config
from eo_contrast.pipeline.stage import (
    Call,
    Input,
    Inputs,
    Means,
    OptionalInput,
    OptionalOutput,
    Output,
)


class LandCoverMapStage(Config):
    """A raster's land cover, as a GeoTIFF of classes; options as those of the command."""

    source: Input
    model: Input
    out: Output
    tile: int | None = Field(None, ge=1)
    overlap: int | None = Field(None, ge=0)
    bands: str | None = None
    scaling: str = "card"
    aoi: OptionalInput = None
    grid: Literal["source", "model"] = "source"
    beside: Inputs = Field({}, description="rasters of the model's other sensors, by sensor")
    without: tuple[str, ...] = Field((), description="sensors that there is no raster of")
    format: Literal["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"] = "cog"
    compat: bool = False
    stac: bool = True
    vector: OptionalOutput = Field(None, description="also the map's polygons, by class")
    probabilities: OptionalOutput = Field(None, description="also every class's, to a GeoTIFF")
    workers: Means[int] = Field(1, ge=1)
    scheduler: Means[str | None] = None


def land_cover_map(config: LandCoverMapStage, call: Call) -> dict[str, Any]:
    """Map the raster, or go on from the pieces that are finished."""
    import torch

    from eo_contrast.inference.finish import Finish
    from eo_contrast.inference.raster_run import Runner
    from eo_contrast.landcover.map_job import MapOptions
    from eo_contrast.landcover.map_model import load_land_cover_model
    from eo_contrast.landcover.mapping import land_cover_map as mapped
    from eo_contrast.training.device import resolve_device

    return mapped(
        config.source,
        config.out,
        load_land_cover_model(
            str(config.model), torch.device(resolve_device(call.device)), without=config.without
        ),
        MapOptions(
            tile=config.tile,
            overlap=config.overlap,
            bands=config.bands,
            scaling=config.scaling,
            aoi=config.aoi,
            grid=config.grid,
            beside=config.beside,
        ),
        finish=Finish(
            format=config.format,
            compat=config.compat,
            stac=config.stac,
            vector=None if config.vector is None else str(config.vector),
            probabilities=None if config.probabilities is None else str(config.probabilities),
        ),
        runner=Runner(workers=config.workers, scheduler=config.scheduler),
        overwrite=True,
        resume=call.resume,
        quiet=call.quiet,
    )
