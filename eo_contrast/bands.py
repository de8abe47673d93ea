"""What Sentinel-1 and Sentinel-2 bands are called, and what their numbers mean.

Names are B01 .. B12 with B8A, and VV, VH, whatever a data set spells. Values that a model sees are
reflectance (0..1) and decibel. Level-1C (top of atmosphere) and level-2A (surface) are products of
their own and never stand for each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eo_contrast.errors import InputError

Unit = Literal["reflectance", "dB"]
Orders = Mapping[str, tuple[str, ...]]

REFLECTANCE_SCALE = 1e-4
OFFSET_OF_BASELINE_4 = -1000
"""Counts that Sentinel-2 products add since processing baseline 04.00; negative: to be added."""
FIRST_BASELINE_WITH_OFFSET = 4.0
# Baselines that data sets write of products they corrected themselves, as reBEN's N9999.
LAST_BASELINE = 90.0

_BAND_NUMBER = re.compile(r"B(0?[1-9]|1[0-2])(A?)", re.IGNORECASE)
_BASELINE_IN_NAME = re.compile(r"_N(\d{2})(\d{2})(?=_|\b)")


@dataclass(frozen=True)
class Band:
    """One band of a sensor.

    Attributes:
        name: B02, B8A, VV.
        common_name: of the STAC extension eo, or empty.
        wavelength_nm: centre, of the A satellite; of Sentinel-1 its radar's.
        ground_m: distance between samples on the ground as the sensor's products have it.
    """

    name: str
    common_name: str
    wavelength_nm: float
    ground_m: int


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of a band over a large sample, in the product's unit."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Product:
    """A kind of image that comes from one sensor by one processing.

    Attributes:
        bands: names in the product's own order.
        lowest, highest: what values are clipped to, by band, in ``unit``.
        statistics: by band; of SSL4EO-S12 (Wang et al. 2023), 50,000 places.
    """

    name: str
    sensor: Literal["s1", "s2"]
    unit: Unit
    bands: tuple[str, ...]
    lowest: Mapping[str, float]
    highest: Mapping[str, float]
    statistics: Mapping[str, Statistics]


# Centre wavelengths of Sentinel-2A: ESA's Sentinel-2 spectral response functions, version 3.
S2_BANDS = (
    Band("B01", "coastal", 442.7, 60),
    Band("B02", "blue", 492.4, 10),
    Band("B03", "green", 559.8, 10),
    Band("B04", "red", 664.6, 10),
    Band("B05", "rededge071", 704.1, 20),
    Band("B06", "rededge075", 740.5, 20),
    Band("B07", "rededge078", 782.8, 20),
    Band("B08", "nir", 832.8, 10),
    Band("B8A", "nir08", 864.7, 20),
    Band("B09", "nir09", 945.1, 60),
    Band("B10", "cirrus", 1373.5, 60),
    Band("B11", "swir16", 1613.7, 20),
    Band("B12", "swir22", 2202.4, 20),
)
# 5.405 GHz.
S1_WAVELENGTH_NM = 5.5466e7
S1_BANDS = (Band("VV", "", S1_WAVELENGTH_NM, 10), Band("VH", "", S1_WAVELENGTH_NM, 10))

BANDS: Mapping[str, Band] = MappingProxyType({band.name: band for band in S2_BANDS + S1_BANDS})

L1C = tuple(band.name for band in S2_BANDS)
L2A = tuple(name for name in L1C if name != "B10")
VV_VH = ("VV", "VH")

_L1C_MEAN = (1605.58, 1390.78, 1314.87, 1363.52, 1549.44, 2091.75, 2371.72, 2299.90, 2560.30,
             830.07, 22.10, 2177.07, 1524.07)  # fmt: skip
_L1C_DEVIATION = (786.79, 850.35, 875.06, 1138.85, 1122.18, 1161.59, 1274.39, 1248.43, 1345.53,
                  577.32, 51.15, 1336.10, 1136.54)  # fmt: skip
_L2A_MEAN = (752.40, 884.30, 1144.16, 1297.47, 1624.91, 2194.64, 2422.21, 2517.76, 2581.65,
             2645.52, 2368.51, 1805.07)  # fmt: skip
_L2A_DEVIATION = (1108.03, 1155.15, 1183.63, 1368.11, 1370.27, 1355.55, 1416.51, 1474.79, 1439.31,
                  1582.28, 1455.52, 1343.48)  # fmt: skip


def _optical(
    name: str, bands: tuple[str, ...], means: Sequence[float], deviations: Sequence[float]
) -> Product:
    statistics = {
        band: Statistics(mean * REFLECTANCE_SCALE, deviation * REFLECTANCE_SCALE)
        for band, mean, deviation in zip(bands, means, deviations, strict=True)
    }
    return Product(
        name=name,
        sensor="s2",
        unit="reflectance",
        bands=bands,
        lowest=MappingProxyType(dict.fromkeys(bands, 0.0)),
        highest=MappingProxyType(dict.fromkeys(bands, 1.0)),
        statistics=MappingProxyType(statistics),
    )


def _radar(name: str) -> Product:
    return Product(
        name=name,
        sensor="s1",
        unit="dB",
        bands=VV_VH,
        lowest=MappingProxyType({"VV": -25.0, "VH": -32.5}),
        highest=MappingProxyType({"VV": 0.0, "VH": 0.0}),
        statistics=MappingProxyType(
            {"VV": Statistics(-12.548, 5.257), "VH": Statistics(-20.192, 5.912)}
        ),
    )


PRODUCTS: Mapping[str, Product] = MappingProxyType(
    {
        product.name: product
        for product in (
            _optical("s2-l1c", L1C, _L1C_MEAN, _L1C_DEVIATION),
            _optical("s2-l2a", L2A, _L2A_MEAN, _L2A_DEVIATION),
            _radar("s1-grd"),
            _radar("s1-rtc"),
        )
    }
)

ORDERS: Orders = MappingProxyType(
    {
        # The tiles' 13th band is B8A, not their 9th.
        "eurosat-ms": (*(name for name in L1C if name != "B8A"), "B8A"),
        "bigearthnet-s2": L2A,
        "bigearthnet-s1": VV_VH,
        "ssl4eo-s1": VV_VH,
        "ssl4eo-s2c": L1C,
        "ssl4eo-s2a": L2A,
        "seco": L2A,
        "sen12ms-s1": VV_VH,
        "sen12ms-s2": L1C,
        "dfc2020-s1": VV_VH,
        "dfc2020-s2": L1C,
        "so2sat-s2": tuple(name for name in L1C if name not in ("B01", "B09", "B10")),
    }
)
"""Names of the bands in the order in which the data sets store or list them."""


def band_name(spelled: str) -> str:
    """The name of a band that a data set spells in its own way: B1, b8a and vv are B01, B8A and VV.

    Raises: InputError: no band of Sentinel-1 or Sentinel-2 is spelled so.
    """
    text = spelled.strip().upper()
    numbered = _BAND_NUMBER.fullmatch(text)
    if numbered:
        number, letter = numbered.groups()
        text = f"B{int(number)}A" if letter else f"B{int(number):02}"
    if text not in BANDS:
        raise InputError(f"band '{spelled}': unknown; known ones are {' '.join(BANDS)}")
    return text


def product(name: str) -> Product:
    """The product of this name.

    Raises: InputError: there is none.
    """
    if name not in PRODUCTS:
        raise InputError(f"product '{name}': unknown; known ones are {' '.join(PRODUCTS)}")
    return PRODUCTS[name]


def positions(stored: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where each wanted band lies among the stored ones, from 0.

    Raises: InputError: a wanted band is not stored, or one is stored twice.
    """
    twice = sorted({name for name in stored if list(stored).count(name) > 1})
    if twice:
        raise InputError(f"bands {' '.join(twice)}: stored twice, so the name tells not which")
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise InputError(
            f"bands {' '.join(missing)}: not among those stored, {' '.join(stored) or 'none'}"
        )
    return [list(stored).index(name) for name in wanted]


def baseline_of(name: str) -> float | None:
    """The processing baseline in the name of a Sentinel-2 product (``_N0400_``: 4.0).

    Only the name of the product has it, not that of a band's file. None: it is not there.
    """
    found = _BASELINE_IN_NAME.search(name)
    return float(f"{found[1]}.{found[2]}") if found else None


def offset_of(baseline: float | None) -> int:
    """Counts to add to a product of this baseline before they are scaled to reflectance.

    The date does not decide: the archive's older dates are processed anew with the offset.
    None, and baselines beyond 90 (of products that a data set has corrected): 0.
    """
    if baseline is None or not FIRST_BASELINE_WITH_OFFSET <= baseline < LAST_BASELINE:
        return 0
    return OFFSET_OF_BASELINE_4


def reflectance(
    counts: NDArray[np.generic], *, offset: int = 0, scale: float = REFLECTANCE_SCALE
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(counts + offset) * scale, and which pixels have data.

    Args:
        counts: as stored, any shape; 0 is no data, before the offset.

    Returns: float32 of the same shape, 0 where invalid, not clipped; True where valid.
    """
    valid = counts != 0
    values = (counts.astype(np.float32) + np.float32(offset)) * np.float32(scale)
    return np.where(valid, values, np.float32(0)), valid


def decibel(
    power: NDArray[np.floating], *, nodata: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """10 log10(power), and which pixels have data.

    Args:
        power: linear backscatter, any shape; what is 0 or less, not finite, or equal to
            ``nodata`` has no logarithm and is no data.

    Returns: float32 of the same shape, 0 where invalid, not clipped; True where valid.
    """
    valid = np.isfinite(power) & (power > 0)
    if nodata is not None and not np.isnan(nodata):
        valid &= power != nodata
    values = 10 * np.log10(np.where(valid, power, 1).astype(np.float64))
    return values.astype(np.float32), valid


def looks_linear(values: NDArray[np.floating]) -> bool:
    """Whether what is said to be decibel looks like linear power.

    Land and sea scatter less than they receive: in decibel nearly all pixels are below 0. Linear
    power never is.

    Args:
        values: of valid pixels, any shape; the finite ones count.
    """
    finite = values[np.isfinite(values)]
    return bool(finite.size) and bool((finite >= 0).all()) and bool((finite > 0).any())
