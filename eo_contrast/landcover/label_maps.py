"""Label maps of a catalogue: their codes as positions of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.catalog.sampling import LEGENDS
from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.errors import InputError
from eo_contrast.landcover.label_sets import (
    BIGEARTHNET_19,
    DFC2020_8,
    IGBP_10,
    IGNORED,
    eight_of_dfc2020,
    eight_of_igbp,
    nineteen_of_corine,
    ten_of_igbp,
)

LABEL = "label"
"""Product of label maps."""
CODES = 2**16
MOST_CLASSES = 200
NO_CLASS = frozenset({0, IGNORED})
"""Codes of pixels without a class, in maps of all schemes."""


@dataclass(frozen=True)
class MapScheme:
    """Classes, and which of them each code of a map means.

    Attributes:
        legend: codes that a map may have; those without a class among them do not count.
    """

    classes: tuple[str, ...]
    merged: Callable[[NDArray[Any]], NDArray[np.uint8]]
    legend: frozenset[int]


MAP_SCHEMES: Mapping[str, MapScheme] = MappingProxyType(
    {
        "dfc2020-8": MapScheme(DFC2020_8, eight_of_dfc2020, LEGENDS["dfc"] | NO_CLASS),
        "igbp-8": MapScheme(DFC2020_8, eight_of_igbp, LEGENDS["igbp"] | NO_CLASS),
        "igbp-10": MapScheme(IGBP_10, ten_of_igbp, LEGENDS["igbp"] | NO_CLASS),
        "corine-19": MapScheme(BIGEARTHNET_19, nineteen_of_corine, LEGENDS["corine"] | NO_CLASS),
    }
)


@dataclass(frozen=True)
class LabelMaps:
    """The label maps of a source, as positions of classes.

    Attributes:
        band: position among the bands of the product ``label``.
        table: class of each code, uint8 (65536,); ``IGNORED`` of codes that do not count.
        strange: which codes are refused, bool (65536,); None: none is.
        where: what the source is of, for messages.
    """

    source: PlaceSource
    band: int
    table: NDArray[np.uint8]
    classes: tuple[str, ...]
    strange: NDArray[np.bool_] | None = None
    where: str = "data"

    def square(self, place: int, top: int, left: int, side: int) -> NDArray[np.uint8]:
        """Classes (side, side) of a part of a place's first map.

        Raises: InputError: it has a code that is refused.
        """
        codes = self.source.crop(place, LABEL, 0, top, left, side)[self.band]
        if self.strange is not None and self.strange[codes].any():
            found = " ".join(map(str, np.unique(codes[self.strange[codes]])[:5]))
            raise InputError(
                f"{self.where}: place {self.source.names[place]}: its label map has the codes "
                f"{found}, which labels.scheme does not know; correct the map, choose another "
                "labels.scheme, or give labels.ignore_unknown=true"
            )
        classes: NDArray[np.uint8] = self.table[codes]
        return classes

    def middle(self, place: int, side: int) -> NDArray[np.uint8]:
        """Classes of the middle square, or of the whole of a smaller place."""
        side = min(side, self.source.size)
        begin = (self.source.size - side) // 2
        return self.square(place, begin, begin, side)

    def whole(self, place: int) -> NDArray[np.uint8]:
        """Classes of all of a place."""
        return self.square(place, 0, 0, self.source.size)


def open_label_maps(
    source: PlaceSource,
    scheme: str,
    band: str | None,
    places: Iterable[int],
    *,
    where: str,
    ignore_unknown: bool = False,
) -> LabelMaps:
    """The label maps of a source, read by a scheme.

    Args:
        scheme: a key of ``MAP_SCHEMES``, or ``given``: each code that the places have is a class,
            named by its number.
        band: of the maps; None: the only one there is.
        where: what the source is of, for messages.
        ignore_unknown: whether codes that the scheme does not know do not count, in place of being
            refused where they are read.

    Raises: InputError: no maps, no such band, or more codes than classes can be.
    """
    if LABEL not in source.layers:
        raise InputError(
            f"{where}: has no label maps, but {' '.join(source.layers)}; take another catalogue, "
            "or task classification or multi-label with labels.scheme=given"
        )
    bands = source.layers[LABEL].bands
    if (band is None and len(bands) > 1) or band not in (None, *bands):
        raise InputError(
            f"{where}: label maps have the bands {' '.join(bands)}; choose one with labels.band"
        )
    number = 0 if band is None else bands.index(band)
    if scheme in MAP_SCHEMES:
        known = MAP_SCHEMES[scheme]
        strange = np.ones(CODES, bool)
        strange[[*known.legend, source.layers[LABEL].storage.nodata]] = False
        table = known.merged(np.arange(CODES))
        refused = None if ignore_unknown else strange
        return LabelMaps(source, number, table, known.classes, refused, where)
    maps = LabelMaps(source, number, np.zeros(CODES, np.uint8), (), where=where)
    return _with_codes_found(maps, places)


def _with_codes_found(maps: LabelMaps, places: Iterable[int]) -> LabelMaps:
    source, there = maps.source, np.zeros(CODES, bool)
    for place in places:
        there[source.crop(int(place), LABEL, 0, 0, 0, source.size)[maps.band]] = True
    there[source.layers[LABEL].storage.nodata] = False
    codes = np.flatnonzero(there)
    if len(codes) > MOST_CLASSES:
        raise InputError(
            f"{maps.where}: label maps have {len(codes)} different codes, more than "
            f"{MOST_CLASSES}; are they classes? If so, merge them by labels.scheme"
        )
    table = np.full(CODES, IGNORED, np.uint8)
    table[codes] = np.arange(len(codes))
    return replace(maps, table=table, classes=tuple(str(code) for code in codes))
