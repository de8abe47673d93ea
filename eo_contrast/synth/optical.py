"""Sentinel-2 over the synthetic world: spectra of what grows, season, air, clouds, noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eo_contrast.bands import BANDS, L1C
from eo_contrast.synth.land_types import LandType, cover_shares
from eo_contrast.synth.noise import fractal_noise, hash_units, smooth_noise, stream
from eo_contrast.synth.world import LandCover

FINE_M = 5.0
"""Ground resolution at which the world is looked at; bands average over it."""

CLOUD_SCALE_M = 2400.0
CLOUD_SHADOW_M = 420.0
NOISE = 0.004
FLOWERING = (118.0, 12.0)

# Surface reflectance in the order of L1C's bands, rounded from what spectral libraries show.
SPECTRA: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "crop": (.03, .04, .08, .04, .11, .32, .40, .42, .44, .44, .001, .20, .10),
        "leaf": (.02, .03, .06, .03, .09, .27, .34, .36, .38, .38, .001, .16, .07),
        "needle": (.02, .02, .035, .02, .05, .14, .18, .19, .20, .20, .001, .09, .04),
        "grass": (.03, .05, .09, .06, .13, .27, .32, .34, .36, .36, .001, .24, .13),
        "flower": (.04, .06, .20, .20, .26, .40, .45, .48, .50, .50, .001, .25, .14),
        "dry": (.06, .08, .13, .17, .21, .25, .28, .30, .32, .33, .001, .36, .24),
        "soil": (.06, .08, .12, .16, .19, .21, .23, .25, .27, .28, .001, .33, .27),
        "water": (.03, .04, .04, .02, .015, .012, .012, .010, .008, .005, .001, .004, .003),
        "asphalt": (.08, .09, .10, .11, .12, .12, .13, .13, .14, .14, .001, .16, .15),
        "tile": (.10, .11, .14, .20, .22, .23, .24, .25, .26, .26, .001, .29, .27),
        "bright": (.30, .33, .35, .36, .36, .37, .37, .38, .38, .38, .001, .36, .33),
        "cloud": (.62, .63, .63, .64, .65, .66, .66, .67, .67, .60, .03, .45, .36),
    }
)  # fmt: skip
# What air adds above, and lets through, by band: Rayleigh's slope.
AIR_LIGHT = (
    .105, .075, .047, .028, .022, .018, .015, .013, .011, .009, .002, .004, .003,
)  # fmt: skip
AIR_THROUGH = (
    .80, .85, .89, .92, .93, .94, .94, .95, .95, .70, .02, .96, .96,
)  # fmt: skip

GREEN_OF = MappingProxyType(
    {
        LandType.CONIFER: "needle",
        LandType.BROADLEAF: "leaf",
        LandType.ORCHARD: "leaf",
        LandType.VINEYARD: "leaf",
        LandType.PASTURE: "grass",
        LandType.HERBACEOUS: "grass",
        LandType.LAWN: "grass",
        LandType.GARDEN: "grass",
        LandType.WINTER_CEREAL: "crop",
        LandType.MAIZE: "crop",
        LandType.RAPESEED: "crop",
    }
)
NAMES = tuple(SPECTRA)

Planes = NDArray[np.float32]


@dataclass(frozen=True)
class Sky:
    """The air at one date.

    Attributes:
        number: names the date; its clouds and noise are drawn by it.
        day: of the year.
        clouds: share of the sky that they cover, 0..1.
    """

    number: int
    day: float
    clouds: float


def surface(cover: LandCover, types: NDArray[np.uint8], day: float) -> Planes:
    """Reflectance of the ground in L1C's 13 bands, (13, height, width) of the cover."""
    shares = _materials(cover, types, day)
    spectra = np.array([SPECTRA[name] for name in NAMES], dtype=np.float32)
    planes: Planes = np.tensordot(spectra, shares, axes=(0, 0))
    return planes


def render_optical(
    cover: LandCover, types: NDArray[np.uint8], sky: Sky, level: Literal["s2-l1c", "s2-l2a"]
) -> Planes:
    """Reflectance as the product has it, at ``FINE_M``; (13, height, width), above 0.

    L1C has the air's light above the ground's, L2A but what a correction leaves of it. Both see
    clouds and their shadows.
    """
    ground = surface(cover, types, sky.day)
    seed = stream(cover.world.seed, f"sky {sky.number}")
    cloud, shade = _clouds(cover, sky, seed)
    ground = ground * (1 - np.float32(0.62) * shade)
    clear = 1 - cloud
    seen = ground * clear + np.array(SPECTRA["cloud"], np.float32)[:, None, None] * cloud
    haze = smooth_noise(cover.x, cover.y, scale=6000.0, seed=stream(seed, "haze"))
    drawn = float(hash_units(stream(seed, "aerosol"), 0)[0])
    veil = (np.float32(0.7 + 0.7 * drawn) + np.float32(0.2) * haze)[None]
    light = np.array(AIR_LIGHT, np.float32)[:, None, None]
    if level == "s2-l1c":
        through = np.array(AIR_THROUGH, np.float32)[:, None, None]
        seen = seen * through + light * veil * clear
    else:
        seen = seen + light * np.float32(0.15) * (veil - 1)
    return np.maximum(seen, np.float32(1e-4))


def band_counts(
    fine: Planes,
    bands: tuple[str, ...],
    metres: Mapping[str, int],
    *,
    origin: tuple[int, int],
    seed: int,
    add: int,
) -> dict[str, NDArray[np.uint16]]:
    """Counts of each band at its own ground distance, with the detector's noise.

    Args:
        fine: from :func:`render_optical`, cut to a whole number of the coarsest pixels.
        metres: pixel of each band, a multiple of ``FINE_M``.
        origin: row and column of the first fine pixel in the world; noise goes by the place.
        seed: of this image's noise.
        add: counts that the product adds, as 1000 from baseline 04.00 on.

    Returns: uint16; 0, no data, does not occur.
    """
    counts = {}
    for name in bands:
        factor = int(metres[name] / FINE_M)
        plane = averaged(fine[L1C.index(name)], factor)
        rows, columns = (
            np.arange(side) + first // factor
            for side, first in zip(plane.shape, origin, strict=True)
        )
        noise = sum(
            hash_units(stream(seed, f"noise {part} {name}"), rows[:, None], columns)
            for part in range(2)
        )
        reflectance = plane + np.float32(NOISE) * (noise - 1)
        stored = np.rint(reflectance / 1e-4) + add
        counts[name] = np.clip(stored, 1, 65535).astype(np.uint16)
    return counts


def averaged(plane: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Means of squares of ``factor`` pixels, which the sides are multiples of."""
    height, width = plane.shape
    parts = plane.reshape(height // factor, factor, width // factor, factor)
    means: NDArray[np.float32] = parts.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    return means


def native_metres(bands: tuple[str, ...]) -> dict[str, int]:
    """The sensor's own pixel of each band."""
    return {name: BANDS[name].ground_m for name in bands}


def _materials(cover: LandCover, types: NDArray[np.uint8], day: float) -> Planes:
    """Share of each spectrum on each pixel; they add up to 1."""
    green, dry = cover_shares(cover, types, day)
    shares = np.zeros((len(NAMES), *types.shape), np.float32)

    def put(name: str, there: NDArray[np.bool_], share: NDArray[np.float32] | float) -> None:
        plane = shares[NAMES.index(name)]
        plane[there] += share[there] if isinstance(share, np.ndarray) else np.float32(share)

    for land_type, name in GREEN_OF.items():
        there = types == land_type
        bare = "asphalt" if land_type == LandType.GARDEN else "soil"
        put("dry", there, dry)
        put(bare, there, 1 - green - dry)
        flowering = _flowering(day) if land_type == LandType.RAPESEED else 0.0
        put("flower", there, green * np.float32(flowering))
        put(name, there, green * np.float32(1 - flowering))
    put("water", types == LandType.WATER, 1.0)
    put("asphalt", types == LandType.ROAD, 0.85)
    put("soil", types == LandType.ROAD, 0.15)
    for name, share in (("asphalt", 0.5), ("soil", 0.3), ("bright", 0.2)):
        put(name, types == LandType.PAVED, share)
    roof = hash_units(stream(cover.world.seed, "roof"), cover.buildings.number)
    for name, low, high in (("tile", 0.0, 0.5), ("asphalt", 0.5, 0.75), ("bright", 0.75, 1.0)):
        put(name, (types == LandType.BUILDING) & (roof >= low) & (roof < high), 1.0)
    return shares


def _flowering(day: float) -> float:
    middle, half = FLOWERING
    return max(0.0, 1 - abs(day - middle) / half) * 0.9


def _clouds(cover: LandCover, sky: Sky, seed: int) -> tuple[Planes, Planes]:
    """Opacity of the clouds and depth of their shadows, 0..1."""
    if sky.clouds <= 0:
        nothing = np.zeros(cover.land_class.shape, np.float32)
        return nothing, nothing
    level = np.float32(0.55 - 1.1 * sky.clouds)

    def opacity(x: NDArray[np.float64], y: NDArray[np.float64]) -> Planes:
        thick = fractal_noise(x, y, scale=CLOUD_SCALE_M, seed=stream(seed, "clouds"), octaves=5)
        opaque: Planes = np.clip((thick - level) / np.float32(0.12), 0, 1)
        return opaque

    cloud = opacity(cover.x, cover.y)
    shade = opacity(cover.x - CLOUD_SHADOW_M, cover.y + CLOUD_SHADOW_M)
    return cloud, shade * (1 - cloud)
