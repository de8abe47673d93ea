"""A catalogue packed for training: one memory-mapped array a product, one row a place.

Counts of one unit for all rows of a product, on one grid a place, so that a crop is a slice of a
file and reading it is all there is to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eo_contrast.errors import InputError

MANIFEST = "pack.json"
PLACES = "places.parquet"
VERSION = 1


@dataclass(frozen=True)
class Storage:
    """How values of a product are kept: value = scale * count; ``nodata`` is no value."""

    dtype: str
    scale: float
    nodata: int


_REFLECTANCE = Storage("int16", 1e-4, -32768)
_DECIBEL = Storage("int16", 1e-2, -32768)
STORAGE: Mapping[str, Storage] = MappingProxyType(
    {
        "s2-l1c": _REFLECTANCE,
        "s2-l2a": _REFLECTANCE,
        "s1-grd": _DECIBEL,
        "s1-rtc": _DECIBEL,
        "rgb": Storage("int16", 1 / 255, -32768),
        "map": Storage("int16", 1 / 255, -32768),
        "label": Storage("uint16", 1.0, 65535),
    }
)


@dataclass(frozen=True)
class Layer:
    """One product of a pack.

    Attributes:
        file: name in the pack's folder, a .npy array (places, dates, bands, rows, columns).
        bands: in the order of the array.
        dates: images a place has at most; where one has fewer the rest is nodata.
    """

    product: str
    file: str
    bands: tuple[str, ...]
    dates: int
    storage: Storage


@dataclass(frozen=True)
class Pack:
    """An open pack.

    Attributes:
        size: side of an image, pixels.
        layers: by product.
        arrays: by product; memory-mapped, read-only.
        places: a table with a row for each row of the arrays: place_id, row and column of the
            patch in its place, split, label, and for each product its images' ids and times.
        ground_resolution_m: metres on the ground a pixel; None: not known.
    """

    folder: Path
    size: int
    layers: Mapping[str, Layer]
    arrays: Mapping[str, NDArray[Any]]
    places: pa.Table
    ground_resolution_m: float | None = None

    def __len__(self) -> int:
        return int(self.places.num_rows)


def packed(counts: NDArray[Any], valid: NDArray[np.bool_], storage: Storage) -> NDArray[Any]:
    """Values (bands, rows, columns) as counts of the storage; nodata where not ``valid``.

    What the type cannot hold is clipped to it; no value becomes nodata.
    """
    limits = np.iinfo(storage.dtype)
    low = limits.min + (storage.nodata == limits.min)
    high = limits.max - (storage.nodata == limits.max)
    stored = np.clip(np.rint(counts / storage.scale), low, high).astype(storage.dtype)
    return np.where(valid, stored, np.array(storage.nodata, storage.dtype))


def write_manifest(
    folder: Path,
    size: int,
    layers: Mapping[str, Layer],
    places: pa.Table,
    *,
    ground_resolution_m: float | None = None,
) -> None:
    """Write what tells of the arrays, into the folder that has them."""
    facts = {
        "version": VERSION,
        "size": size,
        "ground_resolution_m": ground_resolution_m,
        "layers": [asdict(each) for each in layers.values()],
    }
    (folder / MANIFEST).write_text(json.dumps(facts, indent=1) + "\n")
    pq.write_table(places, folder / PLACES, compression="zstd")


def open_pack(folder: Path) -> Pack:
    """Open a pack for reading; no pixel is read.

    Raises: InputError: it is no pack, is of another version, or a file of it is missing or cut
        short.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder}: is no pack (no {MANIFEST}); make one with catalog pack")
    try:
        facts = json.loads(path.read_text())
        layers = {
            each["product"]: Layer(
                **{**each, "bands": tuple(each["bands"]), "storage": Storage(**each["storage"])}
            )
            for each in facts["layers"]
        }
        version, size = facts["version"], int(facts["size"])
        # Packs of earlier releases do not tell.
        resolution = facts.get("ground_resolution_m")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not readable as a pack's manifest ({error})") from error
    if version != VERSION:
        raise InputError(f"{path}: version {version}, this release reads {VERSION}; pack again")
    try:
        places = pq.read_table(folder / PLACES)
        arrays = {
            product: np.load(folder / layer.file, mmap_mode="r")
            for product, layer in layers.items()
        }
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: a file of the pack is missing or damaged ({error})") from error
    for product, layer in layers.items():
        shape = (places.num_rows, layer.dates, len(layer.bands), size, size)
        if arrays[product].shape != shape:
            raise InputError(f"{folder / layer.file}: has {arrays[product].shape}, not {shape}")
    return Pack(
        folder,
        size,
        MappingProxyType(layers),
        MappingProxyType(arrays),
        places,
        resolution,
    )
