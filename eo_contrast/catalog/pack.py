"""Pack a catalogue's images for training: aligned, cut into squares, one row a place."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.format import open_memmap

from eo_contrast.catalog.grids import Grid, Row, finest_grid, ground_resolution_m
from eo_contrast.catalog.packed import MANIFEST, PLACES, STORAGE, Layer, packed, write_manifest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.errors import InputError
from eo_contrast.files import refuse_existing, refuse_strangers, whole_folder

THREADS = 4


@dataclass(frozen=True)
class Patch:
    """One row of a pack: a square of a place, and the images that show it, by product and date."""

    place_id: str
    row: int
    column: int
    grid: Grid
    images: Mapping[str, Sequence[Row]]

    def told(self, column: str) -> str:
        """What the images say of the place in a column; the first that says something."""
        values = (row[column] for images in self.images.values() for row in images)
        return next((value for value in values if value), "")


@dataclass(frozen=True)
class PackPlan:
    """What a pack will hold: its rows in order, its arrays, the side of an image in pixels."""

    patches: Sequence[Patch]
    layers: Mapping[str, Layer]
    size: int

    @cached_property
    def ground_resolution_m(self) -> float | None:
        """Metres on the ground a pixel; None: the places have no position."""
        return ground_resolution_m([patch.grid for patch in self.patches])


def plan_pack(catalogue: Path, *, size: int | None = None, dates: int | None = None) -> PackPlan:
    """Decide how a catalogue is packed; no image is read.

    Every image of a place is brought to the grid of its finest optical one. Places larger than
    ``size`` are cut into as many squares as fit, from the middle.

    Args:
        size: side of a square in pixels; None: that of the smallest place.
        dates: most images of a product and place, evenly chosen in time; None: all.

    Raises: InputError: no catalogue, ``size`` is larger than any place, or a product's images have
        no band in common.
    """
    rows = read_catalogue(catalogue).to_pylist()
    patches = plan_patches(rows, size, dates)
    return PackPlan(patches, plan_layers(rows, patches), patches[0].grid.height)


def write_pack(
    plan: PackPlan,
    out: Path,
    *,
    threads: int = THREADS,
    overwrite: bool = False,
    advance: Callable[[int, str], None] = lambda _done, _what: None,
) -> dict[str, Any]:
    """Write a pack, whole or not at all; the same plan gives the same bytes.

    Bilinear for images, nearest for labels; where an image does not reach it has no data.

    Args:
        advance: told the number of squares done.

    Returns: folder, rows, places, size, bytes, products (by name: bands, dates), seconds.
    Raises:
        InputError: ``out`` exists or holds what is not ours, or an image cannot be read.
        WorldError: the disk is full or failing.
    """
    began = time.perf_counter()
    refuse_existing(out, overwrite=overwrite)
    refuse_strangers(out, _is_ours, "no 'catalog pack'")
    with whole_folder(out) as partial:
        arrays = {
            product: _new_array(partial / layer.file, layer, len(plan.patches), plan.size)
            for product, layer in plan.layers.items()
        }
        _fill(arrays, plan, threads, advance)
        for array in arrays.values():
            array.flush()
        write_manifest(
            partial,
            plan.size,
            plan.layers,
            _places(plan.patches, plan.layers),
            ground_resolution_m=plan.ground_resolution_m,
        )
    return {
        "folder": str(out),
        "rows": len(plan.patches),
        "places": len({patch.place_id for patch in plan.patches}),
        "size": plan.size,
        "bytes": sum(path.stat().st_size for path in out.iterdir()),
        "products": {
            product: {"bands": list(layer.bands), "dates": layer.dates}
            for product, layer in plan.layers.items()
        },
        "seconds": round(time.perf_counter() - began, 3),
    }


def _new_array(path: Path, layer: Layer, rows: int, side: int) -> Any:
    shape = (rows, layer.dates, len(layer.bands), side, side)
    return open_memmap(path, mode="w+", dtype=layer.storage.dtype, shape=shape)


def _fill(
    arrays: Mapping[str, Any],
    plan: PackPlan,
    threads: int,
    advance: Callable[[int, str], None],
) -> None:
    with ThreadPoolExecutor(threads) as workers:
        works = [
            workers.submit(_write_patch, arrays, plan.layers, number, patch)
            for number, patch in enumerate(plan.patches)
        ]
        try:
            for done, work in enumerate(works, start=1):
                work.result()
                advance(done, plan.patches[done - 1].place_id)
        finally:
            workers.shutdown(cancel_futures=True)


def plan_patches(rows: Sequence[Row], size: int | None, dates: int | None) -> list[Patch]:
    """The squares of every place, in the order of place ids; arguments as in :func:`plan_pack`.

    Raises: InputError: there is no image, or ``size`` is larger than any place.
    """
    by_place: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_place[row["place_id"]].append(row)
    if not by_place:
        raise InputError("the catalogue has no image; there is nothing to pack")
    grids = {place: finest_grid(images) for place, images in by_place.items()}
    sides = [min(grid.height, grid.width) for grid in grids.values()]
    side = size if size is not None else min(sides)
    if side > max(max(grid.height, grid.width) for grid in grids.values()):
        raise InputError(f"--size {side}: no place is as large; the largest is {max(sides)} pixels")
    patches = []
    for place in sorted(by_place):
        images = _by_product(by_place[place], dates)
        patches += [
            Patch(place, row, column, grid, images)
            for row, column, grid in _squares(grids[place], side)
        ]
    return patches


def plan_layers(rows: Sequence[Row], patches: Sequence[Patch]) -> dict[str, Layer]:
    """A layer for each product, with the bands that all its images have.

    Raises: InputError: a product's images have no band in common.
    """
    layers = {}
    for product in sorted({row["product"] for row in rows}):
        names = [tuple(row["bands"]) for row in rows if row["product"] == product]
        common = set(names[0]).intersection(*names)
        if not common:
            raise InputError(f"{product}: its images have no band in common, so none is packed")
        layers[product] = Layer(
            product=product,
            file=f"{product}.npy",
            bands=tuple(name for name in names[0] if name in common),
            dates=max(len(patch.images.get(product, ())) for patch in patches),
            storage=STORAGE[product],
        )
    return layers


def _by_product(images: Sequence[Row], dates: int | None) -> dict[str, list[Row]]:
    """Images of each product by time, at most ``dates``, evenly chosen."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(images, key=lambda row: (str(row["datetime"] or ""), row["id"])):
        found[row["product"]].append(row)
    if dates is None:
        return found
    return {
        product: [each[(2 * k + 1) * len(each) // (2 * dates)] for k in range(dates)]
        if len(each) > dates
        else each
        for product, each in found.items()
    }


def _squares(grid: Grid, side: int) -> list[tuple[int, int, Grid]]:
    """Row, column and grid of the squares that fit, the lot in the middle; at least one."""
    down, across = (max(1, length // side) for length in (grid.height, grid.width))
    top, left = (grid.height - down * side) // 2, (grid.width - across * side) // 2
    return [
        (row, column, grid.window(top + row * side, left + column * side, side, side))
        for row in range(down)
        for column in range(across)
    ]


def _write_patch(
    arrays: Mapping[str, Any], layers: Mapping[str, Layer], number: int, patch: Patch
) -> None:
    for product, layer in layers.items():
        array = arrays[product]
        images = patch.images.get(product, ())
        for date, row in enumerate(images):
            view = read_view(row, grid=patch.grid, bands=layer.bands)
            array[number, date] = packed(view.values, view.valid, layer.storage)
        array[number, len(images) :] = np.array(layer.storage.nodata, layer.storage.dtype)


def _places(patches: Sequence[Patch], layers: Mapping[str, Layer]) -> pa.Table:
    columns: dict[str, Any] = {
        "place_id": [patch.place_id for patch in patches],
        "row": [patch.row for patch in patches],
        "column": [patch.column for patch in patches],
        "split": [patch.told("split") for patch in patches],
        "label": [patch.told("label") for patch in patches],
    }
    for product in layers:
        images = [patch.images.get(product, ()) for patch in patches]
        columns[f"{product}:id"] = [[row["id"] for row in each] for each in images]
        times = [[row["datetime"] for row in each] for each in images]
        columns[f"{product}:datetime"] = pa.array(times, pa.list_(pa.timestamp("us", tz="UTC")))
    return pa.table(columns)


def _is_ours(name: str) -> bool:
    return name in (MANIFEST, PLACES) or name.endswith(".npy")
