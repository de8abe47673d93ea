"""One place of a catalogue, to explore: its images on one grid, as an xarray Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from eo_contrast.catalog.grids import Grid, Row, finest_grid
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import View, read_view
from eo_contrast.errors import InputError

if TYPE_CHECKING:
    import xarray


def open_place(
    catalogue: Path | str, place_id: str, *, products: Sequence[str] | None = None
) -> xarray.Dataset:
    """Every image of a place, aligned.

    >>> place = eo_contrast.open_place(
    ...     "catalogue.parquet", "folder/place00000", products=["s2-l2a"])
    >>> dict(place.image.sizes)
    {'time': 2, 'band': 12, 'y': 32, 'x': 32}

    Args:
        products: such as ``["s2-l2a", "s1-rtc"]``; None: all. Top-of-atmosphere and surface
            reflectance have bands of the same names: ``product`` tells which an image is.

    Returns: Dataset of ``image`` float32 (time, band, y, x) in each product's unit, NaN where there
        is no data or an image has no such band, with the coordinates time, band, product, id, y, x
        (of pixels' middles, in the CRS of the attribute ``crs``); and of each band of the labels,
        by its name, uint16 (y, x), 65535 where there is none.
    Raises: InputError: no catalogue, no such place, or an image that cannot be read.
    """
    import xarray

    rows = place_rows(Path(catalogue), place_id)
    wanted = [row for row in rows if products is None or row["product"] in products]
    if not wanted:
        there = " ".join(sorted({row["product"] for row in rows}))
        raise InputError(f"{place_id}: has no {' '.join(products or ())}, but {there}")
    grid = finest_grid(wanted)
    images = [row for row in wanted if row["product"] != "label"]
    views = [read_view(row, grid=grid) for row in images]
    bands = list(dict.fromkeys(name for view in views for name in view.bands))
    x, y = _middles(grid)
    dataset = xarray.Dataset(
        {"image": (("time", "band", "y", "x"), _stacked(views, bands, grid))},
        coords={
            "time": np.array([_time(row) for row in images], dtype="datetime64[us]"),
            "band": np.array(bands, dtype=str),
            "product": ("time", np.array([row["product"] for row in images], dtype=str)),
            "id": ("time", np.array([row["id"] for row in images], dtype=str)),
            "y": y,
            "x": x,
        },
        attrs={"place_id": place_id, "crs": grid.crs.to_string() if grid.crs else ""},
    )
    for row in wanted:
        if row["product"] == "label":
            view = read_view(row, grid=grid)
            for name, classes in zip(view.bands, view.values, strict=True):
                dataset[name] = (("y", "x"), np.where(view.valid, classes, np.uint16(65535)))
    return dataset


def place_rows(catalogue: Path, place_id: str) -> list[dict[str, Any]]:
    """The rows of a place, by time and product.

    Raises: InputError: no catalogue, or no such place; names one that there is.
    """
    table = read_catalogue(catalogue)
    found: list[dict[str, Any]] = table.filter(
        pc.equal(table.column("place_id"), place_id)
    ).to_pylist()
    if not found:
        first = table.column("place_id")[0].as_py() if table.num_rows else "none"
        raise InputError(f"{catalogue}: has no place '{place_id}'; one that it has is '{first}'")
    return sorted(found, key=lambda row: (_time(row), row["product"], row["id"]))


def _time(row: Row) -> np.datetime64:
    """Of an image; the beginning of time where the archive does not tell."""
    date = row["datetime"]
    if date is None:
        return np.datetime64("1970-01-01", "us")
    return np.datetime64(date.replace(tzinfo=None), "us")


def _stacked(views: Sequence[View], bands: Sequence[str], grid: Grid) -> Any:
    values = np.full((len(views), len(bands), grid.height, grid.width), np.nan, np.float32)
    for stored, view in zip(values, views, strict=True):
        for name, plane in zip(view.bands, view.values, strict=True):
            stored[bands.index(name)] = np.where(view.valid, plane, np.nan)
    return values


def _middles(grid: Grid) -> tuple[Any, Any]:
    """x of the columns' and y of the rows' middles; of a turned grid those of the first ones."""
    x, _ = grid.transform @ (np.arange(grid.width) + 0.5, np.full(grid.width, 0.5))
    _, y = grid.transform @ (np.full(grid.height, 0.5), np.arange(grid.height) + 0.5)
    return x, y
