"""A raster of classes: numbers with a colour table, and names that GDAL shows as a legend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rasterio.enums import ColorInterp

from eo_contrast.raster.meta import RasterMeta, as_picture

NO_CLASS = 255
"""Of pixels without data, in maps of classes and of their probabilities."""
PROBABILITY_ONE = 250
"""The byte that stands for a probability of 1; one step is 0.004."""
CLASSES_TAG = "EO_CONTRAST_CLASSES"
BAND_NAME = "land cover"

Legend = Sequence[tuple[str, tuple[int, int, int]]]
"""Name and colour (red, green, blue) of each class, in the order of their numbers from 0."""

# GDALRATFieldType and GDALRATFieldUsage of GDAL's gdal.h.
_INTEGER, _REAL, _TEXT = "0", "1", "2"
_GENERIC, _PIXEL_COUNT, _NAME, _VALUE, _RED, _GREEN, _BLUE = "0", "1", "2", "5", "6", "7", "8"


def as_class_map(meta: RasterMeta, legend: Legend) -> RasterMeta:
    """The metadata of a map of classes on the same grid: one uint8 band with a colour table.

    The names stand in the tag ``CLASSES_TAG``, too, which stays when the file is moved alone.
    """
    plain = as_picture(meta, (BAND_NAME,), dtype="uint8")
    colours = {number: (*colour, 255) for number, (_, colour) in enumerate(legend)}
    names = json.dumps([name for name, _ in legend], ensure_ascii=False)
    return replace(
        plain,
        nodata=(float(NO_CLASS),),
        colorinterp=(ColorInterp.palette,),
        colormap={**colours, NO_CLASS: (0, 0, 0, 0)},
        tags={**plain.tags, "": {**plain.tags.get("", {}), CLASSES_TAG: names}},
    )


def as_probabilities(meta: RasterMeta, names: Sequence[str]) -> RasterMeta:
    """The metadata of the classes' probabilities, from those of their map: a uint8 band each.

    Its scale makes them 0 to 1 for readers that heed it.
    """
    count = len(names)
    own = {key: value for key, value in meta.tags.get("", {}).items() if key != CLASSES_TAG}
    plain = as_picture(meta, tuple(names), dtype="uint8")
    return replace(
        plain,
        nodata=(float(NO_CLASS),) * count,
        colorinterp=(ColorInterp.gray, *(ColorInterp.undefined,) * (count - 1)),
        scales=(1 / PROBABILITY_ONE,) * count,
        tags={**meta.tags, "": own},
    )


def class_names(tags: Mapping[str, str]) -> list[str] | None:
    """The names that a map of classes states in its tags; None where it is none."""
    try:
        names = json.loads(tags.get(CLASSES_TAG, ""))
    except ValueError:
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def legend_path(raster: Path) -> Path:
    """Where GDAL looks for what a raster cannot hold itself."""
    return raster.with_name(f"{raster.name}.aux.xml")


def write_legend(path: Path, legend: Legend, counts: Sequence[int]) -> None:
    """Write category names and a raster attribute table, as GDAL and QGIS read them.

    A GeoTIFF has no room of its own for either.

    Args:
        path: as :func:`legend_path` says; written in place.
        counts: pixels of each class.
    """
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    categories = ElementTree.SubElement(band, "CategoryNames")
    for name, _ in legend:
        ElementTree.SubElement(categories, "Category").text = name
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    columns = (
        ("Value", _INTEGER, _VALUE),
        ("Class", _TEXT, _NAME),
        ("Count", _REAL, _PIXEL_COUNT),  # integers are of 32 bits there
        ("Red", _INTEGER, _RED),
        ("Green", _INTEGER, _GREEN),
        ("Blue", _INTEGER, _BLUE),
    )
    for index, (title, kind, usage) in enumerate(columns):
        column = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", title), ("Type", kind), ("Usage", usage)):
            ElementTree.SubElement(column, tag).text = text
    for number, ((name, colour), count) in enumerate(zip(legend, counts, strict=True)):
        row = ElementTree.SubElement(table, "Row", index=str(number))
        for value in (number, name, count, *colour):
            ElementTree.SubElement(row, "F").text = str(value)
    ElementTree.indent(root)
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8") + b"\n")


def is_class_map(meta: RasterMeta) -> bool:
    """Whether a raster is one band of class numbers with their colours."""
    return meta.count == 1 and meta.dtypes == ("uint8",) and meta.colormap is not None


def told_classes(tags: Mapping[str, str]) -> dict[str, Any]:
    """What a map of classes says of itself, for people and scripts; empty where it is none.

    Returns: ``classes`` (names by number, as text), ``model`` and ``source`` where they are told.
    """
    names = class_names(tags)
    if names is None:
        return {}
    told = {key: tags.get(f"EO_CONTRAST_{key.upper()}") for key in ("model", "source")}
    classes = {str(number): name for number, name in enumerate(names)}
    return {"classes": classes, **{key: value for key, value in told.items() if value}}
