"""Places of the synthetic world as satellites see them: one ground, many dates and sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from eo_contrast.bands import VV_VH
from eo_contrast.synth.land_types import land_types
from eo_contrast.synth.noise import hash_units, stream
from eo_contrast.synth.optical import FINE_M, Sky, band_counts, render_optical
from eo_contrast.synth.radar import PIXEL_M, Pass, render_radar
from eo_contrast.synth.world import Extent, LandCover, World, land_cover

COARSEST = 12
"""Fine pixels of the coarsest band's pixel, 60 m; the halo too, so that pixels stay aligned."""

ROW_OF_PLACES = 64
GAP_SHARE = 0.25
DAY_JITTER = 24.0
RADAR_LAG_DAYS = 3
DECIBEL_STEP = 0.01


@dataclass(frozen=True)
class Site:
    """The ground of one place.

    Attributes:
        extent: in fine pixels of the world, sides whole numbers of the coarsest pixel.
        size: side in pixels of 10 m; the extent may reach a little beyond.
        types: of ``cover``, halo included.
    """

    world: World
    extent: Extent
    size: int
    cover: LandCover
    types: NDArray[np.uint8]


@dataclass(frozen=True)
class Raster:
    """One band's pixels on the ground; ``transform`` leads to the world's CRS."""

    values: NDArray[Any]
    transform: Affine


def place_corner(number: int, size: int) -> tuple[int, int]:
    """Row and column, in fine pixels, of a place of ``size`` pixels of 10 m.

    Places of one size never overlap, and where one lies does not depend on how many there are.
    """
    step = -(-int(size * (1 + GAP_SHARE) * PIXEL_M / FINE_M) // COARSEST) * COARSEST
    return number // ROW_OF_PLACES * step, number % ROW_OF_PLACES * step


def site_at(seed: int, corner: tuple[int, int], size: int) -> Site:
    """The ground whose first fine pixel is ``corner``, ``size`` pixels of 10 m a side."""
    world = World(seed, FINE_M)
    side = -(-int(size * PIXEL_M / FINE_M) // COARSEST) * COARSEST
    extent = Extent(*corner, side, side)
    cover = land_cover(world, extent, halo=COARSEST)
    return Site(world, extent, size, cover, land_types(cover))


def inner(site: Site, plane: NDArray[Any], factor: int = 1) -> NDArray[Any]:
    """A plane of the cover, averaged by ``factor``, without the halo."""
    halo = site.cover.halo // factor
    return plane[..., halo:-halo, halo:-halo]


def optical_bands(
    site: Site,
    sky: Sky,
    level: Literal["s2-l1c", "s2-l2a"],
    metres: Mapping[str, int],
    *,
    add: int = 0,
) -> dict[str, Raster]:
    """Counts of a Sentinel-2 image, by band.

    Args:
        metres: the bands wanted and the pixel of each.
        add: counts that the product adds, as 1000 from baseline 04.00 on.
    """
    fine = inner(site, render_optical(site.cover, site.types, sky, level))
    counts = band_counts(
        fine,
        tuple(metres),
        metres,
        origin=(site.extent.row, site.extent.column),
        seed=stream(site.world.seed, f"{level} {sky.number}"),
        add=add,
    )
    return {name: _raster(site, values, metres[name]) for name, values in counts.items()}


def radar_bands(
    site: Site, overflight: Pass, *, linear: bool = False, moved: tuple[int, int] = (0, 0)
) -> dict[str, Raster]:
    """VV and VH of a Sentinel-1 image, 10 m, in dB (or linear power), as float32.

    Args:
        moved: pixels of 10 m that the box lies south and east of the place's, as archives have
            it whose sensors were cut one by one; at most one halo.
    """
    power = render_radar(site.cover, site.types, overflight)
    halo = int(site.cover.halo * FINE_M / PIXEL_M)
    south, east = moved
    if max(abs(south), abs(east)) > halo:
        raise ValueError(f"moved {moved}: more than the halo of {halo} pixels")
    rows, columns = (slice(halo + by, halo + by + site.size) for by in moved)
    values = power[:, rows, columns]
    if not linear:
        values = np.rint(10 * np.log10(values) / DECIBEL_STEP).astype(np.float32) * np.float32(
            DECIBEL_STEP
        )
    placed = _transform(site, PIXEL_M) @ Affine.translation(east, south)
    return {
        name: Raster(np.ascontiguousarray(plane), placed)
        for name, plane in zip(VV_VH, values, strict=True)
    }


def label_band(site: Site, codes: Sequence[int] | NDArray[np.integer[Any]], dtype: str) -> Raster:
    """The code of each pixel of 10 m, by its :class:`~.land_types.LandType`."""
    factor = int(PIXEL_M / FINE_M)
    types = inner(site, site.types)[factor // 2 :: factor, factor // 2 :: factor]
    values = np.asarray(codes).astype(dtype)[types[: site.size, : site.size]]
    return Raster(values, _transform(site, PIXEL_M))


def skies(seed: int, place: int, count: int, year: int) -> list[tuple[Sky, datetime]]:
    """``count`` dates spread over a year, a place's own: two in three clear, others cloudy."""
    drawn = [hash_units(stream(seed, name), place, np.arange(count)) for name in ("day", "cloud")]
    found = []
    for k, (jitter, cloud) in enumerate(zip(*drawn, strict=True)):
        day = ((k + 0.5) * 365 / count + (float(jitter) - 0.5) * DAY_JITTER) % 365
        clouds = max(0.0, (float(cloud) - 2 / 3) * 1.2)
        date = datetime(year, 1, 1, 10, 30, 31, tzinfo=UTC) + timedelta(days=int(day))
        found.append((Sky(number=place * 1000 + k, day=int(day), clouds=clouds), date))
    return found


def passes(seed: int, place: int, count: int, year: int) -> list[tuple[Pass, datetime]]:
    """Radar passes some days after the optical dates, ascending and descending in turn."""
    found = []
    for sky, date in skies(seed, place, count, year):
        orbit: Literal["ascending", "descending"] = (
            "ascending" if sky.number % 2 == 0 else "descending"
        )
        later = date + timedelta(days=RADAR_LAG_DAYS, hours=7)
        found.append((Pass(sky.number, sky.day + RADAR_LAG_DAYS, orbit), later))
    return found


def _raster(site: Site, values: NDArray[Any], metres: int) -> Raster:
    side = -(-site.size * PIXEL_M // metres)
    return Raster(np.ascontiguousarray(values[:side, :side]), _transform(site, metres))


def _transform(site: Site, metres: float) -> Affine:
    return site.world.transform(site.extent) @ Affine.scale(metres / FINE_M)
