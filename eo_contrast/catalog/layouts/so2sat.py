"""So2Sat LCZ42: ``training.h5``, ``validation.h5``, ``testing.h5`` of patches without a position.

Each file has ``sen1`` (N, rows, columns, 8), ``sen2`` (N, rows, columns, 10) and ``label`` (N, 17),
one-hot; the third edition has a folder of two files for each of its splits. Of the radar channels
the two intensities are read: linear power, which becomes decibel. Reflectance is stored as such.
The files do not tell the level of the optics; it is taken for 1C, as published means have blue
above green above red, which is the sky's light.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.bands import ORDERS, VV_VH
from eo_contrast.catalog.grids import Grid, Row, grid_of, part_under
from eo_contrast.catalog.headers import Described, described
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.reading import Stored, physical, refuse_unplaced
from eo_contrast.errors import EoContrastError, InputError, WorldError

EXPECTS = "files training.h5, validation.h5 or testing.h5"
SPLITS = MappingProxyType({"training.h5": "train", "validation.h5": "val", "testing.h5": "test"})
CLASSES = (
    "Compact high rise",
    "Compact mid rise",
    "Compact low rise",
    "Open high rise",
    "Open mid rise",
    "Open low rise",
    "Lightweight low rise",
    "Large low rise",
    "Sparsely built",
    "Heavy industry",
    "Dense trees",
    "Scattered trees",
    "Bush, scrub",
    "Low plants",
    "Bare rock or paved",
    "Bare soil or sand",
    "Water",
)
"""Local climate zones, in the order of the label's columns."""
RADAR_CHANNELS = (
    "VH, real",
    "VH, imaginary",
    "VV, real",
    "VV, imaginary",
    "VH, intensity after a refined Lee filter",
    "VV, intensity after a refined Lee filter",
    "covariance of VH and VV after the filter, real",
    "covariance of VH and VV after the filter, imaginary",
)
"""What the last axis of ``sen1`` holds."""

RADAR, OPTICAL = 1, 2
"""First number of an image's part, of ``sen1`` and ``sen2``; the second is its row."""
LABELS_AT_ONCE = 4096

_INTENSITIES = MappingProxyType({"VV": 5, "VH": 4})
_CHANNELS = MappingProxyType({"sen1": len(RADAR_CHANNELS), "sen2": len(ORDERS["so2sat-s2"])})


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        patches: how many.
        shape: rows and columns of a patch.
        dtypes: as stored, of ``sen1`` and ``sen2``.
        labelled: whether it has labels; the first edition's test has none.
    """

    patches: int
    shape: tuple[int, int]
    dtypes: tuple[str, str]
    labelled: bool


def recognises(root: Path) -> bool:
    """Whether one of the files is there."""
    return any((root / name).is_file() for name in SPLITS)


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Radar and optics of every patch, file by file.

    Raises: WorldError: the package h5py is not installed.
    """
    for name, split in SPLITS.items():
        path = root / name
        if not path.is_file():
            continue
        _library(path)
        try:
            yield from _patches(path, split)
        except InputError as error:
            yield Skipped(path, str(error))


def describe(image: Image) -> Described | Skipped:
    """By the shape of the file's arrays.

    Raises: InputError: it is gone or damaged.
    """
    contents = contents_of(image.files[0])
    return described(None, None, *contents.shape, contents.dtypes[image.part[0] - 1])


def read(row: Row, places: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """Read bands of one patch; no other is touched.

    Raises: InputError: the file is gone or damaged, or ``onto`` has a position.
    """
    path, whole = Path(row["href"]), grid_of(row)
    refuse_unplaced(path, whole, onto)
    top, bottom, left, right = part_under(onto, whole)
    sensor, number = row["part"]
    with _named(path):
        stored = _file(path)[f"sen{sensor}"][number, top:bottom, left:right]
    part = whole.window(top, left, bottom - top, right - left)
    for place in places:
        name = row["bands"][place]
        channel = _INTENSITIES[name] if sensor == RADAR else ORDERS["so2sat-s2"].index(name)
        values = stored[..., channel]
        yield Stored(physical(row, values, np.ones(values.shape, dtype=bool)), part)


def contents_of(path: Path) -> Contents:
    """What a file says of its patches.

    Raises:
        InputError: it is gone, damaged, or has not the arrays it should.
        WorldError: the package h5py is not installed.
    """
    with _named(path):
        return _contents(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _contents(path: Path, modified_ns: int) -> Contents:
    file = _file(path)
    arrays = {name: file[name] for name in (*_CHANNELS, "label") if name in file}
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    radar = shapes.get("sen1", ())
    patches = radar[0] if radar else 0
    expected = {name: (*radar[:3], channels) for name, channels in _CHANNELS.items()}
    if "label" in arrays:
        expected["label"] = (patches, len(CLASSES))
    if len(radar) != 4 or shapes != expected:
        there = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none of them"
        raise InputError(
            f"{path}: needs arrays sen1 (N, rows, columns, 8), sen2 (N, rows, columns, 10) and "
            f"label (N, {len(CLASSES)}); it has {there}"
        )
    dtypes = (str(arrays["sen1"].dtype), str(arrays["sen2"].dtype))
    return Contents(patches, radar[1:3], dtypes, "label" in arrays)


def _patches(path: Path, split: str) -> Iterator[Image | Skipped]:
    contents = contents_of(path)
    digits = len(str(max(contents.patches - 1, 0)))
    for number, label in enumerate(_labels(path, contents)):
        place = f"so2sat/{path.stem}/{number:0{digits}}"
        if label is None:
            yield Skipped(path, f"patch {number}: its label is not one of {len(CLASSES)} classes")
            continue
        yield Image(
            id=f"{place}/sen1",
            place_id=place,
            sensor="s1",
            product="s1-grd",
            bands=VV_VH,
            files=(path,),
            part=(RADAR, number),
            unit="linear",
            split=split,
            label=label,
        )
        yield Image(
            id=f"{place}/sen2",
            place_id=place,
            sensor="s2",
            product="s2-l1c",
            bands=ORDERS["so2sat-s2"],
            files=(path,),
            part=(OPTICAL, number),
            nodata=0,
            split=split,
            label=label,
        )


def _labels(path: Path, contents: Contents) -> Iterator[str | None]:
    """The class of each patch; None: it is of none or several. Empty where there are no labels."""
    for first in range(0, contents.patches, LABELS_AT_ONCE):
        last = min(first + LABELS_AT_ONCE, contents.patches)
        if not contents.labelled:
            yield from [""] * (last - first)
            continue
        with _named(path):
            chosen: NDArray[Any] = _file(path)["label"][first:last] > 0
        for has in chosen:
            yield CLASSES[int(has.argmax())] if has.sum() == 1 else None


def _file(path: Path) -> Any:
    return _opened(path, os.getpid(), path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _opened(path: Path, process: int, modified_ns: int) -> Any:
    """The file, opened by each process: one that was forked shares its parent's place in it."""
    return _library(path).File(path, "r")


def _library(path: Path) -> Any:
    try:
        return import_module("h5py")
    except ImportError as error:
        raise WorldError(
            f"{path}: needs the package h5py: pip install 'eo-contrast[so2sat]'"
        ) from error


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except EoContrastError:
        raise
    except (OSError, LookupError, ValueError, RuntimeError, AttributeError) as error:
        raise InputError(f"{path}: is not readable as HDF5 of So2Sat ({error})") from error
