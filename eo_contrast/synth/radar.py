"""Sentinel-1 over the synthetic world: backscatter by what grows, look direction, speckle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.land_types import TREES, LandType, cover_shares
from eo_contrast.synth.noise import hash_units, smooth_noise, stream
from eo_contrast.synth.optical import FINE_M, averaged
from eo_contrast.synth.world import LandCover

LOOKS = 4
PIXEL_M = 10
TREE_HEIGHT_M = 18.0
CORNER_DB = 9.0
EDGE_DB = 4.0
MOISTURE_DB = 1.6

# VV and VH of the bare ground, and under full green cover, in dB.
BACKSCATTER: Mapping[LandType, tuple[tuple[float, float], tuple[float, float]]] = MappingProxyType(
    {
        LandType.WATER: ((-21.0, -28.0), (-21.0, -28.0)),
        LandType.CONIFER: ((-9.0, -15.0), (-8.4, -13.8)),
        LandType.BROADLEAF: ((-8.6, -14.6), (-8.8, -13.4)),
        LandType.WINTER_CEREAL: ((-10.5, -18.5), (-14.5, -19.5)),
        LandType.MAIZE: ((-11.0, -19.5), (-9.0, -14.5)),
        LandType.RAPESEED: ((-11.0, -19.0), (-9.5, -13.5)),
        LandType.ORCHARD: ((-10.0, -16.5), (-9.5, -15.0)),
        LandType.VINEYARD: ((-9.0, -17.0), (-9.5, -16.0)),
        LandType.PASTURE: ((-12.0, -19.5), (-12.5, -18.5)),
        LandType.HERBACEOUS: ((-12.5, -19.5), (-12.0, -18.0)),
        LandType.LAWN: ((-13.0, -20.5), (-13.5, -20.0)),
        LandType.GARDEN: ((-8.5, -15.5), (-8.5, -15.0)),
        LandType.PAVED: ((-12.0, -20.0), (-12.0, -20.0)),
        LandType.ROAD: ((-16.5, -24.0), (-16.5, -24.0)),
        LandType.BUILDING: ((-4.5, -12.0), (-4.5, -12.0)),
    }
)

Power = NDArray[np.float32]


@dataclass(frozen=True)
class Pass:
    """One overflight.

    Attributes:
        number: names it; its speckle, wind and rain are drawn by it.
        day: of the year.
        orbit: the radar looks east when ascending, west when descending.
    """

    number: int
    day: float
    orbit: Literal["ascending", "descending"]


def backscatter(cover: LandCover, types: NDArray[np.uint8], overflight: Pass) -> Power:
    """VV and VH in dB without speckle, (2, height, width) of the cover."""
    green, _ = cover_shares(cover, types, overflight.day)
    bare, covered = np.array([BACKSCATTER[each] for each in LandType], np.float32).swapaxes(0, 1)
    low, high = (each.T[:, types] for each in (bare, covered))
    decibels = low + green * (high - low)
    seed = stream(cover.world.seed, f"pass {overflight.number}")
    wet, wind = (float(hash_units(stream(seed, name), 0)[0]) - 0.5 for name in ("rain", "wind"))
    open_ground = (types != LandType.WATER) & (types != LandType.BUILDING)
    decibels += open_ground * (1 - green) * np.float32(2 * MOISTURE_DB * wet)
    waves = smooth_noise(cover.x, cover.y, scale=500.0, seed=stream(seed, "waves"))
    decibels += (types == LandType.WATER) * (np.float32(6 * wind) + np.float32(1.5) * waves)
    decibels += (types == LandType.BUILDING) * _corners(cover)
    result: Power = decibels + _edges(types, overflight)
    return result


def render_radar(cover: LandCover, types: NDArray[np.uint8], overflight: Pass) -> Power:
    """Linear power of VV and VH at ``PIXEL_M``, speckled; (2, height, width), above 0.

    The cover's sides are multiples of the pixel. Speckle is that of ``LOOKS`` looks: power times
    a gamma variate of mean 1.
    """
    fine = np.float32(10) ** (backscatter(cover, types, overflight) / np.float32(10))
    factor = int(PIXEL_M / FINE_M)
    power = np.stack([averaged(plane, factor) for plane in fine])
    grown = cover.extent.grown(cover.halo)
    rows = (np.arange(power.shape[1]) + grown.row // factor)[:, None]
    columns = (np.arange(power.shape[2]) + grown.column // factor)[None]
    seed = stream(cover.world.seed, f"speckle {overflight.number}")
    drawn = [
        [hash_units(stream(seed, f"{band} {look}"), rows, columns) for look in range(LOOKS)]
        for band in ("VV", "VH")
    ]
    speckle = -np.log(1 - np.array(drawn)).mean(axis=1)
    noisy: Power = np.maximum(power * speckle, 1e-6).astype(np.float32)
    return noisy


def _corners(cover: LandCover) -> NDArray[np.float32]:
    """What walls that face the radar send back: streets along or across its track shine."""
    facing = np.maximum(np.abs(cover.districts.cosine), np.abs(cover.districts.sine))
    aligned = np.clip((facing - 0.92) / 0.08, 0, 1)
    return (CORNER_DB * aligned).astype(np.float32)


def _edges(types: NDArray[np.uint8], overflight: Pass) -> NDArray[np.float32]:
    """A wood's near edge shines, its far edge lies in the radar's shadow."""
    tall = np.isin(types, TREES).astype(np.float32)
    step = tall - np.roll(tall, int(TREE_HEIGHT_M / 2 / FINE_M), axis=1)
    towards = 1.0 if overflight.orbit == "ascending" else -1.0
    step[:, : int(TREE_HEIGHT_M / FINE_M)] = 0
    return (EDGE_DB * towards * step).astype(np.float32)
