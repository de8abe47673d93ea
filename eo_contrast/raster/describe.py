"""What a raster is, in words and numbers that a person or a script can use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from eo_contrast.errors import InputError
from eo_contrast.raster.class_map import told_classes
from eo_contrast.raster.reader import MOST_BANDS, unplaced_silently

NAMELESS = {ColorInterp.undefined, ColorInterp.gray, ColorInterp.palette}


def describe_raster(name: str) -> dict[str, Any]:
    """Facts of a raster, from its header alone.

    Unlike translation it takes any raster that GDAL opens, complex samples included.

    Args:
        name: a path, or an address that GDAL knows.

    Returns: ``kind`` "raster", ``driver``, ``width`` and ``height`` (pixels), ``count``
        (bands); ``dtype`` and ``nodata`` (one value, or a list where bands differ; a NaN
        nodata is the text "nan"); ``crs`` (authority code, else WKT); ``transform`` (a, b, c,
        d, e, f with x = a column + b row + c, y = d column + e row + f; None without one);
        ``mask`` (none, nodata, alpha, per-dataset or per-band); ``bands`` (names);
        ``overviews`` (factors of reduction); ``cog`` (the file declares the cloud-optimised
        layout); ``gcps`` (how many), ``rpcs``, ``tile`` (height and width of a block),
        ``compression``; of a map of classes also ``classes`` (names, by number) and, where it
        tells them, the ``model`` and the ``source`` it was made of.

    Raises:
        InputError: not a raster that GDAL opens, or one with absurdly many bands.
    """
    try:
        with unplaced_silently(), rasterio.open(name) as dataset:
            return _facts(name, dataset)
    except (RasterioError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not a raster that can be opened ({error})") from error


def _facts(name: str, dataset: Any) -> dict[str, Any]:
    if dataset.count > MOST_BANDS:
        raise InputError(
            f"{name}: declares {dataset.count} bands; at most {MOST_BANDS} are described"
        )
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    transform = dataset.transform
    return {
        "kind": "raster",
        "driver": dataset.driver,
        "width": dataset.width,
        "height": dataset.height,
        "count": dataset.count,
        "dtype": _common(dataset.dtypes),
        "crs": dataset.crs.to_string() if dataset.crs else None,
        "transform": None if transform == Affine.identity() else list(transform)[:6],
        "nodata": _common([_nodata(value) for value in dataset.nodatavals]),
        "mask": _mask(dataset),
        "bands": [_band_name(dataset, index) for index in range(dataset.count)],
        "overviews": dataset.overviews(1) if dataset.count else [],
        "cog": structure.get("LAYOUT") == "COG",
        "gcps": len(dataset.gcps[0]),
        "rpcs": dataset.rpcs is not None,
        "tile": list(dataset.block_shapes[0]) if dataset.count else None,
        "compression": structure.get("COMPRESSION"),
        **(told_classes(dataset.tags()) if dataset.count == 1 else {}),
    }


def _common(values: Sequence[Any]) -> Any:
    """The one value that all bands share, else the list of all."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else list(values)


def _nodata(value: float | None) -> float | str | None:
    # JSON has no NaN, and null already says that there is no nodata
    return "nan" if value is not None and value != value else value


def _mask(dataset: Any) -> str:
    flags = dataset.mask_flag_enums
    if not flags or all(MaskFlags.all_valid in of_band for of_band in flags):
        return "none"
    for flag, word in (
        (MaskFlags.alpha, "alpha"),
        (MaskFlags.nodata, "nodata"),
        (MaskFlags.per_dataset, "per-dataset"),
    ):
        if any(flag in of_band for of_band in flags):
            return word
    return "per-band"


def _band_name(dataset: Any, index: int) -> str:
    description = dataset.descriptions[index]
    if description:
        return str(description)
    colour = dataset.colorinterp[index]
    return str(index + 1) if colour in NAMELESS else str(colour.name)
