"""A pack of random counts, for timing what reads one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.lib.format import open_memmap

from eo_contrast.catalog.packed import Layer, write_manifest


def write_random_pack(
    folder: Path, layers: Iterable[Layer], *, places: int, side: int, seed: int = 0
) -> None:
    """Write a pack whose counts lie within what each product holds, all valid.

    Args:
        folder: exists; gets the files.
        layers: what there is of each product.
        side: of an image, pixels.
    """
    draws = np.random.default_rng(seed)
    kept = {layer.product: layer for layer in layers}
    names = [f"{place:06}" for place in range(places)]
    columns: dict[str, list[object]] = {
        "place_id": list(names),
        "row": [0] * places,
        "column": [0] * places,
        "split": [""] * places,
        "label": [""] * places,
    }
    for product, layer in kept.items():
        low, high = (-2500, 0) if product.startswith("s1") else (0, int(1 / layer.storage.scale))
        shape = (places, layer.dates, len(layer.bands), side, side)
        array = open_memmap(folder / layer.file, mode="w+", dtype=layer.storage.dtype, shape=shape)
        for place in range(places):
            array[place] = draws.integers(low, high, shape[1:], dtype=layer.storage.dtype)
        array.flush()
        columns[f"{product}:id"] = [
            [f"{name}-{date}" for date in range(layer.dates)] for name in names
        ]
    write_manifest(folder, side, kept, pa.table(columns))
