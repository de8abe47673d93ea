"""The world as web-map tiles, and as a folder of rasters with an index."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rasterio.transform import Affine
from rasterio.warp import reproject, transform_bounds
from rasterio.warp import transform as warp_points

from eo_contrast.bands import L2A, REFLECTANCE_SCALE
from eo_contrast.progress import Advance
from eo_contrast.raster.tile_names import EQUATOR_M, Tile, tile_bounds, tile_transform
from eo_contrast.synth.archives.images import (
    TIME,
    ArchivePlan,
    SyntheticImage,
    picture_of,
    sites,
    write_image,
)
from eo_contrast.synth.land_types import LandType
from eo_contrast.synth.optical import FINE_M
from eo_contrast.synth.radar import PIXEL_M
from eo_contrast.synth.sites import (
    COARSEST,
    ROW_OF_PLACES,
    Raster,
    label_band,
    optical_bands,
    passes,
    radar_bands,
    site_at,
    skies,
)
from eo_contrast.synth.world import CRS, ORIGIN_EAST_M, ORIGIN_NORTH_M

YEAR = 2021
WEB_MERCATOR = "EPSG:3857"
DECIBEL = MappingProxyType({"s1-rtc": "dB"})


def xyz(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Tiles side by side, of the zoom whose pixels are nearest to 10 m."""
    first = _first_tile(plan.size)
    for place in range(plan.places):
        down, right = divmod(place, ROW_OF_PLACES)
        tile = Tile(first.z, first.x + right, first.y + down)
        yield SyntheticImage(
            files=(f"{tile.z}/{tile.x}/{tile.y}.png",),
            bands=_tile_picture(plan, place, tile),
            product="rgb",
            place=place,
            scale=1 / 255,
        )


def folder(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Level 2A and radar of each place and date, and what grows there, a file each."""
    codes = np.arange(1, len(LandType) + 1)
    for place, site in sites(plan):
        days = skies(plan.seed, place, plan.dates, YEAR)
        for sky, date in days:
            yield SyntheticImage(
                files=(f"place{place:05}/s2_{date:{TIME}}.tif",),
                bands=optical_bands(site, sky, "s2-l2a", dict.fromkeys(L2A, PIXEL_M)),
                product="s2-l2a",
                place=place,
                date=date,
                scale=REFLECTANCE_SCALE,
            )
        for overflight, date in passes(plan.seed, place, plan.dates, YEAR):
            yield SyntheticImage(
                files=(f"place{place:05}/s1_{date:{TIME}}.tif",),
                bands=radar_bands(site, overflight),
                product="s1-rtc",
                place=place,
                date=date,
            )
        for number, _ in enumerate(days):
            yield SyntheticImage(
                files=(f"place{place:05}/types_{number}.tif",),
                bands={"types": label_band(site, codes, "uint8")},
                product="label",
                place=place,
            )


def write_folder(images: Iterator[SyntheticImage], root: Path, advance: Advance) -> int:
    """Write the images, and the index that tells what they are.

    Raises: WorldError: the disk is full or failing.
    """
    rows = []
    for done, image in enumerate(images, start=1):
        write_image(image, root)
        rows.append(_told(image))
        advance(done, image.product)
    pq.write_table(pa.Table.from_pylist(rows), root / "index.parquet")
    return len(rows)


def _told(image: SyntheticImage) -> dict[str, object]:
    return {
        "file": image.files[0],
        "place": f"place{image.place:05}",
        "product": image.product,
        "date": image.date,
        "bands": " ".join(image.bands),
        "unit": DECIBEL.get(image.product, ""),
    }


def _first_tile(side: int) -> Tile:
    """The tile at the world's origin, of the zoom whose pixels are nearest to 10 m there."""
    (longitude,), (latitude,) = warp_points(CRS, "OGC:CRS84", [ORIGIN_EAST_M], [ORIGIN_NORTH_M])
    around = EQUATOR_M * math.cos(math.radians(latitude))
    zoom = round(math.log2(around / (side * PIXEL_M)))
    x = (longitude + 180) / 360 * 2**zoom
    y = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * 2**zoom
    return Tile(zoom, int(x) + 1, int(y) + 1)


def _tile_picture(plan: ArchivePlan, place: int, tile: Tile) -> Mapping[str, Raster]:
    west, south, east, north = transform_bounds(WEB_MERCATOR, CRS, *tile_bounds(tile))
    step = COARSEST * FINE_M
    row = math.floor((ORIGIN_NORTH_M - north) / step) * COARSEST
    column = math.floor((west - ORIGIN_EAST_M) / step) * COARSEST
    side = math.ceil((max(east - west, north - south) + 2 * step) / PIXEL_M)
    site = site_at(plan.seed, (row, column), side)
    [(sky, _)] = skies(plan.seed, place, 1, YEAR)
    counts = optical_bands(site, sky, "s2-l2a", dict.fromkeys(("B04", "B03", "B02"), PIXEL_M))
    onto = Affine(*tile_transform(tile, plan.size, plan.size))
    pictures = {}
    for name, raster in picture_of(counts).items():
        pixels = np.zeros((plan.size, plan.size), np.uint8)
        reproject(
            raster.values,
            pixels,
            src_transform=raster.transform,
            src_crs=CRS,
            dst_transform=onto,
            dst_crs=WEB_MERCATOR,
        )
        pictures[name] = Raster(pixels, onto)
    return pictures
