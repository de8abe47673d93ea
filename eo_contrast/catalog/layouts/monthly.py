"""A year of months in one file: CropHarvest's GeoTIFFs, and WorldCereal's netCDF.

CropHarvest: ``<number>-<name>_<first day>_<last day>.tif``, 17 named bands a month (VV, VH in dB,
level 1C, weather), ``_1`` to ``_11`` behind the names of later months. WorldCereal: variables
``S2-L2A-B02`` .. and ``S1-SIGMA0-VV`` over ``t``, radar as dB = 20 log10(count) - 83.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from eo_contrast.bands import L1C, L2A, REFLECTANCE_SCALE, VV_VH, band_name, decibel
from eo_contrast.catalog.grids import Grid, Row, grid_of, part_under
from eo_contrast.catalog.headers import Described, described
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.reading import Stored, physical, read_bands, refuse_unplaced
from eo_contrast.errors import InputError
from eo_contrast.raster.reader import open_raster, unplaced_silently
from eo_contrast.raster.truncation import truncated

EXPECTS_CROPHARVEST = "GeoTIFFs named 98-togo_2019-02-06_2020-02-01.tif"
EXPECTS_WORLDCEREAL = "netCDF files with variables S2-L2A-B02 and S1-SIGMA0-VV"
MONTHS = 12
NO_DATA = 65535
RADAR_DECIBEL = 83.0

_CROPHARVEST = re.compile(r"\d+-.+_(?P<first>\d{4}-\d{2}-\d{2})_\d{4}-\d{2}-\d{2}")
_DAYS_SINCE = re.compile(r"days since (\d{4}-\d{2}-\d{2})")
_OPTICAL, _RADAR = "S2-L2A-", "S1-SIGMA0-"


def recognises_cropharvest(root: Path) -> bool:
    """Whether a GeoTIFF has such a name."""
    return any(_CROPHARVEST.fullmatch(path.stem) for path in root.glob("*.tif"))


def scan_cropharvest(root: Path) -> Iterator[Image | Skipped]:
    """Radar and optics of each month; a part is the bands' numbers in the file."""
    for path in sorted(root.glob("*.tif")):
        match = _CROPHARVEST.fullmatch(path.stem)
        if match is None:
            continue
        try:
            first = datetime.fromisoformat(match["first"]).replace(tzinfo=UTC)
            with open_raster(path) as (_, meta):
                names = [name or "" for name in meta.descriptions]
        except (InputError, ValueError) as error:
            yield Skipped(path, str(error))
            continue
        place = f"cropharvest/{path.stem}"
        for month in range(MONTHS):
            yield from _month(path, place, names, month, _months_later(first, month))


def describe_cropharvest(image: Image) -> Described | Skipped:
    """By the file's header.

    Raises: InputError: it is gone or damaged.
    """
    path = image.files[0]
    with open_raster(path) as (dataset, meta):
        fault = truncated(path, dataset)
    if fault:
        return Skipped(path, fault)
    return described(meta.crs, meta.transform, meta.height, meta.width, meta.dtypes[0])


def read_cropharvest(row: Row, places: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """Bands by their numbers in the file.

    Raises: InputError: it is gone or damaged.
    """
    numbers = [row["part"][place] for place in places]
    yield from read_bands(row, Path(row["href"]), numbers, onto)


def recognises_worldcereal(root: Path) -> bool:
    """Whether a netCDF file has one of the variables."""
    return any(_variables(path) for path in root.glob("*.nc"))


def scan_worldcereal(root: Path) -> Iterator[Image | Skipped]:
    """Radar and optics of each month; a part is the month's number."""
    for path in sorted(root.glob("*.nc")):
        variables = _variables(path)
        if not variables:
            yield Skipped(path, "has no variable S2-L2A-B02 or S1-SIGMA0-VV that can be read")
            continue
        place = f"worldcereal/{path.stem}"
        for prefix, product, order in ((_OPTICAL, "s2-l2a", L2A), (_RADAR, "s1-grd", VV_VH)):
            bands = tuple(name for name in order if f"{prefix}{name}" in variables)
            if not bands:
                continue
            for month, date in enumerate(_header(path, f"{prefix}{bands[0]}").dates):
                yield Image(
                    id=f"{place}/{product}/{month}",
                    place_id=place,
                    sensor=product[:2],
                    product=product,
                    bands=bands,
                    files=(path,),
                    part=(month,),
                    date=date,
                    scale=REFLECTANCE_SCALE if prefix == _OPTICAL else 1.0,
                    nodata=NO_DATA,
                )


def describe_worldcereal(image: Image) -> Described | Skipped:
    """By the header of the first band's variable.

    Raises: InputError: the file is gone or damaged.
    """
    header = _header(image.files[0], _variable(image.product, image.bands[0]))
    grid = header.grid
    return described(grid.crs, grid.transform, grid.height, grid.width, header.dtype)


def read_worldcereal(row: Row, places: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """A month of the bands' variables; radar by its own formula.

    Raises: InputError: the file is gone or damaged.
    """
    path, whole = Path(row["href"]), grid_of(row)
    refuse_unplaced(path, whole, onto)
    top, bottom, left, right = part_under(onto, whole)
    part = whole.window(top, left, bottom - top, right - left)
    for place in places:
        with _opened(path, _variable(row["product"], row["bands"][place])) as dataset:
            box = ((top, bottom), (left, right))
            counts = dataset.read(row["part"][0] + 1, window=box)
        values = physical(row, counts, np.ones(counts.shape, dtype=bool))
        if row["sensor"] == "s1":
            logarithm, seen = decibel(values)
            values = np.where(seen, 2 * logarithm - RADAR_DECIBEL, np.nan).astype(np.float32)
        yield Stored(values, part)


@dataclass(frozen=True)
class _Header:
    grid: Grid
    dtype: str
    dates: tuple[datetime, ...]


def _month(
    path: Path, place: str, names: Sequence[str], month: int, date: datetime
) -> Iterator[Image | Skipped]:
    end = f"_{month}" if month else ""
    for product, order in (("s1-grd", VV_VH), ("s2-l1c", L1C)):
        found = {
            name: number
            for number, spelled in enumerate(names, start=1)
            if (name := _spelled(spelled, end)) in order
        }
        missing = [name for name in order if name not in found]
        if missing:
            yield Skipped(path, f"month {month}: no band is named {' '.join(missing)}")
            continue
        optical = product != "s1-grd"
        yield Image(
            id=f"{place}/{product}/{month}",
            place_id=place,
            sensor=product[:2],
            product=product,
            bands=order,
            files=(path,),
            part=tuple(found[name] for name in order),
            date=date,
            scale=REFLECTANCE_SCALE if optical else 1.0,
            nodata=0 if optical else None,
        )


def _spelled(name: str, end: str) -> str:
    """The band that a name of a month means; empty: none."""
    own = name.removesuffix(end) if end else name
    if end and own == name:
        return ""
    try:
        return band_name(own)
    except InputError:
        return ""


def _months_later(first: datetime, count: int) -> datetime:
    years, month = divmod(first.month - 1 + count, 12)
    day = min(first.day, 28)
    return first.replace(year=first.year + years, month=month + 1, day=day)


def _variable(product: str, band: str) -> str:
    return f"{_OPTICAL if product == 's2-l2a' else _RADAR}{band}"


@lru_cache(maxsize=64)
def _variables(path: Path) -> frozenset[str]:
    """Names of the bands' variables; none where the file cannot be read."""
    try:
        with unplaced_silently(), rasterio.open(path) as dataset:
            names = {address.rpartition(":")[2] for address in dataset.subdatasets}
    except RasterioError:
        return frozenset()
    return frozenset(name for name in names if name.startswith((_OPTICAL, _RADAR)))


@lru_cache(maxsize=64)
def _header(path: Path, variable: str) -> _Header:
    with _opened(path, variable) as dataset:
        tags = dataset.tags()
        since = _DAYS_SINCE.match(tags.get("t#units", ""))
        if since is None:
            raise InputError(f"{path}: its time is not told as days since a date")
        start = datetime.fromisoformat(since[1]).replace(tzinfo=UTC)
        days = [int(dataset.tags(n).get("NETCDF_DIM_t", 0)) for n in dataset.indexes]
        return _Header(
            grid=Grid(dataset.crs, dataset.transform, dataset.height, dataset.width),
            dtype=dataset.dtypes[0],
            dates=tuple(start + timedelta(days=day) for day in days),
        )


def _opened(path: Path, variable: str) -> Any:
    try:
        return rasterio.open(f'NETCDF:"{path}":{variable}')
    except RasterioError as error:
        raise InputError(f"{path}: its variable {variable} cannot be read ({error})") from error
