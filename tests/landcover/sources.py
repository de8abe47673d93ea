"""Small sources of places with labels, made of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eo_contrast.catalog.packed import STORAGE, Layer, write_manifest

BANDS = {"rgb": ("red", "green", "blue"), "s1-grd": ("VV", "VH"), "s2-l2a": ("B02", "B03", "B04")}


@dataclass(eq=False)
class Source:
    """As :class:`eo_contrast.data.place_sources.PlaceSource`, of arrays (place, band, row, column)
    by product, each place with one date."""

    arrays: Mapping[str, NDArray[Any]]
    splits: Sequence[str]
    labels: Sequence[str]
    label_bands: tuple[str, ...] = ("dfc",)
    layers: Mapping[str, Layer] = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = next(iter(self.arrays.values())).shape[-1]
        self.layers = {
            product: Layer(product, "", BANDS.get(product, self.label_bands), 1, STORAGE[product])
            for product in self.arrays
        }

    @property
    def names(self) -> list[str]:
        return [f"place/{number}" for number in range(len(self.splits))]

    def dates(self, number: int, product: str) -> int:
        return 1

    def crop(self, number: int, product: str, date: int, top: int, left: int, side: int) -> Any:
        return self.arrays[product][number, :, top : top + side, left : left + side]


def splits_of(count: int) -> list[str]:
    """train, train, val, test, and over again."""
    return [("train", "train", "val", "test")[number % 4] for number in range(count)]


def coloured(count: int = 32, size: int = 16, *, seed: int = 0) -> Source:
    """Pictures in a class's colour, with noise: field is greenish, town is grey."""
    generator = np.random.default_rng(seed)
    labels = [("field", "town")[(number // 4) % 2] for number in range(count)]
    colours = {"field": (60, 120, 50), "town": (140, 130, 135)}
    middle = np.array([colours[label] for label in labels])[:, :, None, None]
    noise = generator.normal(0, 12, (count, 3, size, size))
    pixels = np.clip(middle + noise, 0, 255).astype(np.int16)
    return Source({"rgb": pixels}, splits_of(count), labels)


def mapped(count: int = 16, size: int = 16, *, seed: int = 0) -> Source:
    """Radar and optics of two-coloured squares, and DFC2020's code of each pixel: 1 or 10."""
    generator = np.random.default_rng(seed)
    codes = np.full((count, 1, size, size), 1, np.uint16)
    for code, border in zip(codes, generator.integers(4, size - 4, count), strict=True):
        code[0, :, border:] = 10
    water = codes == 10
    noise = generator.normal(0, 1, (2, count, 3, size, size))
    optics = (np.where(water, 300, 2000) + 60 * noise[0]).astype(np.int16)
    radar = (np.where(water, -2200, -900) + 80 * noise[1][:, :2]).astype(np.int16)
    arrays = {"s1-grd": radar, "s2-l2a": optics, "label": codes}
    return Source(arrays, splits_of(count), [""] * count)


def written(source: Source, folder: Path) -> Path:
    """The source as a pack on disk."""
    folder.mkdir()
    table: dict[str, Any] = {
        "place_id": source.names,
        "row": [0] * len(source.splits),
        "column": [0] * len(source.splits),
        "split": list(source.splits),
        "label": list(source.labels),
    }
    layers = {}
    for product, array in source.arrays.items():
        layers[product] = replace(source.layers[product], file=f"{product}.npy")
        np.save(folder / f"{product}.npy", array[:, None])
        table[f"{product}:id"] = [[f"{product}/{number}"] for number in range(len(array))]
    write_manifest(folder, source.size, layers, pa.table(table))
    return folder
