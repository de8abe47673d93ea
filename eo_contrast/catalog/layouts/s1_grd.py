"""Sentinel-1 GRD SAFE: ``S1A_IW_GRDH_1SDV_<time>_..._<id>.SAFE/measurement/*.tiff``.

Amplitudes in the geometry of the pass, placed by ground control points alone. They are calibrated
by the product's own tables and warped to the grid wanted; that is no terrain correction: on slopes
pixels lie up to hundreds of metres off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import GCPTransformer
from rasterio.warp import calculate_default_transform, reproject
from rasterio.warp import transform as warp_points

from eo_contrast.bands import VV_VH, decibel
from eo_contrast.catalog.grids import Grid, Row, clipped, outline_of
from eo_contrast.catalog.headers import Described, described
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts.names import time_in
from eo_contrast.catalog.reading import Stored
from eo_contrast.catalog.sentinel1 import (
    Lut,
    Noise,
    read_calibration,
    read_noise,
    sigma_nought,
)
from eo_contrast.errors import InputError

EXPECTS = "folders S1A_IW_GRDH_1SDV_...SAFE"
GROUND_M = 10.0

_PRODUCT = re.compile(r"S1[A-D]_(IW|EW|S[1-6])_GRD[FHM]_1[AS]\w{2}_\d{8}T\d{6}_\w+")
_MEASUREMENT = re.compile(r"s1[a-d]-\w+-grd-(?P<polarisation>vv|vh|hh|hv)-.+")
_WEB_CRS = "OGC:CRS84"


def recognises(root: Path) -> bool:
    """Whether the root is a product, or has one in it, or in a folder below it."""
    if _is_product(root):
        return True
    return any(_is_product(path) for pattern in ("*", "*/*") for path in root.glob(pattern))


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every product; those of one folder below the root show one place."""
    products = [root] if _is_product(root) else sorted(filter(_is_product, root.rglob("S1*")))
    for product in products:
        yield _image(product, root)


def describe(image: Image) -> Described | Skipped:
    """The product's outline by its control points, and a grid of its UTM zone around it.

    Raises: InputError: a file is gone or damaged, or its tables are.
    """
    first = image.files[0]
    for path in image.files:
        _tables(path)
    control, *_ = [_control(path) for path in image.files]
    if len(control.points) < 4:
        return Skipped(first, f"has {len(control.points)} control points; 4 are needed to place it")
    longitudes, latitudes = warp_points(
        control.crs, _WEB_CRS, [p.x for p in control.points], [p.y for p in control.points]
    )
    crs = _utm(float(np.mean(longitudes)), float(np.mean(latitudes)))
    transform, width, height = calculate_default_transform(
        control.crs,
        crs,
        control.width,
        control.height,
        gcps=list(control.points),
        resolution=GROUND_M,
    )
    hull = shapely.MultiPoint(np.stack([longitudes, latitudes], axis=1)).convex_hull
    return replace(described(crs, transform, height, width, control.dtype), footprint=hull)


def read(row: Row, places: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """Decibel of the bands on the grid wanted: averaged as power, not as decibel.

    Raises: InputError: a file is gone or damaged.
    """
    if onto.crs is None:
        raise InputError(f"{row['href']}: has a position, the grid wanted has none")
    files = row["files"] or [""]
    for place in places:
        power = _warped(Path(row["href"], files[place]), onto)
        values, valid = decibel(power)
        yield Stored(np.where(valid, values, np.float32(np.nan)), onto)


@dataclass(frozen=True)
class _Control:
    """Where an image's pixels lie, by points on the ground."""

    crs: CRS
    points: tuple[GroundControlPoint, ...]
    width: int
    height: int
    dtype: str


def _image(product: Path, root: Path) -> Image | Skipped:
    found = {}
    for path in sorted((product / "measurement").glob("*.tif*")):
        match = _MEASUREMENT.fullmatch(path.stem.lower())
        if match:
            found[match["polarisation"].upper()] = path
    order = [name for name in VV_VH if name in found]
    if not order:
        there = " ".join(found) or "none"
        return Skipped(product, f"VV or VH expected under measurement, found {there}")
    stem = product.name.removesuffix(".SAFE")
    inside = product.parent.relative_to(root).as_posix() if product != root else "."
    orbit = _pass(product, found[order[0]])
    return Image(
        id=f"s1-grd/{stem}",
        place_id=f"s1/{inside if inside != '.' else stem}",
        sensor="s1",
        product="s1-grd",
        bands=tuple(order),
        files=tuple(found[name] for name in order),
        date=time_in(stem),
        unit="linear",
        nodata=0,
        facts={"sat:orbit_state": orbit} if orbit else {},
    )


def _pass(product: Path, measurement: Path) -> str:
    """ASCENDING or DESCENDING, as the annotation says; empty: it is not there."""
    try:
        root = ElementTree.parse(product / "annotation" / f"{measurement.stem}.xml").getroot()
    except (OSError, ElementTree.ParseError):
        return ""
    return (root.findtext(".//pass") or "").upper()


@lru_cache(maxsize=64)
def _control(path: Path) -> _Control:
    with _opened(path) as dataset:
        points, crs = dataset.gcps
        if crs is None:
            raise InputError(f"{path}: has no control points, which alone say where it lies")
        return _Control(crs, tuple(points), dataset.width, dataset.height, dataset.dtypes[0])


@lru_cache(maxsize=64)
def _tables(path: Path) -> tuple[Lut, Noise | None]:
    folder = path.parent.parent / "annotation" / "calibration"
    return (
        read_calibration(folder / f"calibration-{path.stem}.xml"),
        read_noise(folder / f"noise-{path.stem}.xml"),
    )


def _opened(path: Path) -> Any:
    try:
        return rasterio.open(path)
    except RasterioError as error:
        raise InputError(f"{path}: is not a raster that can be read ({error})") from error


def _warped(path: Path, onto: Grid) -> NDArray[np.float32]:
    """Power on a grid, NaN where the pass did not see."""
    control = _control(path)
    x, y = outline_of(onto)
    ground = warp_points(onto.crs, control.crs, x, y)
    with GCPTransformer(list(control.points), tps=True) as transformer:
        rows, columns = transformer.rowcol(*ground, op=np.asarray)
        step = _pixels_a_step(transformer, onto, control)
    top, bottom = clipped(min(rows), max(rows), onto.height, control.height)
    left, right = clipped(min(columns), max(columns), onto.width, control.width)
    power, valid = _power(path, (top, bottom, left, right))
    result = np.full((onto.height, onto.width), np.nan, np.float32)
    reproject(
        np.where(valid, power, np.float32(np.nan)),
        result,
        gcps=[_moved(point, top, left) for point in control.points],
        src_crs=control.crs,
        src_nodata=np.nan,
        dst_transform=onto.transform,
        dst_crs=onto.crs,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
        tolerance=0.01,
        METHOD="GCP_TPS",
        # Else guessed from the sizes of what is read, and a part would differ from the whole.
        XSCALE=min(1.0, 1 / step),
        YSCALE=min(1.0, 1 / step),
    )
    return result


def _pixels_a_step(transformer: Any, onto: Grid, control: _Control) -> float:
    """Pixels of the image that a pixel in the middle of the grid is long."""
    here = onto.transform @ (onto.width / 2, onto.height / 2)
    there = onto.transform @ (onto.width / 2 + 1, onto.height / 2)
    xs, ys = warp_points(onto.crs, control.crs, *zip(here, there, strict=True))
    rows, columns = transformer.rowcol(xs, ys, op=np.asarray)
    return float(np.hypot(rows[1] - rows[0], columns[1] - columns[0]))


def _power(
    path: Path, box: tuple[int, int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    top, bottom, left, right = box
    sigma, noise = _tables(path)
    rows, columns = np.arange(top, bottom), np.arange(left, right)
    with _opened(path) as dataset:
        try:
            amplitude = dataset.read(1, window=((top, bottom), (left, right)))
        except RasterioError as error:
            raise InputError(f"{path}: cannot be read ({error.__cause__ or error})") from error
    return sigma_nought(
        amplitude, sigma.at(rows, columns), noise.at(rows, columns) if noise else 0.0
    )


def _moved(point: GroundControlPoint, top: int, left: int) -> GroundControlPoint:
    return GroundControlPoint(point.row - top, point.col - left, point.x, point.y, point.z)


def _utm(longitude: float, latitude: float) -> CRS:
    zone = int((longitude + 180) // 6) % 60 + 1
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def _is_product(path: Path) -> bool:
    """Other archives name folders of their own by the product."""
    named = _PRODUCT.fullmatch(path.name.removesuffix(".SAFE"))
    return bool(named) and (path.suffix == ".SAFE" or (path / "measurement").is_dir())
