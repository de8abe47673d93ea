"""Everything that is decided of a raster's translation before its first pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from rasterio import Affine
from rasterio.crs import CRS
from safetensors.torch import load_file

import eo_contrast
from eo_contrast.errors import InputError
from eo_contrast.inference.plan import Plan, plan_inference
from eo_contrast.inference.statistics import sample_pixels
from eo_contrast.inference.stream import Fill, means_of
from eo_contrast.inference.work import Work
from eo_contrast.nets.inference import Precision
from eo_contrast.raster.band_choice import choose_bands, parse_bands
from eo_contrast.raster.crop import Region, cropped
from eo_contrast.raster.location import Location, file_name
from eo_contrast.raster.meta import (
    RasterMeta,
    as_picture,
    chosen_bands,
    common_nodata,
    ground_pixel_size_m,
    nodata_differs,
    on_grid,
)
from eo_contrast.raster.reader import alpha_band
from eo_contrast.raster.tile_names import tile_of_file, tile_transform
from eo_contrast.raster.windows import default_overlap
from eo_contrast.training.card import Card
from eo_contrast.translate.scaling import in_words, parse_scaling, units_for
from eo_contrast.translate.tile_models import Model, load_tile_model
from eo_contrast.translate.view import Opener, View

RESOLUTION_TOLERANCE = 0.1
WEB_MERCATOR = 3857


@dataclass(frozen=True)
class TranslateOptions:
    """How a raster is translated; None stands for the default named in each line.

    Attributes:
        tile: side of a tile in pixels; None: 768.
        overlap: pixels shared by neighbouring tiles; None: what the network sees around a
            pixel, so that tiling changes nothing.
        norm: ``scene``: normalise by statistics of the whole scene; ``tile``: by each tile's.
        bands: numbers or names of the raster's bands, in the model's order; None: by name.
        scaling: how the raster's numbers become the card's values: ``card``, ``dtype``,
            ``product``, ``percentiles``, ``percentiles:LOW,HIGH`` or ``LOW,HIGH``.
        aoi: a vector file; what lies outside is left out. None: the whole raster.
        grid: of the result: the ``source``'s, or the ``model``'s resolution.
    """

    tile: int | None = None
    overlap: int | None = None
    norm: Literal["scene", "tile"] = "scene"
    bands: str | None = None
    scaling: str = "card"
    aoi: Path | None = None
    grid: Literal["source", "model"] = "source"


@dataclass(frozen=True)
class Job:
    """One raster's translation, decided.

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

    def work(self, model: Model) -> Work:
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
        place = self.opener.location
        if not isinstance(place, Path):
            return self
        return replace(self, opener=replace(self.opener, location=place.resolve()))


@dataclass(frozen=True)
class Order:
    """A job that another process does: it loads the model by itself. Equal by ``key``."""

    key: str
    job: Job = field(compare=False)
    model: str = field(compare=False)
    device: str = field(compare=False)
    precision: Precision = field(compare=False)
    statistics: Path | None = field(compare=False)

    def __call__(self) -> Work:
        model = load_tile_model(self.model, torch.device(self.device), self.precision)
        model.tiles.prepare(load_file(self.statistics) if self.statistics else None)
        return self.job.work(model)


def prepare_job(
    dataset: Any,
    meta: RasterMeta,
    model: Model,
    options: TranslateOptions,
    path: Location,
    *,
    called: str | None = None,
) -> Job:
    """Decide how a raster is translated, from its header and, where values decide, a sample.

    Args:
        meta: the dataset's, perhaps with a position that its name told.
        called: what the result names as its source; None: the file's name.

    Raises: InputError: bands, values, area or tiles that do not fit.
    """
    name = str(path)
    area = _area(options.aoi, meta, name)
    decide = _decide_copy if model.card is None else _decide_picture
    view, meta_out, remarks = decide(dataset, meta, model, options, area, name)
    source = view.over(dataset, meta)
    plan = plan_inference(source, model.tiles, tile=options.tile, overlap=options.overlap)
    provenance = _provenance(model, options, view, called or file_name(path))
    holes = plan.may_be_invalid and plan.joining == "blend"
    own_tags = {**meta_out.tags.get("", {}), **provenance}
    return Job(
        opener=Opener(path, view),
        plan=plan,
        meta=replace(meta_out, tags={**meta_out.tags, "": own_tags}),
        fill=means_of(sample_pixels(source)) if holes else None,
        remarks=(*remarks, *_seam_remarks(plan, model.tiles.halo)),
    )


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


def _area(path: Path | None, meta: RasterMeta, name: str) -> Region | None:
    if path is None:
        return None
    # The library of vector files takes its time to load; few runs need it.
    from eo_contrast.raster.area import load_area

    return load_area(path, meta, name=name)


def _decide_copy(
    dataset: Any,
    meta: RasterMeta,
    _model: Model,
    options: TranslateOptions,
    area: Region | None,
    name: str,
) -> tuple[View, RasterMeta, tuple[str, ...]]:
    """A copy keeps nodata and alpha as values; what a GeoTIFF cannot hold becomes a mask."""
    if options.scaling != "card":
        raise InputError(f"--scaling {options.scaling}: a copy keeps its values; leave it out")
    indexes = tuple(range(1, meta.count + 1))
    if options.bands is not None:
        indexes = parse_bands(options.bands, meta, count=None, name=name)
    alpha = alpha_band(meta, dataset)
    chosen = chosen_bands(meta, indexes)
    own_mask_only = not nodata_differs(chosen) and (alpha is None or alpha in indexes)
    nodata = common_nodata(chosen)
    meta_out = chosen if own_mask_only else replace(chosen, nodata=(None,) * len(indexes))
    if area is not None:
        meta_out = cropped(meta_out, area)
    view = View(
        indexes,
        own_mask_only=own_mask_only,
        area=area,
        nodata=nodata if own_mask_only else None,
    )
    return view, meta_out, ()


def _decide_picture(
    dataset: Any,
    meta: RasterMeta,
    model: Model,
    options: TranslateOptions,
    area: Region | None,
    name: str,
) -> tuple[View, RasterMeta, tuple[str, ...]]:
    """A picture is made of the bands that the model's card names, at its resolution."""
    assert model.card is not None
    indexes = _indexes(dataset, meta, model.card, options.bands, name)
    part = meta if area is None else cropped(meta, area)
    size, remarks = _model_grid(part, model.card, options.grid)
    view = View(indexes, physical=True, area=area, grid=size)
    scaling, of_card = parse_scaling(options.scaling), model.card.scaling
    full = replace(view, grid=None).over(dataset, meta)
    units = units_for(scaling, of_card, meta, indexes, full, name)
    if scaling.kind != "card":
        view = replace(view, units=units)
        remarks = (*remarks, f"values {in_words(units, of_card)}")
    shown = part if options.grid == "source" or size is None else on_grid(part, *size)
    return view, as_picture(shown, model.tiles.bands_out, dtype=str(model.tiles.dtype_out)), remarks


def _indexes(
    dataset: Any, meta: RasterMeta, card: Card, bands: str | None, name: str
) -> tuple[int, ...]:
    if bands is not None:
        return parse_bands(bands, meta, count=len(card.bands_in), name=name)
    return choose_bands(meta, card.bands_in, name=name, alpha=alpha_band(meta, dataset))


def _model_grid(
    meta: RasterMeta, card: Card, grid: str
) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """Height and width at the model's ground resolution (None: as it is), and what to tell."""
    wanted, size = card.ground_resolution_m, ground_pixel_size_m(meta)
    if wanted is None or size is None:
        return _grid_by_zoom(meta, card)
    if all(abs(side / wanted - 1) <= RESOLUTION_TOLERANCE for side in size):
        return None, ()
    height, width = (
        max(1, round(count * side / wanted))
        for count, side in zip((meta.height, meta.width), size, strict=True)
    )
    back = ", then resampled back" if grid == "source" else ""
    remark = (
        f"pixels of {size[0]:.3g} x {size[1]:.3g} m are translated at the model's {wanted:.3g} m "
        f"({meta.width} x {meta.height} -> {width} x {height} pixels){back}"
    )
    return (height, width), (remark,)


def _grid_by_zoom(meta: RasterMeta, card: Card) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """Without metres to go by, the raster is taken to be like the files of the training."""
    whose = "the model"
    if card.ground_resolution_m is not None:
        whose = "the raster (no CRS that says it)"
    unknown = f"the ground resolution of {whose} is not known"
    if card.zoom == 1.0:
        told = card.ground_resolution_m is not None
        return None, (f"{unknown}; translated pixel for pixel",) if told else ()
    height, width = (max(1, round(side * card.zoom)) for side in (meta.height, meta.width))
    remark = (
        f"{unknown}; translated at {card.zoom:.3g} of its size ({width} x {height} pixels), as "
        "the training tiles were"
    )
    return (height, width), (remark,)


def _seam_remarks(plan: Plan, halo: int) -> tuple[str, ...]:
    lacking = plan.lacking_margin(halo)
    if not lacking:
        return ()
    overlap, tile = default_overlap(halo, plan.tiling.stride), plan.tiling.tile
    return (
        f"tiles of {tile} pixels with an overlap of {plan.tiling.overlap} may show faint seams: "
        f"the network sees {halo} pixels around each one; an overlap of {overlap} shows none",
    )


def _provenance(model: Model, options: TranslateOptions, view: View, name: str) -> dict[str, str]:
    tags = {"software": f"eo-contrast {eo_contrast.__version__}", "source": name}
    if model.sha256 is not None:
        tags |= {"model": model.name, "model_sha256": model.sha256, "norm": options.norm}
    if view.units is not None and model.card is not None:
        tags["scaling"] = in_words(view.units, model.card.scaling)
    return {f"EO_CONTRAST_{key.upper()}": value for key, value in tags.items()}
