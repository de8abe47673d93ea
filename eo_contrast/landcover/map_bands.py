"""Which bands of a raster a sensor's encoder eats, by whatever names the raster gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from rasterio.enums import ColorInterp

from eo_contrast.bands import PRODUCTS, S2_BANDS, band_name
from eo_contrast.data.sensors import SensorInput
from eo_contrast.raster.band_choice import choose_bands, parse_bands
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import alpha_band

_COMMON: Mapping[str, str] = MappingProxyType({band.common_name: band.name for band in S2_BANDS})
# As GDAL describes them, "B4, central wavelength 665 nm", or as files are called, "T31TDH_B04_10m".
_SPELLED: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "s2": re.compile(r"(?<![A-Z0-9])B(?:0?[1-9]|1[0-2])A?(?![A-Z0-9])"),
        "s1": re.compile(r"(?<![A-Z0-9])(?:VV|VH)(?![A-Z0-9])"),
    }
)


def bands_of(
    dataset: Any,
    meta: RasterMeta,
    sensor: SensorInput,
    *,
    name: str,
    chosen: str | None = None,
    way_out: str | None = None,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """1-based numbers of the bands that a sensor's encoder eats, in its order.

    Names are taken from the bands' descriptions, B4 and red for B04, then from their colours; a
    raster without any, and of as many bands as are wanted, is taken in its own order.

    Args:
        name: the raster's, for messages.
        chosen: numbers or names as the user gives them, in the encoder's order; None: by name.
        way_out: what to do where a band is missing; None: ``--bands``.

    Returns: the numbers, and what to tell of the choice.
    Raises: InputError: a band is missing; lists what there is, and what to do.
    """
    if chosen is not None:
        return parse_bands(chosen, meta, count=len(sensor.bands), name=name), ()
    alpha = alpha_band(meta, dataset)
    renamed = _in_own_names(_without_one_name_for_all(meta), sensor)
    indexes = choose_bands(renamed, sensor.bands, name=name, alpha=alpha, way_out=way_out)
    if any(renamed.descriptions[index - 1] for index in indexes) or sensor.product not in PRODUCTS:
        return indexes, ()
    return indexes, (f"its bands have no names; taken for {' '.join(sensor.bands)}, in this order",)


def _without_one_name_for_all(meta: RasterMeta) -> RasterMeta:
    """Without descriptions that are the same for several bands, which tell none from another."""
    if meta.count > 1 and meta.descriptions and len(set(meta.descriptions)) == 1:
        return replace(meta, descriptions=(None,) * meta.count)
    return meta


def _in_own_names(meta: RasterMeta, sensor: SensorInput) -> RasterMeta:
    """The metadata with bands called as the product calls them, where they can be told."""
    if sensor.product not in PRODUCTS:
        return meta
    kind = PRODUCTS[sensor.product].sensor
    names = []
    for index in range(meta.count):
        description = meta.descriptions[index] if meta.descriptions else None
        colour = meta.colorinterp[index] if meta.colorinterp else ColorInterp.undefined
        names.append(_own_name(description or "", kind) or _own_name(colour.name, kind))
    told = tuple(
        name or description
        for name, description in zip(names, meta.descriptions or names, strict=True)
    )
    # Colours stand for bands in the names now.
    kept = tuple(
        colour if colour == ColorInterp.alpha else ColorInterp.undefined
        for colour in meta.colorinterp
    )
    return replace(meta, descriptions=told, colorinterp=kept)


def _own_name(text: str, kind: str) -> str | None:
    """The one band of a sensor that a text names; None: it names none, or several."""
    if kind == "s2" and text.strip().lower() in _COMMON:
        return _COMMON[text.strip().lower()]
    found = {band_name(each) for each in _SPELLED[kind].findall(text.upper().replace("_", " "))}
    return found.pop() if len(found) == 1 else None
