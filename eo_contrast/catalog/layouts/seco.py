"""SeCo: ``<place>/<scene>/{B1..B12,B8A}.tif`` and ``metadata.json``, up to five dates a place.

Level 2A without B10, reflectance 0..1 stored as lossy bytes 0..255; clouds were masked before the
compression, so no count stands for no data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from eo_contrast.bands import ORDERS
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts.names import dated_bands

EXPECTS = "numbered folders of <scene>/B1.tif .. B12.tif"

_PLACE = re.compile(r"\d{6}")


def recognises(root: Path) -> bool:
    """Whether a numbered place has a scene with bands."""
    places = (path for path in root.iterdir() if _PLACE.fullmatch(path.name) and path.is_dir())
    return any((scene / "B2.tif").is_file() for place in places for scene in place.iterdir())


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every scene of every place; pictures beside the scenes are previews and left out."""
    for place in sorted(root.iterdir()):
        if not _PLACE.fullmatch(place.name) or not place.is_dir():
            continue
        for scene in sorted(path for path in place.iterdir() if path.is_dir()):
            yield _image(scene, place.name)


def _image(scene: Path, place: str) -> Image | Skipped:
    expected = ORDERS["seco"]
    there = dated_bands(scene, expected)
    if isinstance(there, Skipped):
        return there
    files, date = there
    return Image(
        id=f"seco/{place}/{scene.name}",
        place_id=f"seco/{place}",
        sensor="s2",
        product="s2-l2a",
        bands=expected,
        files=files,
        date=date,
        scale=1 / 255,
    )
