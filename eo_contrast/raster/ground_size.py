"""How large a pixel is on the ground, whatever the units of its CRS."""

from __future__ import annotations

import math

import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform as transform_points

EQUATOR_RADIUS_M = 6_378_137.0
ECCENTRICITY_SQUARED = 6.694_379_990_14e-3  # both of WGS 84


def pixel_size_m(
    crs: CRS | None, transform: Affine | None, height: int, width: int
) -> tuple[float, float] | None:
    """Height and width on the ground of the central pixel of a grid, in metres.

    Measured between longitudes and latitudes on the ellipsoid, so that degrees, feet and the
    stretched metres of Mercator maps all come out right.

    Returns: None where the position is unknown: no CRS or transform, or a CRS that cannot be tied
        to the Earth.
    """
    if crs is None or transform is None:
        return None
    row, column = height / 2, width / 2
    a, b, c, d, e, f = transform[:6]
    corners = [(a * x + b * y + c, d * x + e * y + f) for x, y in _cross(row, column)]
    try:
        longitudes, latitudes = transform_points(
            crs, "OGC:CRS84", [x for x, _ in corners], [y for _, y in corners]
        )
    except (CRSError, RasterioError, rasterio._err.CPLE_BaseError):
        return None
    points = list(zip(longitudes, latitudes, strict=True))
    down = _distance_m(points[0], points[1])
    across = _distance_m(points[2], points[3])
    # An infinite coordinate is how PROJ says that a point lies off its map.
    known = all(math.isfinite(size) and size > 0 for size in (down, across))
    return (down, across) if known else None


def _cross(row: float, column: float) -> list[tuple[float, float]]:
    return [
        (column, row - 0.5),
        (column, row + 0.5),
        (column - 0.5, row),
        (column + 0.5, row),
    ]


def _distance_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance of two near (longitude, latitude) in degrees, by the ellipsoid's local radii."""
    (longitude_a, latitude_a), (longitude_b, latitude_b) = a, b
    latitude = math.radians((latitude_a + latitude_b) / 2)
    turn = (longitude_b - longitude_a + 180) % 360 - 180
    flat = 1 - ECCENTRICITY_SQUARED * math.sin(latitude) ** 2
    prime_vertical = EQUATOR_RADIUS_M / math.sqrt(flat)
    meridional = prime_vertical * (1 - ECCENTRICITY_SQUARED) / flat
    east = prime_vertical * math.cos(latitude) * math.radians(turn)
    north = meridional * math.radians(latitude_b - latitude_a)
    return math.hypot(east, north)
