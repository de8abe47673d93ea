"""Photos and their maps: ``<split>/*.jpg``, both side by side; or ``trainA/*`` and ``trainB/*``.

A file named by a quadkey or as ``16_10520_22834`` lies where that web-map tile lies. A column
``tag`` of ``pairs.csv`` becomes the label.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from eo_contrast.catalog.headers import Described
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.pictures import describe_picture, is_picture, picture
from eo_contrast.errors import InputError
from eo_contrast.raster.tile_names import tile_of_file

EXPECTS = "folders train, test, ... of photo and map side by side, or trainA and trainB"
PAIRS = "pairs.csv"
HALVES = 2

_SPLITS = ("train", "val", "test")
_DOMAINS = MappingProxyType({"A": "rgb", "B": "map"})


def recognises(root: Path) -> bool:
    """Whether a folder of a split holds pictures, or those of both domains are there."""
    if any(_has_pictures(root / f"{split}A") for split in _SPLITS):
        return any(_has_pictures(root / f"{split}B") for split in _SPLITS)
    return any(_has_pictures(root / split) for split in _SPLITS)


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Photo and map of every file, folder by folder; with A and B folders, one of each file."""
    tags = _tags(root / PAIRS)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        domain = folder.name[-1] if folder.name[:-1] in _SPLITS else ""
        name = folder.name[:-1] if domain in _DOMAINS else folder.name
        for path in sorted(filter(is_picture, folder.iterdir())):
            # Equal names of both domains show the same ground.
            place = f"sat2map/{name}/{path.stem}"
            tag = tags.get(f"{folder.name}/{path.name}", "")
            both = (domain,) if domain in _DOMAINS else tuple(_DOMAINS)
            for number, each in enumerate(both):
                yield picture(
                    path,
                    id=f"{place}/{_DOMAINS[each]}",
                    place_id=place,
                    product=_DOMAINS[each],
                    split=_split(name),
                    label=tag,
                    part=(number,) if len(both) == HALVES else (),
                )


def describe(image: Image) -> Described | Skipped:
    """Half of a file that holds both, or all of it; placed by its name."""
    path = image.files[0]
    return describe_picture(path, tile=tile_of_file(path.name), halves=HALVES if image.part else 1)


def _split(folder: str) -> str:
    """train of train and train-more; none of a folder named otherwise."""
    return next((name for name in _SPLITS if folder.split("-")[0] == name), "")


def _tags(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and "file" not in rows[0]:
        raise InputError(f"{path}: has no column 'file'")
    return {row["file"]: row.get("tag") or "" for row in rows}


def _has_pictures(folder: Path) -> bool:
    return folder.is_dir() and any(map(is_picture, folder.iterdir()))
