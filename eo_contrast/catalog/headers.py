"""What the headers of an image's files say: how most layouts' images are described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely.geometry.base import BaseGeometry

from eo_contrast.bands import band_name
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.errors import InputError
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import Header, open_raster, read_header
from eo_contrast.raster.stac import outline
from eo_contrast.raster.truncation import truncated


@dataclass(frozen=True)
class Described:
    """Where an image lies, and how it is stored.

    Attributes:
        footprint: in longitude and latitude; None: the archive gives no position.
        dtype: of the stored counts.
        code: of the CRS, as EPSG:32633; empty: none, or one without a code.
        transform: six numbers in the order of rasterio; empty: none.
        shape: rows and columns of the finest band.
        bands: where the files tell them and the archive does not; empty: as the image says.
    """

    footprint: BaseGeometry | None
    dtype: str
    code: str
    transform: tuple[float, ...]
    shape: tuple[int, int]
    bands: tuple[str, ...] = ()


Describe = Callable[[Image], Described | Skipped]
"""How a layout's images are described, from the headers of their files alone."""


def describe_rasters(image: Image) -> Described | Skipped:
    """By the finest of the image's files; all must have one CRS, and the bands they should.

    Raises: InputError: a file is gone or damaged.
    """
    finest = image.files[0]
    if len(image.files) > 1:
        headers = [read_header(path) for path in image.files]
        fault = _unlike(image, headers)
        if fault:
            return Skipped(image.files[0], fault)
        widths = [header.width for header in headers]
        finest = image.files[widths.index(max(widths))]
    with open_raster(finest) as (dataset, meta):
        fault = truncated(finest, dataset)
    if not fault and len(image.files) == 1:
        fault = _unlike_bands(image, meta)
    if fault:
        return Skipped(finest, fault)
    return described(meta.crs, meta.transform, meta.height, meta.width, meta.dtypes[0])


def described(
    crs: CRS | None, transform: Affine | None, height: int, width: int, dtype: str
) -> Described:
    """Describe an image of one grid; of no position where CRS or transform is None."""
    ring = outline(crs, transform, height, width)
    authority = crs.to_authority() if crs else None
    return Described(
        footprint=shapely.Polygon(ring) if ring else None,
        dtype=dtype,
        code=":".join(authority) if authority else "",
        transform=tuple(transform)[:6] if transform else (),
        shape=(height, width),
    )


def _unlike_bands(image: Image, meta: RasterMeta) -> str:
    """Why a file's bands are not the image's, by their number and names; empty: they may be."""
    if meta.count != len(image.bands):
        return f"{meta.count} bands, {len(image.bands)} expected ({' '.join(image.bands)})"
    try:
        named = tuple(band_name(name or "") for name in meta.descriptions)
    except InputError:
        return ""  # not named, or not as bands are
    if named != image.bands:
        return f"its bands are {' '.join(named)}, expected {' '.join(image.bands)}"
    return ""


def _unlike(image: Image, headers: list[Header]) -> str:
    """Why files cannot be the bands of one image; empty: they can."""
    for path, header in zip(image.files, headers, strict=True):
        if header.fault:
            return f"{path.name} {header.fault}"
        if header.count != 1:
            return f"{path.name} has {header.count} bands, 1 expected"
        if header.crs != headers[0].crs:
            return f"{path.name} has another CRS than {image.files[0].name}"
    return ""
