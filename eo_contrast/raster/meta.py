"""What a raster says of itself: read whole, changed purely, written whole.

``dst = open(..., **src.profile)`` loses most of it (GCPs, RPCs, scales, units, colour
tables, masks, tags), so everything is carried by name here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.rpc import RPC
from rasterio.transform import Affine

from eo_contrast.errors import InputError
from eo_contrast.raster.ground_size import pixel_size_m

# These describe the file, not the picture, or have a home of their own.
DERIVED_DOMAINS = {
    "IMAGE_STRUCTURE",
    "DERIVED_SUBDATASETS",
    "SUBDATASETS",
    "COLOR_PROFILE",
    "GEOLOCATION",
    "RPC",
    "TIFF",
    "EXIF",
}
# Statistics of the source's pixels are lies about any other; GDAL sets the rest itself.
DERIVED_TAGS = ("STATISTICS_", "OVR_", "COG_", "LAYOUT")

COMPARED = (
    "width", "height", "dtypes", "crs", "transform", "gcps", "gcps_crs", "rpcs", "nodata",
    "colorinterp", "descriptions", "scales", "offsets", "units", "colormap", "tags", "band_tags",
)  # fmt: skip

BandTags = dict[str, dict[str, str]]
"""Domain ('' is the default one) to tags."""


@dataclass(frozen=True)
class RasterMeta:
    """Everything but the pixels. Tuples have one entry a band.

    ``transform`` is None where the raster has none (pixel coordinates only). ``masked`` says
    that a mask of its own (inside, or a ``.msk`` beside, or one of a band) tells invalid pixels,
    apart from nodata and alpha.
    """

    driver: str
    width: int
    height: int
    dtypes: tuple[str, ...]
    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs: CRS | None = None
    rpcs: RPC | None = None
    nodata: tuple[float | None, ...] = ()
    masked: bool = False
    colorinterp: tuple[ColorInterp, ...] = ()
    descriptions: tuple[str | None, ...] = ()
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    units: tuple[str | None, ...] = ()
    colormap: Mapping[int, tuple[int, int, int, int]] | None = None
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    band_tags: tuple[BandTags, ...] = ()

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)


def read_meta(dataset: Any) -> RasterMeta:
    """The whole of what an open rasterio dataset says, its pixels apart."""
    bands = range(1, dataset.count + 1)
    gcps, gcps_crs = dataset.gcps
    transform = dataset.transform
    return RasterMeta(
        driver=dataset.driver,
        width=dataset.width,
        height=dataset.height,
        dtypes=tuple(dataset.dtypes),
        crs=dataset.crs,
        transform=None if transform == Affine.identity() else transform,
        gcps=tuple(gcps),
        gcps_crs=gcps_crs,
        rpcs=dataset.rpcs,
        nodata=tuple(dataset.nodatavals),
        masked=bool(mask_bands(dataset, bands)),
        colorinterp=tuple(dataset.colorinterp),
        descriptions=tuple(dataset.descriptions),
        scales=tuple(dataset.scales),
        offsets=tuple(dataset.offsets),
        units=tuple(dataset.units),
        colormap=_colormap(dataset),
        tags=_domains(dataset),
        band_tags=tuple(_domains(dataset, band) for band in bands),
    )


def mask_bands(dataset: Any, indexes: Iterable[int]) -> list[int]:
    """Bands whose masks, neither nodata nor alpha, tell together what is invalid.

    Args:
        indexes: 1-based numbers of the bands that are asked about.

    Returns: one of them for the mask that they share, and each that has a mask of its own.
    """
    flags = {index: dataset.mask_flag_enums[index - 1] for index in indexes}
    shared = [
        index
        for index, of_band in flags.items()
        if MaskFlags.per_dataset in of_band and MaskFlags.alpha not in of_band
    ]
    # GDAL sets no flag at all where a band has a mask that no other band has.
    return [*shared[:1], *(index for index, of_band in flags.items() if not of_band)]


def write_meta(dataset: Any, meta: RasterMeta) -> None:
    """Set on a dataset open for writing, before its first pixel, what ``open`` did not take.

    CRS, transform, nodata and dtype belong to ``open``. GCPs are set only where there is
    no transform, since setting them erases it.
    """
    if meta.colormap is not None:
        dataset.write_colormap(1, dict(meta.colormap))
    if meta.gcps and meta.transform is None:
        dataset.gcps = (list(meta.gcps), meta.gcps_crs or CRS())
    if meta.rpcs is not None:
        dataset.rpcs = meta.rpcs
    if any(meta.descriptions):
        dataset.descriptions = meta.descriptions
    if any(scale != 1 for scale in meta.scales) or any(offset != 0 for offset in meta.offsets):
        dataset.scales, dataset.offsets = meta.scales, meta.offsets
    if any(meta.units):
        dataset.units = tuple(unit or "" for unit in meta.units)
    for domain, tags in meta.tags.items():
        _set_tags(dataset, domain, tags)
    for band, domains in enumerate(meta.band_tags, start=1):
        for domain, tags in domains.items():
            _set_tags(dataset, domain, tags, band)
    if meta.colorinterp:
        dataset.colorinterp = meta.colorinterp


def what_is_lost(meta: RasterMeta, found: RasterMeta) -> tuple[str, ...]:
    """What a file that was written as ``meta`` does not say when it is read, in words."""
    lost = []
    for name in sorted(COMPARED):
        wanted, held = (_comparable(name, one) for one in (meta, found))
        if wanted != held:
            lost.append(f"{name.replace('_', ' ')} {_short(held)}, not {_short(wanted)}")
    if meta.gcps and meta.transform is not None and not found.gcps:
        points = f"{len(meta.gcps)} ground control point{'s' if len(meta.gcps) > 1 else ''}"
        lost.append(
            f"nothing of the {points} beside the transform: a GeoTIFF holds either, and the "
            "transform is kept"
        )
    return tuple(lost)


def as_picture(meta: RasterMeta, bands_out: tuple[str, ...], *, dtype: str) -> RasterMeta:
    """The metadata of a picture made from a raster on the same grid.

    Position and the file's own words stay. What described the source's values cannot hold
    and goes: nodata (a mask tells instead), scales, offsets, units, colour table, band tags.

    Args:
        bands_out: names of the picture's bands; three are taken for red, green, blue.
        dtype: of the picture.
    """
    count = len(bands_out)
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    other = (ColorInterp.gray, *(ColorInterp.undefined,) * (count - 1))
    return replace(
        meta,
        dtypes=(dtype,) * count,
        nodata=(None,) * count,
        colorinterp=rgb if count == 3 else other,
        descriptions=bands_out,
        scales=(1.0,) * count,
        offsets=(0.0,) * count,
        units=(None,) * count,
        colormap=None,
        band_tags=(),
    )


def on_grid(meta: RasterMeta, height: int, width: int) -> RasterMeta:
    """The same ground on ``height`` x ``width`` pixels: transform, GCPs and RPCs follow."""
    down, across = meta.height / height, meta.width / width
    gcps = tuple(_gcp_at(point, point.row / down, point.col / across) for point in meta.gcps)
    transform = meta.transform
    return replace(
        meta,
        height=height,
        width=width,
        transform=transform and _scaled(transform, down, across),
        gcps=gcps,
        rpcs=meta.rpcs and _scaled_rpcs(meta.rpcs, down, across),
    )


def pixels_are_points(meta: RasterMeta) -> bool:
    """Whether the raster says that its pixels stand for points, not for areas."""
    return meta.tags.get("", {}).get("AREA_OR_POINT") == "Point"


def moved_gcps(
    gcps: Sequence[GroundControlPoint], down: float, right: float
) -> tuple[GroundControlPoint, ...]:
    """The same points at other rows and columns."""
    return tuple(_gcp_at(point, point.row + down, point.col + right) for point in gcps)


def chosen_bands(meta: RasterMeta, indexes: Sequence[int]) -> RasterMeta:
    """The metadata of a raster of these bands alone, by 1-based numbers, in their order."""
    if tuple(indexes) == tuple(range(1, meta.count + 1)):
        return meta

    def of(per_band: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(per_band[index - 1] for index in indexes) if per_band else ()

    return replace(
        meta,
        dtypes=of(meta.dtypes),
        nodata=of(meta.nodata),
        colorinterp=of(meta.colorinterp),
        descriptions=of(meta.descriptions),
        scales=of(meta.scales),
        offsets=of(meta.offsets),
        units=of(meta.units),
        colormap=meta.colormap if tuple(indexes) == (1,) else None,
        band_tags=of(meta.band_tags),
    )


def common_nodata(meta: RasterMeta) -> float | None:
    """The nodata value of all bands; None where there is none, or where bands differ."""
    return meta.nodata[0] if meta.nodata and not nodata_differs(meta) else None


def nodata_differs(meta: RasterMeta) -> bool:
    """Whether bands have different nodata values, which a GeoTIFF cannot hold."""
    # As text, since NaN does not equal itself.
    return len({str(nodata) for nodata in meta.nodata}) > 1


def refuse_other_grid(truth: Path, of_truth: RasterMeta, raster: Path, meta: RasterMeta) -> None:
    """Whether a true map can be laid over another: one size, and one place where both tell it.

    Raises:
        InputError: it cannot.
    """
    if (of_truth.width, of_truth.height) != (meta.width, meta.height):
        raise InputError(
            f"{truth}: is {of_truth.width} x {of_truth.height} pixels, the translated map "
            f"{raster} {meta.width} x {meta.height}; give a true map on the same grid"
        )
    told = (of_truth.crs, meta.crs, of_truth.transform, meta.transform)
    if None not in told and not _same_place(of_truth, meta):
        raise InputError(
            f"{truth}: lies elsewhere than the translated map {raster}, by its CRS or transform; "
            "give a true map on the same grid"
        )


def ground_pixel_size_m(meta: RasterMeta) -> tuple[float, float] | None:
    """Height and width on the ground of the raster's central pixel, in metres.

    Returns: as :func:`eo_contrast.raster.ground_size.pixel_size_m`.
    """
    return pixel_size_m(meta.crs, meta.transform, meta.height, meta.width)


def _gcp_at(point: GroundControlPoint, row: float, column: float) -> GroundControlPoint:
    return GroundControlPoint(
        row=row, col=column, x=point.x, y=point.y, z=point.z, id=point.id, info=point.info
    )


def _short(value: Any) -> str:
    return textwrap.shorten(str(value), 120, placeholder=" ...")


def _comparable(name: str, meta: RasterMeta) -> Any:
    """A field in a form that is equal where a GeoTIFF means the same."""
    value = getattr(meta, name)
    if name == "nodata":
        return str(common_nodata(meta))  # as text, since NaN does not equal itself
    if name in ("gcps", "gcps_crs") and meta.transform is not None:
        return None  # told in words of their own
    if name == "gcps":
        return [(point.row, point.col, point.x, point.y, point.z or 0) for point in value]
    if name == "rpcs":
        return value and value.to_gdal()
    if name in ("crs", "gcps_crs"):
        return value or None
    if name == "colormap":
        # A TIFF holds no transparency there, and as many entries as the type has values.
        return value and {key: rgba[:3] for key, rgba in value.items() if any(rgba[:3])}
    if name == "band_tags":
        return [band for band in value if band]
    if name == "tags":
        plain = {k: v for k, v in value.get("", {}).items() if k != "AREA_OR_POINT"}
        return {**value, "": plain}
    if name == "colorinterp":
        # A TIFF's first band is grey where nothing else is said.
        return [ColorInterp.gray if i == 0 and not c.value else c for i, c in enumerate(value)]
    if name in ("descriptions", "units"):
        return [text or None for text in value] or [None] * meta.count
    return value


def _colormap(dataset: Any) -> Mapping[int, tuple[int, int, int, int]] | None:
    if ColorInterp.palette not in dataset.colorinterp[:1]:
        return None
    try:
        return dict(dataset.colormap(1))
    except ValueError:
        return None


def _domains(dataset: Any, band: int = 0) -> dict[str, dict[str, str]]:
    names = ["", *dataset.tag_namespaces(band)]
    kept = {}
    for name in names:
        if name in DERIVED_DOMAINS:
            continue
        tags = dataset.tags(band, ns=name) if name else dataset.tags(band)
        held = {key: value for key, value in tags.items() if not key.startswith(DERIVED_TAGS)}
        if held:
            kept[name] = held
    return kept


def _set_tags(dataset: Any, domain: str, tags: Mapping[str, str], band: int = 0) -> None:
    # rasterio takes tags as keyword arguments beside two of its own, whose names no tag can have;
    # ``what_is_lost`` tells of a source's that does.
    reserved = {"ns", "bidx"}
    plain = {key: value for key, value in tags.items() if key not in reserved}
    if domain.startswith("xml:"):
        # One string, which rasterio reads under the domain's name and would write with it; GDAL
        # joins what stands before and after the first "=" again.
        before, _, after = tags[domain].partition("=")
        dataset.update_tags(band, ns=domain, **{before: after})
    elif domain:
        dataset.update_tags(band, ns=domain, **plain)
    else:
        dataset.update_tags(band, **plain)


def _scaled(transform: Affine, down: float, across: float) -> Affine:
    a, b, c, d, e, f = transform[:6]
    return Affine(a * across, b * down, c, d * across, e * down, f)


def _scaled_rpcs(rpcs: RPC, down: float, across: float) -> RPC:
    changed = RPC.from_gdal(rpcs.to_gdal())
    # RPCs count from the centre of the first pixel, which another grid moves.
    changed.line_off = (rpcs.line_off + 0.5) / down - 0.5
    changed.samp_off = (rpcs.samp_off + 0.5) / across - 0.5
    changed.line_scale, changed.samp_scale = rpcs.line_scale / down, rpcs.samp_scale / across
    return changed


def _same_place(one: RasterMeta, other: RasterMeta) -> bool:
    """Equal CRS, and corners within half a pixel."""
    if one.crs != other.crs or one.transform is None or other.transform is None:
        return False
    corners = ((0, 0), (one.width, 0), (0, one.height))
    return all(
        abs(across - column) <= 0.5 and abs(down - row) <= 0.5
        for column, row in corners
        for across, down in [~other.transform @ (one.transform @ (column, row))]
    )
