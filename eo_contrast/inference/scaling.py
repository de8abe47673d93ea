"""How a raster's numbers become the values that a model's card states (``--scaling``).

Decided once a raster, before its first tile: a stretch of each tile by its own values would show
the cuts as surely as a norm over the tile does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eo_contrast.errors import InputError
from eo_contrast.inference.product_units import level_of, reflectance_units
from eo_contrast.inference.statistics import sample_pixels
from eo_contrast.inference.view import Unit
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import Source
from eo_contrast.training.card import InputScaling

Kind = Literal["card", "dtype", "product", "percentiles", "range"]

DEFAULT_PERCENTILES = (2.0, 98.0)
# What the true-colour images that ESA adds to each product show as 255: Sentinel-2 Products
# Specification Document, TCI.
BRIGHTEST_OF_TRUE_COLOUR = {"s2-l1c": 0.3558, "s2-l2a": 0.2}
# A card whose largest value is at most this takes reflectance, not a picture's bytes.
LARGEST_REFLECTANCE = 2.0
# Values that reach so many times as far as the card's are in another unit than the card's; so are
# floats that reach no further than one in so many, and, where a card's values are not negative as
# decibels are, integer types that cannot reach an eighth.
FAR = 64


@dataclass(frozen=True)
class Scaling:
    """A declared scaling.

    Attributes:
        kind: ``card``: values are in the card's unit by the raster's own scale and offset.
            ``dtype``: the integer type's 0 .. largest is the card's range. ``product``: a
            Sentinel-2 product's reflectance, shown as its true-colour image for a card of a
            picture's values. ``percentiles``, ``range``: those from ``low`` to ``high`` are the
            card's range.
        low, high: percentiles of the scene, or values of the raster.
    """

    kind: Kind
    low: float = 0.0
    high: float = 0.0


NAMED: Mapping[str, Scaling] = MappingProxyType(
    {
        "card": Scaling("card"),
        "dtype": Scaling("dtype"),
        "product": Scaling("product"),
        "percentiles": Scaling("percentiles", *DEFAULT_PERCENTILES),
    }
)


def parse_scaling(text: str) -> Scaling:
    """``card``, ``dtype``, ``product``, ``percentiles``, ``percentiles:1,99`` or ``LOW,HIGH``.

    Raises: InputError: none of these, or a low end that is not below the high one.
    """
    if text in NAMED:
        return NAMED[text]
    kind, _, numbers = text.rpartition(":")
    try:
        low, high = (float(part) for part in numbers.split(","))
    except ValueError:
        low = high = float("nan")
    percent = kind == "percentiles"
    in_range = 0 <= low <= 100 and 0 <= high <= 100 if percent else np.isfinite([low, high]).all()
    if kind not in ("", "percentiles") or not in_range or not low < high:
        raise InputError(
            f"--scaling {text}: is none of card, dtype, product, percentiles, percentiles:LOW,HIGH "
            "(0 to 100) and LOW,HIGH (values of the raster), LOW below HIGH"
        )
    return Scaling("percentiles" if percent else "range", low, high)


def units_for(
    scaling: Scaling,
    card: InputScaling,
    meta: RasterMeta,
    indexes: Sequence[int],
    source: Source,
    name: str,
) -> tuple[Unit, ...]:
    """What the chosen bands' numbers mean in the card's unit.

    Args:
        indexes: 1-based numbers of the bands.
        source: these bands by the raster's own scale and offset; read where values decide.
        name: the raster's, for the message and for the product that it tells.

    Raises: InputError: the raster's type, product or values do not fit the scaling.
    """
    own = own_units(meta, indexes)
    ranges = [(card.minimum, card.maximum)] * len(own)
    match scaling.kind:
        case "card":
            _refuse_other_units(card, meta, indexes, source, name)
            return tuple(own)
        case "product":
            return _product_units(card, meta, indexes, own, name)
        case _:
            ends = ends_of(scaling, meta, indexes, source, name)
            stored = without_scale(own) if scaling.kind == "dtype" else own
            return stretched(stored, ends, ranges)


def in_words(units: Sequence[Unit], card: InputScaling) -> str:
    """The raster's numbers that stand at the card's ends, band by band."""
    ends = ((card.minimum - unit.offset, card.maximum - unit.offset) for unit in units)
    numbers = ", ".join(
        f"{low / unit.scale:.5g} to {high / unit.scale:.5g}" if unit.scale else "constant"
        for unit, (low, high) in zip(units, ends, strict=True)
    )
    return f"{numbers} are the model's {card.minimum:g} to {card.maximum:g}"


def percentiles_of(
    sample: Sequence[NDArray[np.generic]], scaling: Scaling
) -> list[tuple[float, float]]:
    """The low and the high percentile of each band over a sample of its valid pixels.

    Where the two are one number, the sample's smallest and largest.

    Args:
        sample: arrays (bands, pixels) of one band count, with at least one pixel in all.
    """
    values = np.concatenate(sample, axis=1).astype(np.float64)
    ends = np.percentile(values, (scaling.low, scaling.high), axis=1)
    flat = ends[0] == ends[1]
    low = np.where(flat, values.min(axis=1), ends[0])
    high = np.where(flat, values.max(axis=1), ends[1])
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _valid_sample(source: Source, name: str) -> list[NDArray[np.generic]]:
    sample = [pixels.of_valid() for pixels in sample_pixels(source)]
    if not sample:
        raise InputError(
            f"{name}: has no valid pixel in the bands and the area chosen, so there are no "
            "percentiles of it; check its nodata value, or give --scaling LOW,HIGH"
        )
    return sample


def stretched(
    units: Sequence[Unit],
    ends: Sequence[tuple[float, float]],
    ranges: Sequence[tuple[float, float]],
) -> tuple[Unit, ...]:
    """Units in which each band's ends (in its own unit) are the two numbers of its range."""
    made = []
    for unit, (low, high), (lowest, highest) in zip(units, ends, ranges, strict=True):
        gain = (highest - lowest) / (high - low) if high > low else 0.0
        offset = lowest + (unit.offset - low) * gain
        made.append(replace(unit, scale=unit.scale * gain, offset=offset))
    return tuple(made)


def ends_of(
    scaling: Scaling, meta: RasterMeta, indexes: Sequence[int], source: Source, name: str
) -> list[tuple[float, float]]:
    """The two numbers of each band that ``dtype``, ``percentiles`` or ``range`` name.

    Of ``dtype`` they are of what is stored, of the others of values by the raster's own scale.

    Args: as of :func:`units_for`.
    Raises: InputError: a type without a largest value, or no valid pixel to take percentiles of.
    """
    match scaling.kind:
        case "dtype":
            return [(0.0, _largest(meta.dtypes[index - 1], index, name)) for index in indexes]
        case "percentiles":
            return percentiles_of(_valid_sample(source, name), scaling)
        case "range":
            return [(scaling.low, scaling.high)] * len(indexes)
        case _:
            raise ValueError(f"{scaling.kind} names no numbers")


def own_units(meta: RasterMeta, indexes: Sequence[int]) -> list[Unit]:
    """What the raster itself says that its bands' numbers mean."""
    return [Unit(meta.scales[k - 1], meta.offsets[k - 1], meta.nodata[k - 1]) for k in indexes]


def without_scale(units: Sequence[Unit]) -> list[Unit]:
    """The same for numbers as they are stored."""
    return [replace(unit, scale=1.0, offset=0.0) for unit in units]


def _largest(dtype: str, index: int, name: str) -> float:
    if np.dtype(dtype).kind not in "iu":
        raise InputError(
            f"{name}: band {index} is {dtype}, a type without a largest value; give --scaling "
            "percentiles, or LOW,HIGH"
        )
    return float(np.iinfo(dtype).max)


def _product_units(
    card: InputScaling,
    meta: RasterMeta,
    indexes: Sequence[int],
    own: Sequence[Unit],
    name: str,
) -> tuple[Unit, ...]:
    level = level_of(meta, name)
    if level is None:
        raise InputError(
            f"{name}: neither its name nor its tags say that it is a Sentinel-2 product; give "
            "--scaling LOW,HIGH, the values that are black and white"
        )
    units = reflectance_units(meta, indexes, own, name)
    if card.maximum <= LARGEST_REFLECTANCE:
        return tuple(units)
    brightest = BRIGHTEST_OF_TRUE_COLOUR[level]
    ranges = [(card.minimum, card.maximum)] * len(units)
    return stretched(units, [(0.0, brightest)] * len(units), ranges)


def _refuse_other_units(
    card: InputScaling, meta: RasterMeta, indexes: Sequence[int], source: Source, name: str
) -> None:
    """Refuse values whose range says that they are in another unit than the model's."""
    too_large = FAR * max(abs(card.minimum), abs(card.maximum))
    for index in indexes:
        dtype = np.dtype(meta.dtypes[index - 1])
        if dtype.kind not in "iu":
            continue
        largest = np.iinfo(dtype).max * meta.scales[index - 1] + meta.offsets[index - 1]
        if largest > too_large or (card.minimum >= 0 and largest < card.maximum / 8):
            _refuse(f"band {index} is {dtype.name} with values up to {largest:g}", card, name)
    if any(np.dtype(meta.dtypes[index - 1]).kind == "f" for index in indexes):
        sample = [pixels.of_valid() for pixels in sample_pixels(source)]
        largest = max((float(values.max()) for values in sample), default=0.0)
        if largest > too_large or 0 < largest < card.maximum / FAR:
            _refuse(f"its largest value in a sample is {largest:g}", card, name)


def _refuse(what: str, card: InputScaling, name: str) -> None:
    raise InputError(
        f"{name}: {what}, the model takes {card.minimum:g} to {card.maximum:g}; say how they are "
        "to be scaled, as --scaling percentiles, or --scaling LOW,HIGH in the raster's values"
    )
