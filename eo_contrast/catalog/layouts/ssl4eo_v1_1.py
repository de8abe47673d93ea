"""SSL4EO-S12 v1.1: ``{train,val}/{S1GRD,S2L1C,S2L2A,S2RGB}/ssl4eos12_<split>_..._000001.zarr.zip``.

A file holds up to 64 places at four dates: ``bands`` (sample, time, band, y, x) of Zarr 2, a date a
chunk, all at 10 m on one grid; ``x_``, ``y_`` the pixels' middles in the CRS ``crs``, ``time_`` the
dates. All counts of Sentinel-2 have the 1000 that baseline 04.00 adds, also those from before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine

from eo_contrast.bands import (
    L1C,
    L2A,
    OFFSET_OF_BASELINE_4,
    REFLECTANCE_SCALE,
    VV_VH,
    band_name,
)
from eo_contrast.catalog.grids import Grid, Row, grid_of, part_under
from eo_contrast.catalog.headers import Described, described
from eo_contrast.catalog.images import Image, ImageKind, Skipped
from eo_contrast.catalog.pictures import COLOURS, SCALE
from eo_contrast.catalog.reading import Stored, physical, refuse_unplaced
from eo_contrast.errors import EoContrastError, InputError, WorldError

EXPECTS = "folders train or val of S1GRD, S2L1C, ... with .zarr.zip files"
KINDS = MappingProxyType(
    {
        "S1GRD": ImageKind("s1", "s1-grd", VV_VH),
        "S2L1C": ImageKind("s2", "s2-l1c", L1C, REFLECTANCE_SCALE, 0, OFFSET_OF_BASELINE_4),
        "S2L2A": ImageKind("s2", "s2-l2a", L2A, REFLECTANCE_SCALE, 0, OFFSET_OF_BASELINE_4),
        "S2RGB": ImageKind("rgb", "rgb", COLOURS, SCALE),
    }
)
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Contents:
    """What a file says beside its pixels.

    Attributes:
        samples: name of each place.
        dates: of each place and time.
        codes: EPSG code of each place's CRS.
        x, y: middles of the pixels, (samples, columns) and (samples, rows).
        bands: names as stored.
        dtype: of the counts.
    """

    samples: Sequence[str]
    dates: Sequence[Sequence[datetime]]
    codes: Sequence[int]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    bands: Sequence[str]
    dtype: str


def recognises(root: Path) -> bool:
    """Whether a split has a folder of a kind with such files; the root may be the split."""
    return any(True for _ in _files(root))


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every place at every date, file by file."""
    for split, folder, path in _files(root):
        try:
            contents = contents_of(path)
            kind = KINDS[folder]
            fault = _unlike(contents, kind)
        except EoContrastError as error:
            fault = str(error)
        if fault:
            yield Skipped(path, fault)
            continue
        for sample, name in enumerate(contents.samples):
            place = f"ssl4eo-v1.1/{name}"
            for time, date in enumerate(contents.dates[sample]):
                yield kind.image(
                    f"{place}/{folder}/{time}",
                    place,
                    path,
                    split=split,
                    date=date,
                    part=(sample, time),
                )


def describe(image: Image) -> Described | Skipped:
    """By the coordinates that its file gives its place."""
    contents = contents_of(image.files[0])
    sample, _ = image.part
    x, y = contents.x[sample], contents.y[sample]
    across, down = float(x[1] - x[0]), float(y[1] - y[0])
    transform = Affine(across, 0, float(x[0]) - across / 2, 0, down, float(y[0]) - down / 2)
    crs = CRS.from_epsg(contents.codes[sample])
    return described(crs, transform, len(y), len(x), contents.dtype)


def read(row: Row, places: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """Read bands of one place and date: one chunk of the file.

    Raises: InputError: the file is gone or damaged.
    """
    path, whole = Path(row["href"]), grid_of(row)
    refuse_unplaced(path, whole, onto)
    top, bottom, left, right = part_under(onto, whole)
    sample, time = row["part"]
    with _named(path):
        stored = _opened(path, os.getpid())["bands"][sample, time, :, top:bottom, left:right]
    part = whole.window(top, left, bottom - top, right - left)
    for place in places:
        counts = stored[place]
        yield Stored(physical(row, counts, np.ones(counts.shape, dtype=bool)), part)


def _files(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Split, kind and path of each file, in order."""
    places = [(split, root / split) for split in SPLITS] + [(root.name, root)]
    for split, folder in places:
        for kind in KINDS:
            for path in sorted((folder / kind).glob("*.zarr.zip")):
                yield split if split in SPLITS else "", kind, path


def _unlike(contents: Contents, kind: ImageKind) -> str:
    """Why a file is none of this kind; empty: it is."""
    stored = tuple(contents.bands)
    if kind.product != "rgb":
        stored = tuple(band_name(name) for name in stored)
    if len(stored) != len(kind.bands) or (kind.product != "rgb" and stored != kind.bands):
        return f"bands {' '.join(stored)}, {' '.join(kind.bands)} expected"
    return ""


@lru_cache(maxsize=64)
def contents_of(path: Path) -> Contents:
    """What a file says of its places.

    Raises:
        InputError: it is gone, damaged, or has not the arrays it should.
        WorldError: the package zarr is not installed.
    """
    import xarray

    with _named(path):
        dataset = xarray.open_zarr(_store(path), consolidated=False, zarr_format=2, chunks=None)
        seconds = dataset["time_"].values.astype("datetime64[s]").astype(np.int64)
        return Contents(
            samples=[str(name) for name in dataset["sample"].values],
            dates=[[datetime.fromtimestamp(at, tz=UTC) for at in row] for row in seconds.tolist()],
            codes=dataset["crs"].values.tolist(),
            x=dataset["x_"].values,
            y=dataset["y_"].values,
            bands=[str(name) for name in dataset["band"].values],
            dtype=str(dataset["bands"].dtype),
        )


@lru_cache(maxsize=8)
def _opened(path: Path, process: int) -> Any:
    """The file, opened by each process: one that was forked shares its parent's place in it."""
    return import_module("zarr").open_group(_store(path), mode="r", zarr_format=2)


def _store(path: Path) -> Any:
    try:
        storage = import_module("zarr.storage")
    except ImportError as error:
        raise WorldError(
            f"{path}: needs the package zarr, of version 3: pip install 'eo-contrast[zarr]'"
        ) from error
    return storage.ZipStore(path, mode="r")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except EoContrastError:
        raise
    except Exception as error:  # zarr's, zipfile's and the codecs' have no class in common
        raise InputError(f"{path}: is not readable as a Zarr archive of zip ({error})") from error
