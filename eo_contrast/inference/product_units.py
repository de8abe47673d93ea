"""What the counts of a Sentinel-2 raster mean, as far as its name and tags tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from eo_contrast.bands import REFLECTANCE_SCALE, baseline_of, offset_of
from eo_contrast.inference.view import Unit
from eo_contrast.raster.meta import RasterMeta

_LEVEL_IN_NAME = re.compile(r"S2[A-D]_MSI(L1C|L2A)_", re.IGNORECASE)
_LEVEL_IN_TAG = re.compile(r"S2MSI(1C|2A)", re.IGNORECASE)
_OFFSET_TAGS = ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
_QUANTIFICATION_TAGS = ("BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")


def level_of(meta: RasterMeta, name: str) -> str | None:
    """s2-l1c or s2-l2a, by the raster's tags or else its name; None: neither tells."""
    tags = meta.tags.get("", {})
    told = _LEVEL_IN_TAG.search(" ".join(tags.values())) or _LEVEL_IN_NAME.search(name)
    if told is None:
        return None
    return "s2-l1c" if "1C" in told[1].upper() else "s2-l2a"


def told_baseline(meta: RasterMeta, name: str) -> float | None:
    """The processing baseline by the raster's tags or else its name; None: neither tells."""
    return _number(meta.tags.get("", {}).get("PROCESSING_BASELINE")) or baseline_of(name)


def tells_offset(meta: RasterMeta, index: int) -> bool:
    """Whether tags of the raster, or of a band of it, say what is to be added to counts."""
    tags = _tags_of_band(meta, index)
    return any(_number(tags.get(tag)) is not None for tag in _OFFSET_TAGS)


def reflectance_units(
    meta: RasterMeta, indexes: Sequence[int], own: Sequence[Unit], name: str
) -> list[Unit]:
    """Of Sentinel-2's counts: by the raster's scale and offset, its tags, its baseline's offset."""
    offset = offset_of(told_baseline(meta, name))
    return [
        _reflectance_unit(unit, _tags_of_band(meta, index), offset)
        for unit, index in zip(own, indexes, strict=True)
    ]


def _tags_of_band(meta: RasterMeta, index: int) -> dict[str, str]:
    of_band = meta.band_tags[index - 1].get("", {}) if meta.band_tags else {}
    return {**meta.tags.get("", {}), **of_band}


def _reflectance_unit(unit: Unit, tags: dict[str, str], offset: float) -> Unit:
    """By the raster's scale and offset if it states them, else by its tags, else the product's."""
    nodata = 0.0 if unit.nodata is None else unit.nodata
    if (unit.scale, unit.offset) != (1.0, 0.0):
        return replace(unit, nodata=nodata)
    offset = _first_number(tags, _OFFSET_TAGS, offset)
    scale = 1 / _first_number(tags, _QUANTIFICATION_TAGS, 1 / REFLECTANCE_SCALE)
    return Unit(scale, offset * scale, nodata)


def _first_number(tags: dict[str, str], names: Sequence[str], otherwise: float) -> float:
    found = (_number(tags.get(name)) for name in names)
    return next((number for number in found if number is not None), otherwise)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
