"""EuroSAT: ``<Class>/<Class>_<n>.jpg`` (RGB) or ``.tif`` (13 bands of level 1C)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from eo_contrast.bands import ORDERS, REFLECTANCE_SCALE
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.errors import InputError

CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
EXPECTS_RGB = "folders AnnualCrop .. SeaLake of .jpg files"
EXPECTS_MS = "folders AnnualCrop .. SeaLake of .tif files"
SPLIT_FILE = "split.csv"

_TILE = re.compile(r"(?P<label>[A-Za-z]+)_(?P<number>\d+)")


def recognises_rgb(root: Path) -> bool:
    """Whether a folder of a class has JPEG files."""
    return _has(root, ".jpg")


def recognises_ms(root: Path) -> bool:
    """Whether a folder of a class has TIFF files."""
    return _has(root, ".tif")


def scan_rgb(root: Path) -> Iterator[Image | Skipped]:
    """The pictures: bytes stretched for the eye, of no unit."""
    splits = _splits(root)
    for path, label in _tiles(root, ".jpg"):
        yield Image(
            id=f"eurosat-rgb/{path.stem}",
            place_id=f"eurosat/{path.stem}",
            sensor="rgb",
            product="rgb",
            bands=("red", "green", "blue"),
            files=(path,),
            scale=1 / 255,
            split=splits.get(path.relative_to(root).as_posix(), ""),
            label=label,
        )


def scan_ms(root: Path) -> Iterator[Image | Skipped]:
    """The 13-band tiles: top of atmosphere, from before the offset of baseline 04.00."""
    splits = _splits(root)
    for path, label in _tiles(root, ".tif"):
        yield Image(
            id=f"eurosat-ms/{path.stem}",
            place_id=f"eurosat/{path.stem}",
            sensor="s2",
            product="s2-l1c",
            bands=ORDERS["eurosat-ms"],
            files=(path,),
            scale=REFLECTANCE_SCALE,
            nodata=0,
            split=splits.get(path.relative_to(root).as_posix(), ""),
            label=label,
        )


def _has(root: Path, suffix: str) -> bool:
    folders = [root / name for name in CLASSES if (root / name).is_dir()]
    return any(path.suffix == suffix for folder in folders for path in folder.iterdir())


def _tiles(root: Path, suffix: str) -> Iterator[tuple[Path, str]]:
    for label in CLASSES:
        if not (root / label).is_dir():
            continue
        for path in sorted((root / label).iterdir()):
            if path.suffix == suffix and _TILE.fullmatch(path.stem):
                yield path, label


def _splits(root: Path) -> dict[str, str]:
    """Split of each file, from ``split.csv`` where there is one."""
    path = root / SPLIT_FILE
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not all({"file", "split"} <= row.keys() for row in rows):
        raise InputError(f"{path}: must have the columns 'file' and 'split'")
    return {row["file"]: row["split"] for row in rows}
