"""SEN12MS and DFC2020: ``ROIs<region>_<season>/{s1,s2,lc,dfc}_<scene>/<...>_p<patch>.tif``.

The file of a patch is named ``ROIs1158_spring_s1_1_p30.tif``; the other sensors' and the labels'
differ in the one word. Neighbouring patches of SEN12MS overlap by half.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

from eo_contrast.bands import ORDERS, REFLECTANCE_SCALE
from eo_contrast.catalog.images import Image, ImageKind, Skipped

EXPECTS_SEN12MS = "folders ROIs1158_spring .. ROIs2017_winter of s1_1, s2_1, lc_1, ..."
EXPECTS_DFC2020 = "folders ROIs0000_validation, ROIs0000_test of s1_0, s2_0, dfc_0, ..."
SEASONS = ("ROIs1158_spring", "ROIs1868_summer", "ROIs1970_fall", "ROIs2017_winter")
SPLITS = MappingProxyType(
    {
        "ROIs0000_validation": "val",
        "ROIs0000_test": "test",
        # As the contest's first phases named them.
        "ROIs0000_autumn": "",
        "ROIs0000_winter": "",
    }
)
LAND_COVER = ("igbp", "lccs_land_cover", "lccs_land_use", "lccs_hydrology")
# Of the data set, named in its own description.
BROKEN = frozenset({"ROIs1868_summer_s1_146_p202"})

_SCENE = re.compile(r"(s1|s2|lc|dfc)_(\d+)")
_PATCH = re.compile(
    r"(?P<region>ROIs\d{4}_[a-z]+)_(?P<kind>s1|s2|lc|dfc)_(?P<scene>\d+)_p(?P<n>\d+)"
)


_KINDS = MappingProxyType(
    {
        "s1": ImageKind("s1", "s1-grd", ORDERS["sen12ms-s1"]),
        "s2": ImageKind("s2", "s2-l1c", ORDERS["sen12ms-s2"], REFLECTANCE_SCALE, 0),
        "lc": ImageKind("label", "label", LAND_COVER),
        "dfc": ImageKind("label", "label", ("dfc",)),
    }
)


def recognises_sen12ms(root: Path) -> bool:
    """Whether a season's folder is there with scenes inside."""
    return any(_has_scenes(root / name) for name in SEASONS)


def recognises_dfc2020(root: Path) -> bool:
    """Whether a folder of the contest is there with scenes inside."""
    return any(_has_scenes(root / name) for name in SPLITS)


def scan_sen12ms(root: Path) -> Iterator[Image | Skipped]:
    """Every patch; the data set has no split of its own."""
    yield from _scan(root, SEASONS, "sen12ms", lambda _: "")


def scan_dfc2020(root: Path) -> Iterator[Image | Skipped]:
    """Every patch, in the contest's splits."""
    yield from _scan(root, tuple(SPLITS), "dfc2020", SPLITS.__getitem__)


def _scan(
    root: Path, regions: tuple[str, ...], layout: str, split_of: Callable[[str], str]
) -> Iterator[Image | Skipped]:
    for region in regions:
        for scene in sorted((root / region).glob("*_*")):
            if not _SCENE.fullmatch(scene.name):
                continue
            for path in sorted(scene.glob("*.tif")):
                yield _image(path, layout, split_of(region))


def _image(path: Path, layout: str, split: str) -> Image | Skipped:
    match = _PATCH.fullmatch(path.stem)
    if match is None:
        return Skipped(path, "the name is that of no patch, as ROIs1158_spring_s1_1_p30.tif")
    if path.stem in BROKEN:
        return Skipped(path, "known to be broken in the data set")
    place = f"{layout}/{match['region']}_{match['scene']}_p{match['n']}"
    return _KINDS[match["kind"]].image(f"{layout}/{path.stem}", place, path, split=split)


def _has_scenes(folder: Path) -> bool:
    return folder.is_dir() and any(_SCENE.fullmatch(path.name) for path in folder.iterdir())
