"""The STAC Item of a raster: what a catalogue needs to know of it, as a JSON file beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform as transform_points

from eo_contrast.files import whole_file
from eo_contrast.raster.meta import RasterMeta, common_nodata, ground_pixel_size_m

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
POINTS_A_SIDE = 9
TIFF_DATE = "%Y:%m:%d %H:%M:%S"


def has_place(meta: RasterMeta) -> bool:
    """Whether the raster can be drawn on the Earth, as an item must be."""
    return footprint(meta) is not None


def write_stac_item(
    raster: Path,
    meta: RasterMeta,
    *,
    changed: datetime,
    media_type: str,
    processing: Mapping[str, Any],
    path: Path,
) -> pystac.Item:
    """Write the item; the same raster and arguments give the same bytes.

    Args:
        raster: named in the item relative to it.
        meta: of the raster, which has a place (:func:`has_place`).
        changed: its time where the raster has no TIFFTAG_DATETIME of its own.
        processing: fields of the processing extension, without their prefix.
        path: of the item.

    Raises: WorldError: the disk is full or failing.
    """
    outline = footprint(meta)
    assert outline is not None
    item = pystac.Item(
        id=raster.stem,
        geometry={"type": "Polygon", "coordinates": [outline]},
        bbox=_bounds(outline),
        datetime=_taken(meta) or changed,
        properties={
            **_projection(meta),
            **{f"processing:{key}": value for key, value in processing.items()},
        },
        stac_extensions=[PROJECTION, RASTER, PROCESSING],
    )
    item.add_asset(
        "data",
        pystac.Asset(
            href=f"./{raster.name}",
            media_type=media_type,
            roles=["data"],
            extra_fields={"bands": _bands(meta)},
        ),
    )
    with whole_file(path) as partial:
        content = item.to_dict(include_self_link=False)
        partial.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")
    return item


def _projection(meta: RasterMeta) -> dict[str, Any]:
    assert meta.crs is not None and meta.transform is not None
    epsg = meta.crs.to_epsg()
    place: dict[str, Any] = {"proj:code": f"EPSG:{epsg}" if epsg else None}
    if epsg is None:
        place["proj:wkt2"] = meta.crs.to_wkt(version="WKT2_2019")
    return {
        **place,
        "proj:shape": [meta.height, meta.width],
        "proj:transform": list(meta.transform)[:6],
    }


def _bands(meta: RasterMeta) -> list[dict[str, Any]]:
    size = ground_pixel_size_m(meta)
    nodata = common_nodata(meta)
    shown = "nan" if nodata is not None and np.isnan(nodata) else nodata
    bands = []
    for index, dtype in enumerate(meta.dtypes):
        band: dict[str, Any] = {
            "name": meta.descriptions[index] or str(index + 1),
            "data_type": dtype,
            "raster:sampling": "point" if _is_point(meta) else "area",
        }
        if size is not None:
            band["raster:spatial_resolution"] = round((size[0] + size[1]) / 2, 6)
        if nodata is not None:
            band["nodata"] = shown
        if meta.scales[index] != 1 or meta.offsets[index] != 0:
            band |= {"raster:scale": meta.scales[index], "raster:offset": meta.offsets[index]}
        if meta.units[index]:
            band["unit"] = meta.units[index]
        bands.append(band)
    return bands


def _is_point(meta: RasterMeta) -> bool:
    return meta.tags.get("", {}).get("AREA_OR_POINT") == "Point"


def _taken(meta: RasterMeta) -> datetime | None:
    try:
        text = meta.tags.get("", {}).get("TIFFTAG_DATETIME", "")
        return datetime.strptime(text, TIFF_DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def footprint(meta: RasterMeta) -> list[list[float]] | None:
    """The raster's :func:`outline`."""
    return outline(meta.crs, meta.transform, meta.height, meta.width)


def outline(
    crs: CRS | None, transform: Affine | None, height: int, width: int
) -> list[list[float]] | None:
    """A grid's outline in longitude and latitude, closed, anticlockwise as GeoJSON wants it.

    Longitudes go on beyond 180 where the raster crosses the antimeridian. None: it has no
    position, or one that is nowhere on the globe.
    """
    if crs is None or transform is None:
        return None
    steps = np.linspace(0, 1, POINTS_A_SIDE)[:-1]
    one, nought = np.ones_like(steps), np.zeros_like(steps)
    across = np.concatenate([nought, steps, one, 1 - steps]) * width
    down = np.concatenate([steps, one, 1 - steps, nought]) * height
    x, y = transform @ (across, down)
    try:
        longitudes, latitudes = transform_points(crs, "OGC:CRS84", x, y)
    except (CRSError, RasterioError, rasterio._err.CPLE_BaseError):
        return None
    points = np.stack([np.unwrap(longitudes, period=360), latitudes], axis=1)
    if not np.isfinite(points).all():
        return None
    ring = np.round(np.concatenate([points, points[:1]]), 7)
    clockwise = np.sum(np.diff(ring[:, 0]) * (ring[1:, 1] + ring[:-1, 1])) > 0
    closed: list[list[float]] = (ring[::-1] if clockwise else ring).tolist()
    return closed


def _bounds(footprint: Sequence[Sequence[float]]) -> list[float]:
    longitudes, latitudes = zip(*footprint, strict=True)
    return [min(longitudes), min(latitudes), max(longitudes), max(latitudes)]
