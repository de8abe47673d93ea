"""SSL4EO-S12 v1: ``{s1,s2c,s2a}/<place>/<scene>/{VV,VH or B1..B12}.tif`` and ``metadata.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eo_contrast.bands import ORDERS, REFLECTANCE_SCALE, offset_of
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts.names import dated_bands
from eo_contrast.errors import InputError

EXPECTS = "folders s1, s2c or s2a of <place>/<scene>/<band>.tif"
FOLDERS = {"s1": "s1-grd", "s2c": "s2-l1c", "s2a": "s2-l2a"}

_PLACE = re.compile(r"\d{7}")


def recognises(root: Path) -> bool:
    """Whether one of the sensors' folders has a numbered place."""
    folders = [root / name for name in FOLDERS if (root / name).is_dir()]
    return any(_PLACE.fullmatch(path.name) for folder in folders for path in folder.iterdir())


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every scene of every place."""
    for folder, product in FOLDERS.items():
        if not (root / folder).is_dir():
            continue
        for place in sorted(path for path in (root / folder).iterdir() if path.is_dir()):
            for scene in sorted(path for path in place.iterdir() if path.is_dir()):
                yield _image(scene, place.name, folder, product)


def _image(scene: Path, place: str, folder: str, product: str) -> Image | Skipped:
    expected = ORDERS[f"ssl4eo-{folder}"]
    there = dated_bands(scene, expected)
    if isinstance(there, Skipped):
        return there
    files, date = there
    try:
        facts = _facts(scene / "metadata.json")
    except InputError as error:
        return Skipped(scene, str(error))
    optical = product != "s1-grd"
    return Image(
        id=f"ssl4eo-v1/{place}/{folder}/{scene.name}",
        place_id=f"ssl4eo-v1/{place}",
        sensor="s2" if optical else "s1",
        product=product,
        bands=expected,
        files=files,
        date=date,
        scale=REFLECTANCE_SCALE if optical else 1.0,
        offset=_offset(facts) if optical else 0.0,
        nodata=0 if optical else None,
        facts=_kept(facts),
    )


def _facts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not readable as JSON ({error})") from error
    if not isinstance(facts, dict):
        raise InputError(f"{path.name} holds no dictionary")
    return facts


def _offset(facts: dict[str, Any]) -> float:
    # Earth Engine's harmonized collections have subtracted it.
    if "HARMONIZED" in str(facts.get("system:id", "")):
        return 0.0
    try:
        return float(offset_of(float(facts["PROCESSING_BASELINE"])))
    except (KeyError, TypeError, ValueError):
        return 0.0


def _kept(facts: dict[str, Any]) -> dict[str, str]:
    names = {
        "s2:processing_baseline": "PROCESSING_BASELINE",
        "eo:cloud_cover": "CLOUDY_PIXEL_PERCENTAGE",
        "sat:orbit_state": "orbitProperties_pass",
    }
    return {ours: str(facts[theirs]) for ours, theirs in names.items() if theirs in facts}
