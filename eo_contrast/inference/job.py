"""Everything that is decided of one raster before its first pixel is read, whatever the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rasterio import Affine
from rasterio.crs import CRS
from safetensors.torch import load_file

import eo_contrast
from eo_contrast.inference.models import Load, LoadedModel
from eo_contrast.inference.plan import Plan
from eo_contrast.inference.stream import Fill
from eo_contrast.inference.view import Opener
from eo_contrast.inference.work import Work
from eo_contrast.nets.inference import Precision
from eo_contrast.raster.crop import Region
from eo_contrast.raster.location import Location, file_name
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.tile_names import tile_of_file, tile_transform

WEB_MERCATOR = 3857


@dataclass(frozen=True)
class Job:
    """One raster's run, decided.

    Attributes:
        opener: opens the raster as the model sees it.
        meta: of the result.
        fill: what stands for invalid pixels, one number a band; None: there are none.
        remarks: what the user should know of the choices made.
    """

    opener: Opener
    plan: Plan
    meta: RasterMeta
    fill: Fill
    remarks: tuple[str, ...]

    def work(self, model: LoadedModel) -> Work:
        """The work itself, with a model that is prepared for the scene."""
        return Work(
            open_source=self.opener,
            model=model.tiles,
            plan=self.plan,
            height=self.meta.height,
            width=self.meta.width,
            fill=self.fill,
        )

    def anywhere(self) -> Job:
        """The same for a process that works in another folder."""
        return replace(self, opener=self.opener.anywhere())


@dataclass(frozen=True)
class Order:
    """A job that another process does: it loads the model by itself. Equal by ``key``."""

    key: str
    job: Job = field(compare=False)
    load: Load = field(compare=False)
    model: str = field(compare=False)
    device: str = field(compare=False)
    precision: Precision = field(compare=False)
    statistics: Path | None = field(compare=False)

    def __call__(self) -> Work:
        model = self.load(self.model, torch.device(self.device), self.precision)
        model.tiles.prepare(load_file(self.statistics) if self.statistics else None)
        return self.job.work(model)


@dataclass(frozen=True)
class Method:
    """How rasters are made of others by one model: what a stage brings to the engine.

    Attributes:
        load: loads the model anew, in another process.
        decide: the job of an open dataset, its metadata, where it lies, and what it is called.
        options: that decide the bytes beside all else, by the names that users know.
        adapts: the model is shown a sample of the scene first, and treats all tiles alike by it.
        aoi: a vector file of what is wanted; None: all.
        verb: for the progress that is shown.
    """

    model: LoadedModel
    load: Load
    decide: Callable[[Any, RasterMeta, Location, str], Job]
    options: Mapping[str, Any]
    adapts: bool = False
    aoi: Path | None = None
    verb: str = "translate"


def placed_by_name(meta: RasterMeta, source: Location) -> tuple[RasterMeta, tuple[str, ...]]:
    """A raster without any position whose file is named as a web-map tile lies where it says.

    Returns: the metadata, and what to tell of it.
    """
    tile = tile_of_file(source.as_posix() if isinstance(source, Path) else file_name(source))
    unplaced = meta.crs is None and meta.transform is None and not meta.gcps and not meta.rpcs
    if tile is None or not unplaced:
        return meta, ()
    transform = Affine(*tile_transform(tile, meta.width, meta.height))
    placed = replace(meta, crs=CRS.from_epsg(WEB_MERCATOR), transform=transform)
    return placed, (f"placed as web-map tile {tile.z}/{tile.x}/{tile.y} by its name",)


def area_of(path: Path | None, meta: RasterMeta, name: str) -> Region | None:
    """What ``--aoi`` names of a raster; None: all of it.

    Raises: InputError: no vector file that can be read, or one that lies elsewhere.
    """
    if path is None:
        return None
    # The library of vector files takes its time to load; few runs need it.
    from eo_contrast.raster.area import load_area

    return load_area(path, meta, name=name)


def provenance(model: LoadedModel, name: str, **more: str) -> dict[str, str]:
    """Tags that say what a result was made of: software, source, model, and what else is given."""
    tags = {"software": f"eo-contrast {eo_contrast.__version__}", "source": name}
    if model.sha256 is not None:
        tags |= {"model": model.name, "model_sha256": model.sha256}
    return {f"EO_CONTRAST_{key.upper()}": value for key, value in {**tags, **more}.items()}


def tagged(meta: RasterMeta, tags: Mapping[str, str]) -> RasterMeta:
    """The metadata with more tags in the default domain."""
    return replace(meta, tags={**meta.tags, "": {**meta.tags.get("", {}), **tags}})
