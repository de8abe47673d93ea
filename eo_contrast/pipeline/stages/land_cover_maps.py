"""The stage that maps land cover of rasters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from eo_contrast.config import Config
from eo_contrast.errors import InputError
from eo_contrast.pipeline.stage import Call, Input, Means, OptionalInput, OptionalOutput, Output


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
    format: Literal["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"] = "cog"
    stac: bool = True
    vector: OptionalOutput = Field(None, description="also the map's polygons, by class")
    workers: Means[int] = Field(1, ge=1)
    scheduler: Means[str | None] = None


def land_cover_map(config: LandCoverMapStage, call: Call) -> dict[str, Any]:
    """Map the raster, or go on from the pieces that are finished."""
    raise InputError(
        "land_cover_map: this release makes no land-cover maps yet; take the stage out"
    )
