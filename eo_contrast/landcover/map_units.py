"""What a raster's numbers are in the unit that a sensor's encoder eats.

By the raster's own scale and offset where it states them; else by what its product stores.
Values that cannot be in the unit are refused before a map is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.bands import looks_linear
from eo_contrast.data.sensors import SensorInput
from eo_contrast.errors import InputError
from eo_contrast.inference.product_units import (
    level_of,
    reflectance_units,
    tells_offset,
    told_baseline,
)
from eo_contrast.inference.scaling import (
    Scaling,
    ends_of,
    own_units,
    stretched,
    without_scale,
)
from eo_contrast.inference.statistics import sample_pixels
from eo_contrast.inference.view import Unit
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import Source

SourceIn = Callable[[Sequence[Unit]], Source]
"""The chosen bands of a raster in some units."""

MOST_REFLECTANCE = 16.0
"""The brightest cloud is below 3; counts are in thousands."""
MOST_OF_PICTURE = 2.0
LEAST_DECIBEL = -100.0
BYTE_MAX = 255


def units_of(
    scaling: Scaling,
    sensor: SensorInput,
    meta: RasterMeta,
    indexes: Sequence[int],
    source_in: SourceIn,
    name: str,
) -> tuple[tuple[Unit, ...], tuple[str, ...]]:
    """What the chosen bands' numbers mean in the sensor's unit, and what to tell of it.

    Args:
        indexes: 1-based numbers of the bands, in the sensor's order.
        source_in: read where values decide.
        name: the raster's with its path, for messages and for the product that it tells.

    Raises: InputError: the raster's product, type or values do not fit.
    """
    _refuse_other_level(sensor, meta, name)
    own = own_units(meta, indexes)
    if scaling.kind in ("dtype", "percentiles", "range"):
        if sensor.unit == "dB":
            raise InputError(
                f"--scaling: {name} is radar, whose bands have ranges of their own; leave it out, "
                "and give a raster in decibel, or one that states its scale"
            )
        ends = ends_of(scaling, meta, indexes, source_in(own), name)
        stored = without_scale(own) if scaling.kind == "dtype" else own
        return stretched(stored, ends, list(zip(sensor.lowest, sensor.highest, strict=True))), ()
    if scaling.kind == "product" and level_of(meta, name) is None:
        raise InputError(
            f"--scaling product: neither the name nor the tags of {name} say that it is a "
            "Sentinel-2 product; leave it out, or give --scaling LOW,HIGH, its values at 0 and 1"
        )
    by_unit = {"reflectance": _reflectance, "dB": _decibel}.get(sensor.unit, _picture)
    return by_unit(sensor, meta, indexes, own, source_in, name)


def units_in_words(units: Sequence[Unit]) -> str:
    """How stored numbers become values, band by band; once where all are alike."""
    words = [f"x {unit.scale:g}{f' {unit.offset:+g}' if unit.offset else ''}" for unit in units]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def _refuse_other_level(sensor: SensorInput, meta: RasterMeta, name: str) -> None:
    level = level_of(meta, name)
    if level is not None and level != sensor.product:
        raise InputError(
            f"{name}: is {level} by its name or tags, and the model takes {sensor.product}; give "
            f"{sensor.product}, or a model that was trained on {level}"
        )


def _reflectance(
    sensor: SensorInput,
    meta: RasterMeta,
    indexes: Sequence[int],
    own: Sequence[Unit],
    source_in: SourceIn,
    name: str,
) -> tuple[tuple[Unit, ...], tuple[str, ...]]:
    kinds = [np.dtype(meta.dtypes[index - 1]) for index in indexes]
    counts = all(kind.kind in "iu" for kind in kinds)
    stated = all(map(_states, own))
    if counts and not stated and min(kind.itemsize for kind in kinds) == 1:
        raise InputError(
            f"{name}: its bands are {kinds[0].name}, too few values for the reflectance that the "
            f"model takes of {sensor.product}; give the product itself, or --scaling LOW,HIGH, its "
            "values at 0 and 1"
        )
    units = tuple(reflectance_units(meta, indexes, own, name) if counts else own)
    _refuse_beyond_reflectance(sensor, kinds, units, source_in, name)
    if stated or not counts:
        return units, ()
    warned = _untold_offset(sensor, meta, indexes, units, source_in, name)
    return units, (f"counts {units_in_words(units)} are taken for reflectance", *warned)


def _refuse_beyond_reflectance(
    sensor: SensorInput,
    kinds: Sequence[np.dtype[Any]],
    units: Sequence[Unit],
    source_in: SourceIn,
    name: str,
) -> None:
    """Refuse values that are counts still; types that could not hold them are not looked at."""
    could_be = [
        kind.kind == "f" or np.iinfo(kind).max * unit.scale + unit.offset > MOST_REFLECTANCE
        for kind, unit in zip(kinds, units, strict=True)
    ]
    sample = _sample(source_in(units)) if any(could_be) else np.zeros(0)
    if sample.size and sample.max() > MOST_REFLECTANCE:
        raise InputError(
            f"{name}: its largest value in a sample is {sample.max():g}, the model takes "
            f"{sensor.product} as reflectance, 0 to 1; if these are counts, give "
            "--scaling 0,10000, or 1000,11000 where they have the offset of baseline 04.00"
        )


def _untold_offset(
    sensor: SensorInput,
    meta: RasterMeta,
    indexes: Sequence[int],
    units: Sequence[Unit],
    source_in: SourceIn,
    name: str,
) -> tuple[str, ...]:
    """A warning where the product does not tell its offset, and its values do."""
    from eo_contrast.catalog.sampling import has_offset  # layouts of archives come along with it

    told = told_baseline(meta, name) is not None or any(tells_offset(meta, k) for k in indexes)
    if told:
        return ()
    sample = _sample(source_in(units))
    if not sample.size or not has_offset(sensor.product, sensor.bands, sample):
        return ()
    return (
        "the 1000 counts that baseline 04.00 adds seem not to be taken off; if so, give "
        "--scaling 1000,11000",
    )


def _decibel(
    sensor: SensorInput,
    meta: RasterMeta,
    indexes: Sequence[int],
    own: Sequence[Unit],
    source_in: SourceIn,
    name: str,
) -> tuple[tuple[Unit, ...], tuple[str, ...]]:
    sample = _sample(source_in(own))
    if looks_linear(sample):
        raise InputError(
            f"{name}: has no value below 0, so it looks like linear power or counts, and the model "
            f"takes {sensor.product} in decibel; give 10 log10(power)"
        )
    if sample.size and sample.min() < LEAST_DECIBEL:
        raise InputError(
            f"{name}: its least value in a sample is {sample.min():g}, and the model takes "
            f"{sensor.product} in decibel; state its nodata value, or its scale, as "
            "gdal_edit.py -scale 0.01 does"
        )
    return tuple(own), ()


def _picture(
    sensor: SensorInput,
    meta: RasterMeta,
    indexes: Sequence[int],
    own: Sequence[Unit],
    source_in: SourceIn,
    name: str,
) -> tuple[tuple[Unit, ...], tuple[str, ...]]:
    kinds = {np.dtype(meta.dtypes[index - 1]) for index in indexes}
    if kinds == {np.dtype(np.uint8)} and not any(map(_states, own)):
        return tuple(replace(unit, scale=1 / BYTE_MAX) for unit in own), ()
    sample = _sample(source_in(own))
    if sample.size and sample.max() > MOST_OF_PICTURE:
        raise InputError(
            f"{name}: its largest value in a sample is {sample.max():g}, the model takes bytes or "
            "0 to 1; give --scaling dtype, or LOW,HIGH, its values at black and white"
        )
    return tuple(own), ()


def _states(unit: Unit) -> bool:
    return (unit.scale, unit.offset) != (1.0, 0.0)


def _sample(source: Source) -> NDArray[Any]:
    """Values (bands, pixels) of valid pixels of a sample; there may be none."""
    parts = [pixels.of_valid() for pixels in sample_pixels(source)]
    return np.concatenate(parts, axis=1) if parts else np.zeros((source.bands, 0), np.float32)
