"""Everything that is decided of a raster's translation before its first pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from eo_contrast.errors import InputError
from eo_contrast.inference.grid import model_grid
from eo_contrast.inference.job import Job, area_of, provenance, tagged
from eo_contrast.inference.plan import Plan, plan_inference
from eo_contrast.inference.scaling import in_words, parse_scaling, units_for
from eo_contrast.inference.statistics import sample_pixels
from eo_contrast.inference.stream import means_of
from eo_contrast.inference.view import Opener, View
from eo_contrast.raster.band_choice import choose_bands, parse_bands
from eo_contrast.raster.crop import Region, cropped
from eo_contrast.raster.location import Location, file_name
from eo_contrast.raster.meta import (
    RasterMeta,
    as_picture,
    chosen_bands,
    common_nodata,
    nodata_differs,
    on_grid,
)
from eo_contrast.raster.reader import alpha_band
from eo_contrast.raster.windows import default_overlap
from eo_contrast.training.card import Card
from eo_contrast.translate.tile_models import Model


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
    area = area_of(options.aoi, meta, name)
    decide = _decide_copy if model.card is None else _decide_picture
    view, meta_out, remarks = decide(dataset, meta, model, options, area, name)
    source = view.over(dataset, meta)
    plan = plan_inference(source, model.tiles, tile=options.tile, overlap=options.overlap)
    tags = _provenance(model, options, view, called or file_name(path))
    holes = plan.may_be_invalid and plan.joining == "blend"
    return Job(
        opener=Opener(path, view),
        plan=plan,
        meta=tagged(meta_out, tags),
        fill=means_of(sample_pixels(source)) if holes else None,
        remarks=(*remarks, *_seam_remarks(plan, model.tiles.halo)),
    )


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
    back, card = options.grid == "source", model.card
    size, remarks = model_grid(
        part, card.ground_resolution_m, back=back, verb="translated", zoom=card.zoom
    )
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
    more: dict[str, str] = {} if model.sha256 is None else {"norm": options.norm}
    if view.units is not None and model.card is not None:
        more["scaling"] = in_words(view.units, model.card.scaling)
    return provenance(model, name, **more)
