"""TerraMesh as GeoTIFF: ``{S1RTC,S1GRD,S2L1C,S2L2A,S2RGB,LULC}/<place>.tif``, all on one grid.

Whether a file's counts have the offset of baseline 04.00 is not told; they are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from eo_contrast.bands import L1C, L2A, REFLECTANCE_SCALE, VV_VH
from eo_contrast.catalog.images import Image, ImageKind, Skipped

EXPECTS = "folders S1RTC, S2L1C, S2L2A, ... of GeoTIFFs with the same names"


_KINDS = MappingProxyType(
    {
        "S1GRD": ImageKind("s1", "s1-grd", VV_VH),
        "S1RTC": ImageKind("s1", "s1-rtc", VV_VH),
        "S2L1C": ImageKind("s2", "s2-l1c", L1C, REFLECTANCE_SCALE, 0),
        "S2L2A": ImageKind("s2", "s2-l2a", L2A, REFLECTANCE_SCALE, 0),
        "S2RGB": ImageKind("rgb", "rgb", ("red", "green", "blue"), 1 / 255),
        "LULC": ImageKind("label", "label", ("lulc",)),
    }
)


def recognises(root: Path) -> bool:
    """Whether two of the folders are there with GeoTIFFs inside."""
    return sum(any((root / name).glob("*.tif")) for name in _KINDS) >= 2


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every image of every kind; elevation and vegetation index are no images of a sensor."""
    for name, kind in _KINDS.items():
        for path in sorted((root / name).glob("*.tif")):
            place = f"terramesh/{path.stem}"
            yield kind.image(f"{place}/{name}", place, path)
