"""Pictures for a page: tiles and rasters as inline PNG, decimated where they are large."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from eo_contrast.errors import InputError
from eo_contrast.raster.location import Location
from eo_contrast.raster.reader import open_raster

RGB = NDArray[np.uint8]
PAPER = 255
VISIBLE = ("B04", "B03", "B02")
SENTINEL_2_COUNTS = (12, 13)
"""Bands of whole Sentinel-2 images, which begin with B01 and of which no file names them."""
CONTRAST_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True)
class Picture:
    """What an ``<img>`` needs: ``uri`` holds the picture itself, ``alt`` says what it shows."""

    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class RasterView:
    """How a raster's values become colours, the same for the whole and for its parts.

    Attributes:
        path: of the raster.
        width, height: of the raster in pixels.
        indexes: 1-based bands shown as red, green, blue; one band is shown as grey.
        colour_table: (256, 3) colours of a one-band raster that has its own, else None.
        low, high: values shown as black and as white, one a band; unused with a table.
    """

    path: Location
    width: int
    height: int
    indexes: tuple[int, ...]
    colour_table: RGB | None
    low: tuple[float, ...]
    high: tuple[float, ...]


def data_uri(content: bytes, kind: str) -> str:
    """``content`` as an address that holds it whole."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def png(pixels: RGB, alt: str) -> Picture:
    """(H, W, 3) uint8 as an inline PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    height, width = pixels.shape[:2]
    return Picture(data_uri(buffer.getvalue(), "image/png"), alt, width, height)


def read_png(path: Path) -> RGB:
    """(H, W, 3) uint8.

    Raises:
        InputError: not a picture.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise InputError(f"{path}: not a picture that can be read; remove it") from error


def shrunk(pixels: RGB, side: int) -> RGB:
    """The picture with its longer side at most ``side`` pixels; never enlarged."""
    height, width = pixels.shape[:2]
    factor = min(side / max(height, width), 1.0)
    if factor == 1.0:
        return pixels
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def view_of(path: Location, *, side: int = 1024) -> RasterView:
    """How to show a raster: its red, green and blue, or its first bands, or its colour table.

    8-bit values are shown as they are; others are stretched between percentiles of a
    decimated reading, since reflectance or dB as they are would be black.

    Args:
        side: longer side in pixels of the reading that percentiles are taken from.

    Raises:
        InputError: not a raster.
    """
    with open_raster(path) as (dataset, meta):
        table = _colour_table(meta.colormap) if meta.count == 1 and meta.colormap else None
        indexes = _shown_bands(meta.colorinterp, meta.count, meta.descriptions)
        if table is not None or all(meta.dtypes[index - 1] == "uint8" for index in indexes):
            low, high = (0.0,) * len(indexes), (255.0,) * len(indexes)
        else:
            values, valid = _read(dataset, indexes, _decimated(meta.height, meta.width, side))
            bounds = [_contrast(band[valid]) for band in values]
            low, high = tuple(b[0] for b in bounds), tuple(b[1] for b in bounds)
    return RasterView(path, meta.width, meta.height, indexes, table, low, high)


def overview(view: RasterView, *, side: int = 1024) -> RGB:
    """The whole raster with its longer side at most ``side``: (H, W, 3), invalid pixels white."""
    return _shown(view, _decimated(view.height, view.width, side), None)


def crop(view: RasterView, window: tuple[float, float, float, float], side: int) -> RGB:
    """Part of the raster at its own resolution, or less when larger than ``side``.

    Args:
        window: top, bottom, left, right as shares of the raster, 0..1.
    """
    top, bottom = round(window[0] * view.height), round(window[1] * view.height)
    left, right = round(window[2] * view.width), round(window[3] * view.width)
    part = Window(left, top, right - left, bottom - top)
    return _shown(view, _decimated(bottom - top, right - left, side), part)


def detailed_windows(
    picture: RGB, shape: tuple[int, int], *, side: int, count: int
) -> list[tuple[float, float, float, float]]:
    """Where a raster is most varied: up to ``count`` windows that do not overlap.

    Args:
        picture: (H, W, 3) overview of the raster.
        shape: height and width of the raster in pixels.
        side: of a window in pixels of the raster.

    Returns: top, bottom, left, right as shares of the raster, most varied first.
    """
    rows, columns = (max(length // side, 1) for length in shape)
    grey = picture.astype(np.float64).mean(axis=2)
    cells: list[tuple[float, tuple[float, float, float, float]]] = []
    for row in range(rows):
        for column in range(columns):
            window = (*_cell(row, rows, shape[0], side), *_cell(column, columns, shape[1], side))
            cells.append((_variation(grey, window), window))
    cells.sort(key=lambda cell: (-cell[0], cell[1]))
    return [window for _, window in cells[:count]]


def _cell(number: int, of: int, length: int, side: int) -> tuple[float, float]:
    """Cells are spread evenly, so that what does not divide is left out at both edges."""
    size = min(side, length)
    start = (length - of * size) // 2 + number * size
    return start / length, (start + size) / length


def _variation(grey: NDArray[np.float64], window: tuple[float, float, float, float]) -> float:
    height, width = grey.shape
    rows = slice(int(window[0] * height), max(int(window[1] * height), 1))
    columns = slice(int(window[2] * width), max(int(window[3] * width), 1))
    part = grey[rows, columns]
    return float(part.std()) if part.size else 0.0


def _shown(view: RasterView, shape: tuple[int, int], window: Window | None) -> RGB:
    with open_raster(view.path) as (dataset, _):
        nearest = view.colour_table is not None
        values, valid = _read(dataset, view.indexes, shape, window=window, nearest=nearest)
    if view.colour_table is not None:
        pixels = view.colour_table[np.clip(values[0], 0, 255).astype(np.uint8)].copy()
    else:
        low, high = (np.array(limit)[:, None, None] for limit in (view.low, view.high))
        scaled = (np.nan_to_num(values.astype(np.float64)) - low) / (high - low)
        levels = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
        pixels = np.moveaxis(np.broadcast_to(levels, (3, *levels.shape[1:])), 0, 2).copy()
    pixels[~valid] = PAPER
    return np.ascontiguousarray(pixels)


def _read(
    dataset: Any,
    indexes: Iterable[int],
    shape: tuple[int, int],
    *,
    window: Window | None = None,
    nearest: bool = False,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    bands = list(indexes)
    resampling = Resampling.nearest if nearest else Resampling.average
    try:
        values = dataset.read(
            bands, window=window, out_shape=(len(bands), *shape), resampling=resampling
        )
        mask = dataset.dataset_mask(window=window, out_shape=shape)
    except (RasterioError, rasterio._err.CPLE_BaseError) as error:
        cause = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"{dataset.name}: cannot be read ({cause}); check the file") from error
    return values, (mask > 0) & np.isfinite(values).all(axis=0)


def _shown_bands(
    colorinterp: tuple[ColorInterp, ...], count: int, names: Sequence[str | None]
) -> tuple[int, ...]:
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in colorinterp for colour in rgb):
        return tuple(colorinterp.index(colour) + 1 for colour in rgb)
    if all(name in names for name in VISIBLE):
        return tuple(names.index(name) + 1 for name in VISIBLE)
    if count in SENTINEL_2_COUNTS and not any(names):
        return (4, 3, 2)
    return (1, 2, 3) if count >= 3 else (1,)


def _colour_table(table: Any) -> RGB:
    colours = np.zeros((256, 3), dtype=np.uint8)
    for value, (red, green, blue, _alpha) in table.items():
        if 0 <= value < 256:
            colours[value] = (red, green, blue)
    return colours


def _contrast(values: NDArray[Any]) -> tuple[float, float]:
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(bound) for bound in np.percentile(values, CONTRAST_PERCENTILES))
    return low, high if high > low else low + 1.0


def _decimated(height: int, width: int, side: int) -> tuple[int, int]:
    factor = min(side / max(height, width), 1.0)
    return max(round(height * factor), 1), max(round(width * factor), 1)
