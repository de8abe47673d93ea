"""An image of a synthetic archive, and its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_points

from eo_contrast.bands import REFLECTANCE_SCALE
from eo_contrast.errors import InputError, WorldError
from eo_contrast.progress import Advance
from eo_contrast.synth.sites import Raster, Site, place_corner, site_at
from eo_contrast.synth.world import CRS

BRIGHTEST_OF_PICTURE = 0.3
MOST_PLACES = 20_000
LEAST_SIZE, MOST_SIZE = 16, 1024
MOST_DATES = 64
GROUND_CONTROL_CRS = "EPSG:4326"
TIME = "%Y%m%dT%H%M%S"
LOSSLESS_JPEG2000 = {"QUALITY": "100", "REVERSIBLE": "YES"}


@dataclass(frozen=True)
class ArchivePlan:
    """What to synthesise.

    Attributes:
        places: how many, 1..20,000.
        dates: images of each sensor over each place where the layout has several, 1..64.
        size: side of an image in pixels of 10 m, 16..1024.
        seed: which world.

    Raises: InputError: a value is out of its range.
    """

    places: int = 32
    dates: int = 4
    size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for option, value, least, most in (
            ("--places", self.places, 1, MOST_PLACES),
            ("--dates", self.dates, 1, MOST_DATES),
            ("--size", self.size, LEAST_SIZE, MOST_SIZE),
        ):
            if not least <= value <= most:
                raise InputError(f"{option} {value}: give {least} to {most}")


@dataclass(frozen=True)
class SyntheticImage:
    """One image with its pixels.

    Attributes:
        files: path from the archive's root of each band's file, or of the one for all.
        bands: each band's pixels as stored, by name, in the order of the files or in them.
        place: number of the place.
        scale, offset: value = scale * (count + offset).
        unit: of the values; empty: the product's own.
        part: which part of the one file it is; empty: all of it.
        ground_control: whether control points alone tell where it lies.
        beside: other files of the archive that come with this image, path to text or bytes.
    """

    files: tuple[str, ...]
    bands: Mapping[str, Raster]
    product: str
    place: int
    date: datetime | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    label: str = ""
    split: str = ""
    part: tuple[int, ...] = ()
    ground_control: bool = False
    beside: Mapping[str, str | bytes] = field(default_factory=dict)


def sites(plan: ArchivePlan) -> Iterator[tuple[int, Site]]:
    """The plan's places one by one, with their numbers."""
    for place in range(plan.places):
        yield place, site_at(plan.seed, place_corner(place, plan.size), plan.size)


def write_image(image: SyntheticImage, root: Path) -> None:
    """Write an image's files and those beside it, into folders that are made.

    Raises: WorldError: the disk is full or failing.
    """
    rasters = list(image.bands.values())
    together = len(image.files) == 1 and len(rasters) > 1
    parts = [rasters] if together else [[raster] for raster in rasters]
    for name, part in zip(image.files, parts, strict=True):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(path, part, ground_control=image.ground_control)
        except (RasterioError, OSError) as error:
            raise WorldError(f"{path}: cannot be written ({error.__cause__ or error})") from error
    for name, content in image.beside.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)


def write_images(images: Iterator[SyntheticImage], root: Path, advance: Advance) -> int:
    """Write images one by one; the number of them.

    Raises: WorldError: the disk is full or failing.
    """
    done = 0
    for done, image in enumerate(images, start=1):
        write_image(image, root)
        advance(done, image.product)
    return done


def _write(path: Path, bands: list[Raster], *, ground_control: bool) -> None:
    values = np.stack([band.values for band in bands])
    if path.suffix in (".jpg", ".png"):
        lossy: dict[str, Any] = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
        Image.fromarray(np.moveaxis(values, 0, -1)).save(path, **lossy)
        return
    jpeg2000 = path.suffix == ".jp2"
    profile: dict[str, Any] = {"driver": "JP2OpenJPEG", **LOSSLESS_JPEG2000} if jpeg2000 else {}
    _, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        count=len(bands),
        height=height,
        width=width,
        dtype=values.dtype,
        **(_control(bands[0]) if ground_control else _placed(bands[0])),
        **({"driver": "GTiff", "compress": "deflate"} | profile),
    ) as dataset:
        dataset.write(values)


def _placed(band: Raster) -> dict[str, Any]:
    return {"crs": CRS, "transform": band.transform}


def _control(band: Raster) -> dict[str, Any]:
    """Points on the ground, as many as Sentinel-1 has."""
    height, width = band.values.shape
    rows, columns = np.meshgrid(*(np.linspace(0, n, k) for n, k in ((height, 10), (width, 21))))
    x, y = band.transform @ (columns.ravel(), rows.ravel())
    longitudes, latitudes = warp_points(CRS, GROUND_CONTROL_CRS, x, y)
    corners = zip(rows.ravel(), columns.ravel(), longitudes, latitudes, strict=True)
    points = [
        GroundControlPoint(row, column, east, north, 0.0) for row, column, east, north in corners
    ]
    return {"crs": GROUND_CONTROL_CRS, "gcps": points}


def picture_of(counts: Mapping[str, Raster]) -> dict[str, Raster]:
    """Red, green and blue of an image's counts, stretched for the eye."""
    gain = np.float32(REFLECTANCE_SCALE / BRIGHTEST_OF_PICTURE)
    named = {"red": counts["B04"], "green": counts["B03"], "blue": counts["B02"]}
    return {
        name: Raster(as_bytes(each.values * gain), each.transform) for name, each in named.items()
    }


def as_bytes(reflectance: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Reflectance 0..1 as bytes, as data sets do that keep 8 bits."""
    scaled: NDArray[np.uint8] = np.clip(np.rint(reflectance * 255), 0, 255).astype(np.uint8)
    return scaled
