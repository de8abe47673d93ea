"""A raster's metadata as text, for a process that finishes what others began."""

from __future__ import annotations

import json
from typing import Any

from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine

from eo_contrast.raster.meta import RasterMeta

POINT = ("row", "col", "x", "y", "z", "id", "info")
PLAIN = ("driver", "width", "height", "masked")
PER_BAND = ("dtypes", "nodata", "descriptions", "scales", "offsets", "units")


def meta_to_text(meta: RasterMeta) -> str:
    """JSON that :func:`meta_from_text` makes the same metadata of."""
    facts: dict[str, Any] = {name: getattr(meta, name) for name in (*PLAIN, *PER_BAND)}
    facts |= {
        "crs": meta.crs.to_wkt() if meta.crs else None,
        "transform": meta.transform and list(meta.transform)[:6],
        "gcps": [[getattr(point, name) for name in POINT] for point in meta.gcps],
        "gcps_crs": meta.gcps_crs.to_wkt() if meta.gcps_crs else None,
        "rpcs": meta.rpcs and meta.rpcs.to_dict(),
        "colorinterp": [colour.name for colour in meta.colorinterp],
        "colormap": meta.colormap and [[k, *rgba] for k, rgba in meta.colormap.items()],
        "tags": {domain: dict(tags) for domain, tags in meta.tags.items()},
        "band_tags": meta.band_tags,
    }
    return json.dumps(facts, sort_keys=True)


def meta_from_text(text: str) -> RasterMeta:
    """The metadata that :func:`meta_to_text` wrote."""
    facts = json.loads(text)
    colormap = facts["colormap"]
    return RasterMeta(
        **{name: facts[name] for name in PLAIN},
        **_per_band(facts),
        crs=_crs(facts["crs"]),
        transform=Affine(*facts["transform"]) if facts["transform"] else None,
        gcps=tuple(
            GroundControlPoint(**dict(zip(POINT, point, strict=True))) for point in facts["gcps"]
        ),
        gcps_crs=_crs(facts["gcps_crs"]),
        rpcs=RPC(**facts["rpcs"]) if facts["rpcs"] else None,
        colorinterp=tuple(ColorInterp[name] for name in facts["colorinterp"]),
        colormap=colormap and {k: tuple(rgba) for k, *rgba in colormap},
        tags=facts["tags"],
        band_tags=tuple(facts["band_tags"]),
    )


def _crs(wkt: str | None) -> CRS | None:
    return CRS.from_wkt(wkt) if wkt else None


def _per_band(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(facts[name]) for name in PER_BAND}
