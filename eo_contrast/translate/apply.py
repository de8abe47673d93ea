"""Apply a saved model to a raster: model file to ``TileModel``, raster in, raster out."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rasterio import Affine
from rasterio.crs import CRS
from torch import Tensor

import eo_contrast
from eo_contrast.data.tiles import tile_of_file, tile_transform
from eo_contrast.errors import InputError
from eo_contrast.files import refuse_existing
from eo_contrast.inference.plan import Plan, TileModel, plan_inference
from eo_contrast.inference.statistics import sample_tiles
from eo_contrast.inference.stream import Tally, infer
from eo_contrast.nets.generator import TOTAL_STRIDE, ResnetGenerator, receptive_radius
from eo_contrast.nets.norms import collect_statistics, fix_statistics
from eo_contrast.progress import progress
from eo_contrast.raster.band_choice import choose_bands, parse_bands
from eo_contrast.raster.location import Location, file_name
from eo_contrast.raster.meta import (
    RasterMeta,
    as_picture,
    ground_pixel_size_m,
    nodata_differs,
    on_grid,
)
from eo_contrast.raster.reader import Pixels, RasterSource, Source, alpha_band, open_raster
from eo_contrast.raster.resample import ResampledSource, axis_map, resample_strips
from eo_contrast.raster.windows import default_overlap
from eo_contrast.raster.writer import Format, raster_written
from eo_contrast.training.card import Card, InputScaling, load_model, model_file
from eo_contrast.training.log import peak_rss_mib

IDENTITY = "identity"
RESOLUTION_TOLERANCE = 0.1
WEB_MERCATOR = 3857
LIMITS = {"read": "reading", "infer": "network", "write": "writing"}


class Identity:
    """The ``TileModel`` that gives back what it gets, in any type: a copy by way of the engine."""

    bands_in: tuple[str, ...] = ()
    bands_out: tuple[str, ...] = ()
    dtype_out: str | None = None
    halo = 0
    stride = 1
    joining: Literal["blend", "cut"] = "cut"

    def prepare(self, tiles: Tensor | None) -> None:
        """Nothing depends on the scene."""

    def __call__(self, tiles: Tensor) -> Tensor:
        return tiles


class GeneratorTiles:
    """The ``TileModel`` of a translation generator: physical values in, 0..255 out."""

    dtype_out: str | None = "uint8"
    stride = TOTAL_STRIDE
    joining: Literal["blend", "cut"] = "blend"

    def __init__(self, net: ResnetGenerator, card: Card, device: torch.device) -> None:
        self._net = net.to(device)
        self._scaling = card.scaling
        self._device = device
        self.bands_in = card.bands_in
        self.bands_out = card.bands_out
        self.halo = receptive_radius(net.config)

    def prepare(self, tiles: Tensor | None) -> None:
        """Normalise every tile by the statistics of ``tiles``; None: each by its own."""
        if tiles is None:
            fix_statistics(self._net, None)
        else:
            fix_statistics(self._net, collect_statistics(self._net, self._scaled(tiles)))

    def __call__(self, tiles: Tensor) -> Tensor:
        result: Tensor = self._net(self._scaled(tiles))
        return (result + 1) * 127.5

    def _scaled(self, tiles: Tensor) -> Tensor:
        lowest, highest = self._scaling.minimum, self._scaling.maximum
        values = tiles.to(self._device, torch.float32).clamp(lowest, highest)
        return (values - lowest) * (2 / (highest - lowest)) - 1


@dataclass(frozen=True)
class Model:
    """A model ready to run: ``card`` and ``sha256`` (of the weights file) are None for identity."""

    name: str
    tiles: TileModel
    card: Card | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class TranslateOptions:
    """How a raster is translated; None stands for the default named in each line.

    Attributes:
        tile: side of a tile in pixels; None: 768.
        overlap: pixels shared by neighbouring tiles; None: what the network sees around a
            pixel, so that tiling changes nothing.
        norm: ``scene``: normalise by statistics of the whole scene; ``tile``: by each tile's.
        bands: numbers or names of the raster's bands, in the model's order; None: by name.
        format: ``cog`` or ``gtiff``.
        grid: of the result: the ``source``'s, or the ``model``'s resolution.
    """

    tile: int | None = None
    overlap: int | None = None
    norm: Literal["scene", "tile"] = "scene"
    bands: str | None = None
    format: Format = "cog"
    grid: Literal["source", "model"] = "source"


@dataclass(frozen=True)
class _Job:
    """All that is known of one raster's translation before its first pixel is read."""

    source: Source
    plan: Plan
    meta_out: RasterMeta
    remarks: tuple[str, ...]

    @property
    def resampled_back(self) -> bool:
        return (self.plan.height, self.plan.width) != (self.meta_out.height, self.meta_out.width)


def load_tile_model(name: str, device: torch.device) -> Model:
    """The model that ``--model`` names: a weights file, a run folder or ``identity``.

    Raises: InputError: it is none of these.
    """
    if name == IDENTITY:
        return Model(name=IDENTITY, tiles=Identity())
    net, card = load_model(name)
    digest = hashlib.sha256(model_file(name).read_bytes()).hexdigest()
    tiles = GeneratorTiles(net, card, device)
    return Model(name=model_file(name).name, tiles=tiles, card=card, sha256=digest)


def translate_raster(
    source: Location,
    out: Path,
    model: Model,
    options: TranslateOptions,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Translate one raster into ``out``, which appears whole or not at all.

    Returns: output, width, height, tiles, skipped_tiles, megapixels, seconds {total, read,
        infer, write}, peak_rss_mib, limited_by; after a dry run only what is known then.
    Raises:
        InputError: a raster, option or existing output that will not do.
        WorldError: the disk is full or failing.
    """
    began = time.perf_counter()
    refuse_existing(out, overwrite=overwrite)
    _refuse_same(source, out)
    with open_raster(source) as (dataset, found):
        meta, placed = placed_by_name(found, source)
        job = _prepare_job(dataset, meta, model, options, source)
        if not quiet:
            for remark in (*placed, *job.remarks):
                print(f"{source}: {remark}", file=sys.stderr)
        summary = _summary(out, job)
        if dry_run:
            return summary
        tally = Tally()
        _run(job, out, model, options, tally, quiet=quiet)
    seconds = {"total": time.perf_counter() - began, **tally.seconds}
    return {**summary, "skipped_tiles": tally.skipped_tiles, **cost(seconds)}


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


def cost(seconds: Mapping[str, float]) -> dict[str, Any]:
    """What a run took: seconds {total, read, infer, write}, peak_rss_mib, limited_by."""
    return {
        "seconds": {kind: round(value, 3) for kind, value in seconds.items()},
        "peak_rss_mib": round(peak_rss_mib(), 1),
        "limited_by": LIMITS[max(LIMITS, key=lambda kind: seconds[kind])],
    }


def _prepare_job(
    dataset: Any, meta: RasterMeta, model: Model, options: TranslateOptions, path: Location
) -> _Job:
    name = str(path)
    if model.card is None:
        source: Source = RasterSource(
            dataset, meta, range(1, meta.count + 1), own_mask_only=not nodata_differs(meta)
        )
        meta_out = _as_copy(meta)
        remarks: tuple[str, ...] = ()
    else:
        indexes = _indexes(dataset, meta, model.card, options.bands, name)
        _refuse_unfit_values(meta, indexes, model.card.scaling, name)
        raster = RasterSource(dataset, meta, indexes, physical=True)
        source, remarks = _at_resolution(raster, meta, model.card, options.grid)
        on_model_grid = on_grid(meta, source.height, source.width)
        meta_out = as_picture(
            meta if options.grid == "source" else on_model_grid,
            model.tiles.bands_out,
            dtype=str(model.tiles.dtype_out),
        )
    plan = plan_inference(source, model.tiles, tile=options.tile, overlap=options.overlap)
    remarks += _seam_remarks(plan, model.tiles.halo)
    provenance = _provenance(model, options, file_name(path))
    own_tags = {**meta_out.tags.get("", {}), **provenance}
    meta_out = replace(meta_out, tags={**meta_out.tags, "": own_tags})
    return _Job(source=source, plan=plan, meta_out=meta_out, remarks=remarks)


def _run(
    job: _Job, out: Path, model: Model, options: TranslateOptions, tally: Tally, *, quiet: bool
) -> None:
    plan = job.plan
    if options.norm == "scene" and model.card is not None:
        start = time.perf_counter()
        model.tiles.prepare(sample_tiles(job.source, stride=model.tiles.stride))
        tally.timed("infer", start)
    else:
        model.tiles.prepare(None)
    shown = progress("translate", plan.tiles, unit="tiles", quiet=quiet)
    masked = job.source.may_be_invalid
    written = raster_written(out, job.meta_out, format=options.format, masked=masked)
    closing = time.perf_counter()
    with shown as advance, written as writer:
        strips = infer(job.source, model.tiles, plan, tally=tally, advance=lambda n: advance(n, ""))
        for strip in _on_output_grid(strips, job):
            start = time.perf_counter()
            writer.write(strip)
            tally.timed("write", start)
        closing = time.perf_counter()
    tally.timed("write", closing)


def _on_output_grid(strips: Iterator[Pixels], job: _Job) -> Iterator[Pixels]:
    if not job.resampled_back:
        return strips
    rows = axis_map(job.plan.height, job.meta_out.height)
    columns = axis_map(job.plan.width, job.meta_out.width)
    return resample_strips(strips, rows, columns, dtype=job.plan.dtype_out)


def _indexes(
    dataset: Any, meta: RasterMeta, card: Card, bands: str | None, name: str
) -> tuple[int, ...]:
    if bands is not None:
        return parse_bands(bands, meta, count=len(card.bands_in), name=name)
    return choose_bands(meta, card.bands_in, name=name, alpha=alpha_band(meta, dataset))


def _at_resolution(
    source: Source, meta: RasterMeta, card: Card, grid: str
) -> tuple[Source, tuple[str, ...]]:
    """The source at the model's ground resolution, and what to tell of it."""
    wanted, size = card.ground_resolution_m, ground_pixel_size_m(meta)
    if wanted is None or size is None:
        return _at_zoom(source, card)
    if all(abs(side / wanted - 1) <= RESOLUTION_TOLERANCE for side in size):
        return source, ()
    height, width = (
        max(1, round(count * side / wanted))
        for count, side in zip((meta.height, meta.width), size, strict=True)
    )
    back = ", then resampled back" if grid == "source" else ""
    remark = (
        f"pixels of {size[0]:.3g} x {size[1]:.3g} m are translated at the model's {wanted:.3g} m "
        f"({meta.width} x {meta.height} -> {width} x {height} pixels){back}"
    )
    return ResampledSource(source, height, width), (remark,)


def _at_zoom(source: Source, card: Card) -> tuple[Source, tuple[str, ...]]:
    """Without metres to go by, the raster is taken to be like the files of the training."""
    whose = "the model"
    if card.ground_resolution_m is not None:
        whose = "the raster (no CRS that says it)"
    unknown = f"the ground resolution of {whose} is not known"
    if card.zoom == 1.0:
        told = card.ground_resolution_m is not None
        return source, (f"{unknown}; translated pixel for pixel",) if told else ()
    height, width = (max(1, round(side * card.zoom)) for side in (source.height, source.width))
    remark = (
        f"{unknown}; translated at {card.zoom:.3g} of its size ({width} x {height} pixels), as "
        "the training tiles were"
    )
    return ResampledSource(source, height, width), (remark,)


def _seam_remarks(plan: Plan, halo: int) -> tuple[str, ...]:
    lacking = plan.lacking_margin(halo)
    if not lacking:
        return ()
    overlap, tile = default_overlap(halo, plan.tiling.stride), plan.tiling.tile
    return (
        f"tiles of {tile} pixels with an overlap of {plan.tiling.overlap} may show faint seams: "
        f"the network sees {halo} pixels around each one; an overlap of {overlap} shows none",
    )


def _refuse_unfit_values(
    meta: RasterMeta, indexes: tuple[int, ...], scaling: InputScaling, name: str
) -> None:
    """Refuse integers whose range says that they are in another unit than the model's."""
    for index in indexes:
        dtype = np.dtype(meta.dtypes[index - 1])
        if dtype.kind not in "iu":
            continue
        largest = np.iinfo(dtype).max * meta.scales[index - 1] + meta.offsets[index - 1]
        too_wide = dtype.itemsize > 1 and largest > 64 * scaling.maximum
        if too_wide or largest < scaling.maximum / 8:
            raise InputError(
                f"{name}: band {index} is {dtype.name} with values up to {largest:g}, the model "
                f"takes {scaling.minimum:g} to {scaling.maximum:g}; scale the raster to that range "
                "first, as with gdal_translate -scale"
            )


def _as_copy(meta: RasterMeta) -> RasterMeta:
    """Metadata of a copy: a GeoTIFF holds one nodata, so several become a mask."""
    return replace(meta, nodata=(None,) * meta.count) if nodata_differs(meta) else meta


def _provenance(model: Model, options: TranslateOptions, name: str) -> dict[str, str]:
    tags = {"software": f"eo-contrast {eo_contrast.__version__}", "source": name}
    if model.sha256 is not None:
        tags |= {"model": model.name, "model_sha256": model.sha256, "norm": options.norm}
    return {f"EO_CONTRAST_{key.upper()}": value for key, value in tags.items()}


def _refuse_same(source: Location, out: Path) -> None:
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"{out}: the result is a GeoTIFF; give a name that ends in .tif")
    if isinstance(source, Path) and source.resolve() == out.resolve():
        raise InputError(f"{out}: is the source itself; give another name for the result")


def _summary(out: Path, job: _Job) -> dict[str, Any]:
    height, width = job.meta_out.height, job.meta_out.width
    return {
        "output": str(out),
        "width": width,
        "height": height,
        "tiles": job.plan.tiles,
        "megapixels": round(height * width / 1e6, 6),
    }
