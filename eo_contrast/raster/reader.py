"""Read a raster by windows: pixels in its own type, and which of them are valid."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from eo_contrast.errors import InputError, UnreadableError
from eo_contrast.raster.location import REMOTE_OPTIONS, Location
from eo_contrast.raster.meta import RasterMeta, mask_bands, read_meta
from eo_contrast.raster.truncation import truncated

LARGEST_BLOCK_ROW_BYTES = 1 << 30
BLOCK_CACHE_BYTES = 64 << 20  # rasterio gives whole numbers on as bytes
# With many bands a rasterio read of all at once costs no more, but the metadata of tens
# of thousands does; no sensor has as many.
MOST_BANDS = 4096


@dataclass(frozen=True)
class Pixels:
    """Part of a raster: ``values`` (bands, rows, columns), ``valid`` (rows, columns) bool."""

    values: NDArray[Any]
    valid: NDArray[np.bool_]

    def of_valid(self) -> NDArray[Any]:
        """Values of the valid pixels alone, (bands, pixels)."""
        return self.values[:, self.valid]


def all_valid(rows: int, columns: int) -> NDArray[np.bool_]:
    """Validity where nothing is invalid: read-only, and without memory of its own."""
    return np.broadcast_to(np.True_, (rows, columns))


def stacked(parts: Sequence[Pixels]) -> Pixels:
    """Parts below each other as one."""
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([part.values for part in parts], axis=1)
    if all(part.valid.strides == (0, 0) for part in parts):
        return Pixels(values=values, valid=all_valid(*values.shape[1:]))
    return Pixels(values=values, valid=np.concatenate([part.valid for part in parts], axis=0))


def rows_of(pixels: Pixels, top: int, bottom: int | None = None) -> Pixels:
    """Rows ``top .. bottom``; None: to the last."""
    return Pixels(values=pixels.values[:, top:bottom], valid=pixels.valid[top:bottom])


class Source(Protocol):
    """What inference reads from: a raster, or a raster seen on another grid."""

    name: str
    height: int
    width: int
    bands: int
    dtype: np.dtype[Any]
    may_be_invalid: bool

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The pixels of rows ``top .. bottom`` and columns ``left .. right``."""
        ...


class RasterSource:
    """Chosen bands of an open raster, in their common dtype, and one mask for all of them.

    A pixel is valid where every chosen band differs from its nodata and is finite, alpha is
    above 0, and the raster's own mask and those of the chosen bands say so.

    Args:
        indexes: 1-based numbers of the bands.
        physical: give scale * value + offset, as float32, where the raster states them.
        own_mask_only: leave nodata and alpha as what they are, values; for copies.
    """

    def __init__(
        self,
        dataset: Any,
        meta: RasterMeta,
        indexes: Sequence[int],
        *,
        physical: bool = False,
        own_mask_only: bool = False,
    ) -> None:
        self._dataset = dataset
        self._indexes = list(indexes)
        self._own_mask_only = own_mask_only
        self._alpha = None if own_mask_only else alpha_band(meta, dataset)
        self._masks = mask_bands(dataset, self._indexes) if meta.masked else []
        self._nodata = [meta.nodata[index - 1] for index in indexes]
        self._scales = np.array([meta.scales[index - 1] for index in indexes])[:, None, None]
        self._offsets = np.array([meta.offsets[index - 1] for index in indexes])[:, None, None]
        self._physical = physical and bool((self._scales != 1).any() or self._offsets.any())
        self.name = str(dataset.name)
        self.height = meta.height
        self.width = meta.width
        self.bands = len(self._indexes)
        self._stored = np.result_type(*(meta.dtypes[index - 1] for index in indexes))
        self.dtype = np.dtype(np.float32) if self._physical else self._stored
        holes = self._stored.kind == "f" or any(nodata is not None for nodata in self._nodata)
        self.may_be_invalid = (
            bool(self._masks) or self._alpha is not None or (holes and not own_mask_only)
        )

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """See :class:`Source`.

        Raises: InputError: a block cannot be decoded.
        """
        window = Window(left, top, right - left, bottom - top)
        with _unreadable_named(self.name, f"rows {top} to {bottom - 1} cannot be read"):
            values = self._dataset.read(self._indexes, window=window, out_dtype=self._stored)
            valid = self._presumed(values)
            for band in self._masks:
                valid &= self._dataset.read_masks(band, window=window) > 0
            if self._alpha is not None:
                valid &= self._dataset.read(self._alpha, window=window) > 0
        if self.may_be_invalid and not self._own_mask_only:
            for band, nodata in zip(values, self._nodata, strict=True):
                valid &= differs_from(band, nodata)
        return Pixels(values=self._in_units(values) if self._physical else values, valid=valid)

    def _in_units(self, values: NDArray[Any]) -> NDArray[np.float32]:
        # Band by band: of all at once the sums in double precision would be most of the memory.
        physical = np.empty(values.shape, dtype=np.float32)
        for band, scale, offset, stored in zip(
            physical, self._scales, self._offsets, values, strict=True
        ):
            band[:] = stored * scale + offset
        return physical

    def _presumed(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        if not self.may_be_invalid:
            return all_valid(*values.shape[1:])
        return np.ones(values.shape[1:], dtype=bool)


@contextmanager
def open_raster(
    path: Location, *, cache_bytes: int = BLOCK_CACHE_BYTES
) -> Iterator[tuple[Any, RasterMeta]]:
    """An open dataset and its metadata; refuses what can never be translated.

    Args:
        path: a file, or a ``/vsi`` path, as :func:`~eo_contrast.raster.location.located` gives.
        cache_bytes: of memory for decoded blocks, of all open rasters together.

    Raises:
        InputError: no such file, not a raster, only subdatasets, complex samples, or a
            size that its blocks make unreadable in bounded memory.
    """
    options: dict[str, Any] = {"GDAL_CACHEMAX": cache_bytes, "GDAL_TIFF_INTERNAL_MASK": True}
    if not isinstance(path, Path):
        options |= REMOTE_OPTIONS
    elif not path.exists():
        raise InputError(f"{path}: no such file; give the path of a raster")
    with rasterio.Env(**options):
        with _unreadable_named(str(path), "is not a raster that can be read"), unplaced_silently():
            dataset = rasterio.open(path)
        with dataset:
            _refuse_unfit(path, dataset)
            yield dataset, read_meta(dataset)


@dataclass(frozen=True)
class Header:
    """What tells one raster's grid from another's; reading it costs half of all metadata.

    Attributes:
        fault: why the file cannot be whole; empty: it may be.
    """

    count: int
    width: int
    height: int
    crs: CRS | None
    transform: Affine
    fault: str = ""


def read_header(path: Path) -> Header:
    """A raster's grid alone.

    Raises: InputError: no such file, or not a raster.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; give the path of a raster")
    with (
        _unreadable_named(str(path), "is not a raster that can be read"),
        rasterio.open(path) as dataset,
    ):
        return Header(
            count=dataset.count,
            width=dataset.width,
            height=dataset.height,
            crs=dataset.crs,
            transform=dataset.transform,
            fault=truncated(path, dataset),
        )


@contextmanager
def unplaced_silently() -> Iterator[None]:
    """Keep rasterio from warning that a raster has no position; that is no fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def alpha_band(meta: RasterMeta, dataset: Any) -> int | None:
    """1-based index of the band that is transparency, None when there is none.

    CMYK pictures are shown as RGBA by GDAL: their fourth band is black ink.
    """
    if ColorInterp.alpha not in meta.colorinterp:
        return None
    if dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE") in ("CMYK", "CIELAB"):
        return None
    return meta.colorinterp.index(ColorInterp.alpha) + 1


def differs_from(band: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Where a band holds a value: not its nodata, compared in the band's own type, and finite."""
    whole_numbers = band.dtype.kind in "iu"
    finite = np.ones(band.shape, dtype=bool) if whole_numbers else np.isfinite(band)
    if nodata is None or math.isnan(nodata):
        return finite
    if whole_numbers:
        limits = np.iinfo(band.dtype)
        if not limits.min <= nodata <= limits.max or nodata != int(nodata):
            return finite
        nodata = int(nodata)
    with np.errstate(over="ignore"):
        held: NDArray[np.bool_] = finite & (band != band.dtype.type(nodata))
    return held


def block_row_bytes(dataset: Any, bands: int) -> int:
    """Memory of one row of the blocks of so many bands; of interleaved pixels of all of them."""
    height, width = dataset.block_shapes[0]
    across = -(-dataset.width // width) * width
    together = dataset.count if dataset.profile.get("interleave") == "pixel" else bands
    return int(height * across * together * np.dtype(dataset.dtypes[0]).itemsize)


def _refuse_unfit(path: Location, dataset: Any) -> None:
    if dataset.count == 0:
        names = ", ".join(dataset.subdatasets[:4]) or "none"
        raise InputError(f"{path}: holds no bands of its own; choose a subdataset: {names}")
    if dataset.count > MOST_BANDS:
        raise InputError(f"{path}: declares {dataset.count} bands; at most {MOST_BANDS} are read")
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise InputError(
            f"{path}: complex samples ({dataset.dtypes[0]}); convert to amplitude or dB first"
        )
    height, width = dataset.block_shapes[0]
    block_row = block_row_bytes(dataset, 1)
    if block_row > LARGEST_BLOCK_ROW_BYTES:
        raise InputError(
            f"{path}: one row of its blocks ({width} x {height} pixels each) takes "
            f"{block_row / 2**20:.0f} MiB, more than {LARGEST_BLOCK_ROW_BYTES / 2**20:.0f}; "
            "rewrite it in tiles, as with gdal_translate -co TILED=YES"
        )


@contextmanager
def _unreadable_named(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except (RasterioError, rasterio._err.CPLE_BaseError, OSError, ValueError) as error:
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise UnreadableError(f"{name}: {what} ({reason}); check the file") from error
