"""Everything that is decided of a raster's land-cover map before its first pixel is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rasterio.warp import transform as warp_points

from eo_contrast.catalog.grids import Grid, outline_of
from eo_contrast.data.sensors import SensorInput
from eo_contrast.errors import InputError
from eo_contrast.inference.grid import model_grid
from eo_contrast.inference.job import Job, area_of, provenance, tagged
from eo_contrast.inference.plan import plan_windows
from eo_contrast.inference.scaling import Scaling, parse_scaling
from eo_contrast.inference.settle import ClassNumbers
from eo_contrast.inference.view import Companion, Opener, Unit, View, grid_of_raster
from eo_contrast.landcover.class_colours import class_colours
from eo_contrast.landcover.map_bands import bands_of
from eo_contrast.landcover.map_model import LandCoverModel
from eo_contrast.landcover.map_units import units_in_words, units_of
from eo_contrast.raster.class_map import as_class_map
from eo_contrast.raster.crop import Region, cropped
from eo_contrast.raster.location import Location, file_name
from eo_contrast.raster.meta import RasterMeta, on_grid
from eo_contrast.raster.reader import BLOCK_CACHE_BYTES, block_row_bytes, open_raster
from eo_contrast.raster.windows import Tiling, plan_tiling
from eo_contrast.training.land_cover_card import LandCoverCard

ON_PROCESSOR, ON_ACCELERATOR = 256, 1024
"""Side in pixels of what a network is shown at once."""
MOST_CACHE_BYTES = 512 << 20
BY_NAME = "name the file's bands, as their descriptions"
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class MapOptions:
    """How a raster's land cover is mapped; None stands for the default named in each line.

    Attributes:
        tile: side in pixels of what the network is shown at once, as many of its windows as fill
            it; None: 256 on a processor, whose caches hold that, else 1024. Changes speed and
            memory, no probability by more than rounding.
        overlap: pixels that neighbouring windows share; None: half of a window.
        bands: numbers or names of the raster's bands, in the model's order; None: by name.
        scaling: how the raster's numbers become the model's values: ``card`` (by its own scale,
            else by its product's storage), ``product``, ``dtype``, ``percentiles``,
            ``percentiles:LOW,HIGH`` or ``LOW,HIGH``.
        aoi: a vector file; what lies outside has no class. None: the whole raster.
        grid: of the result: the ``source``'s, or the ``model``'s resolution.
        beside: rasters of the model's other sensors, by sensor; laid on the first one's grid.
    """

    tile: int | None = None
    overlap: int | None = None
    bands: str | None = None
    scaling: str = "card"
    aoi: Path | None = None
    grid: Literal["source", "model"] = "source"
    beside: Mapping[str, Location] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What is seen of one raster: its bands, by 1-based numbers, and their units."""

    indexes: tuple[int, ...]
    units: tuple[Unit, ...]
    remarks: tuple[str, ...]


def prepare_map(
    model: LandCoverModel,
    options: MapOptions,
    probabilities: bool,
    dataset: Any,
    meta: RasterMeta,
    path: Location,
    called: str,
) -> Job:
    """Decide how a raster is mapped, from its header and, where values decide, a sample.

    Args:
        probabilities: they are wanted behind the classes' numbers.
        meta: the dataset's, perhaps with a position that its name told.
        called: what the result names as its source.

    Raises: InputError: sensors, bands, product, values, area or windows that do not fit.
    """
    card = model.card
    area = area_of(options.aoi, meta, str(path))
    part = meta if area is None else cropped(meta, area)
    back = options.grid == "source"
    size, remarks = model_grid(part, card.ground_resolution_m, back=back, verb="mapped")
    opener, told = _opener(card, options, dataset, meta, path, area, size)
    tiling = tiling_of(card, model.tiles.window, options.overlap)
    on_processor = model.device == "cpu"
    at_once = options.tile or (ON_PROCESSOR if on_processor else ON_ACCELERATOR)
    with opener() as source:
        plan = plan_windows(
            source,
            model.tiles,
            tiling,
            together=max(1, at_once**2 // tiling.tile**2),
            settle=ClassNumbers(len(card.classes), probabilities),
            one_thread=on_processor,
        )
    shown = part if back or size is None else on_grid(part, *size)
    tags = provenance(model, called, scaling=units_in_words(opener.view.units or ()))
    return Job(
        opener=opener,
        plan=plan,
        meta=tagged(as_class_map(shown, legend_of(card)), tags),
        fill=model.tiles.fill,
        remarks=(*model.remarks, *remarks, *told),
    )


def legend_of(card: LandCoverCard) -> tuple[tuple[str, Colour], ...]:
    """Name and colour of each class."""
    colours = [tuple(map(int, each)) for each in class_colours(card.classes)]
    return tuple(
        (name, (red, green, blue))
        for name, (red, green, blue) in zip(card.classes, colours, strict=True)
    )


def tiling_of(card: LandCoverCard, window: int, overlap: int | None) -> Tiling:
    """Windows of the size that the network learnt from.

    Of pixels each fades into the next over all that they share, since a network knows least of
    what lies at its window's border. A class of a whole window is that of its middle alone, the
    part that no neighbour's middle covers.

    Args:
        window: side of a window in pixels.
        overlap: pixels that neighbours share; None: half of a window.

    Raises: InputError: more than windows can share.
    """
    if overlap is not None and overlap < 0:
        raise InputError(f"--overlap {overlap}: must not be negative")
    by_pixel = card.kind == "segmentation"
    most = window // 2 if by_pixel else window - 1
    shared = window // 2 if overlap is None else overlap
    if shared > most:
        raise InputError(
            f"--overlap {overlap}: the model's windows of {window} pixels share at most {most}"
        )
    if by_pixel:
        return plan_tiling(window, shared, halo=0, stride=1)
    margin = shared // 2
    return Tiling(tile=window, overlap=2 * margin, margin=margin, stride=1)


def _opener(
    card: LandCoverCard,
    options: MapOptions,
    dataset: Any,
    meta: RasterMeta,
    path: Location,
    area: Region | None,
    size: tuple[int, int] | None,
) -> tuple[Opener, tuple[str, ...]]:
    """What opens the raster, and those of other sensors, as the model sees them; what to tell."""
    name, inputs = str(path), card.encoder.sensors
    own = _sensor_of_source(card, options.beside, name)
    scaling = parse_scaling(options.scaling)
    seen = _seen(dataset, meta, inputs[own], scaling, name, area=area, chosen=options.bands)
    companions, told = [], list(seen.remarks)
    for each in card.sensors:
        if each in options.beside:
            where = options.beside[each]
            companion, words = _companion(each, where, inputs[each], meta, name)
            companions.append(companion)
            told += [f"{where}: {word}" for word in words]
    opener = Opener(
        path,
        View(seen.indexes, physical=True, area=area, units=seen.units, grid=size),
        tuple(companions),
        at=card.sensors.index(own),
        cache_bytes=_cache_bytes(dataset, len(seen.indexes)),
    )
    return opener, tuple(told)


def _sensor_of_source(card: LandCoverCard, beside: Mapping[str, Location], name: str) -> str:
    """The one of the model's sensors that no other raster is given for.

    Raises: InputError: there is no such one, or several; or the model has not a sensor named.
    """
    inputs = card.encoder.sensors
    has = " and ".join(f"{each} ({_eats(inputs[each])})" for each in card.sensors)
    for each in beside:
        if each not in card.sensors:
            raise InputError(f"--with {each}: the model has no such sensor, but {has}")
    left = [each for each in card.sensors if each not in beside]
    if not left:
        raise InputError(
            f"--with: all of the model's sensors, {' and '.join(card.sensors)}, are given, and "
            f"{name} is to be one of them; leave one --with out"
        )
    if len(left) > 1:
        raise InputError(
            f"{name}: the model takes {has}, and this is one of them; give the other by "
            f"--with {left[0]}=FILE or --with {left[-1]}=FILE, or say --without it"
        )
    return left[0]


def _eats(sensor: SensorInput) -> str:
    return f"{sensor.product} {' '.join(sensor.bands)}"


def _seen(
    dataset: Any,
    meta: RasterMeta,
    sensor: SensorInput,
    scaling: Scaling,
    name: str,
    *,
    area: Region | None = None,
    chosen: str | None = None,
    way_out: str | None = None,
) -> Seen:
    indexes, told = bands_of(dataset, meta, sensor, name=name, chosen=chosen, way_out=way_out)
    view = View(indexes, physical=True, area=area)
    units, more = units_of(
        scaling,
        sensor,
        meta,
        indexes,
        lambda units: replace(view, units=tuple(units)).over(dataset, meta),
        name,
    )
    return Seen(indexes, units, (*told, *more))


def _companion(
    sensor_name: str, where: Location, sensor: SensorInput, onto: RasterMeta, name: str
) -> tuple[Companion, tuple[str, ...]]:
    """The raster of another sensor on the first one's grid, and what to tell of it.

    Raises: InputError: it does not fit the sensor, has no position, or lies elsewhere.
    """
    option = f"--with {sensor_name}={file_name(where)}"
    with open_raster(where) as (dataset, meta):
        for whose, each in ((option, meta), (name, onto)):
            if each.crs is None or each.transform is None:
                raise InputError(
                    f"{whose}: has no position (a CRS and a transform), which two rasters of the "
                    "same ground need; write it into the file, as gdal_translate -a_srs -a_ullr"
                )
        own, wanted = grid_of_raster(meta), grid_of_raster(onto)
        if not _overlap(own, wanted):
            raise InputError(f"{option}: lies elsewhere than {name}; give one of the same ground")
        by_card = parse_scaling("card")
        seen = _seen(dataset, meta, sensor, by_card, str(where), way_out=BY_NAME)
    return Companion(where, seen.indexes, seen.units, wanted), seen.remarks


def _overlap(own: Grid, onto: Grid) -> bool:
    x, y = outline_of(onto)
    if own.crs != onto.crs:
        x, y = (np.array(each) for each in warp_points(onto.crs, own.crs, x, y))
    columns, rows = (np.asarray(each) for each in ~own.transform @ (x, y))
    across = columns.max() > 0 and columns.min() < own.width
    return bool(across and rows.max() > 0 and rows.min() < own.height)


def _cache_bytes(dataset: Any, bands: int) -> int:
    """Memory of GDAL's for a row of blocks, of which many rows of small windows are made."""
    return max(BLOCK_CACHE_BYTES, min(block_row_bytes(dataset, bands) * 5 // 4, MOST_CACHE_BYTES))
