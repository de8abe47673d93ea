"""Write a GeoTIFF from strips of rows: in whole blocks, read back, whole or not at all."""

from __future__ import annotations

import math
import shutil
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from eo_contrast.errors import WorldError
from eo_contrast.files import whole_file
from eo_contrast.raster.meta import RasterMeta, common_nodata, write_meta
from eo_contrast.raster.reader import Pixels, unplaced_silently

Format = Literal["cog", "gtiff"]
BLOCK = 512
BEST_COMPRESSION = 50
"""Maps rarely shrink more; a raster that needs it to fit the disk is refused at once."""


class StripWriter:
    """Takes strips of rows in order, of any height, and writes whole rows of blocks once.

    GDAL's bytes depend on free memory when blocks are written in parts: an evicted partial
    block is read again and appended.
    """

    def __init__(self, dataset: Any, *, block: int, masked: bool) -> None:
        self._dataset = dataset
        self._block = block
        self._masked = masked
        self._held: list[Pixels] = []
        self._row = 0
        self.checksums: list[int] = []

    def write(self, strip: Pixels) -> None:
        """Append the rows of ``strip``: values (bands, rows, width), valid (rows, width)."""
        self._held.append(strip)
        held = sum(part.valid.shape[0] for part in self._held)
        if held < self._block and self._row + held < self._dataset.height:
            return
        values = np.concatenate([part.values for part in self._held], axis=1)
        valid = np.concatenate([part.valid for part in self._held], axis=0)
        last = self._row + held == self._dataset.height
        until = held if last else held // self._block * self._block
        for top in range(0, until, self._block):
            bottom = min(top + self._block, until)
            self._write_blocks(values[:, top:bottom], valid[top:bottom])
        self._held = [Pixels(values=values[:, until:].copy(), valid=valid[until:].copy())]

    def _write_blocks(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        window = Window(0, self._row, values.shape[2], values.shape[1])
        self._dataset.write(values, window=window)
        mask = _mask_bytes(valid)
        if self._masked:
            self._dataset.write_mask(mask, window=window)
        self.checksums.append(_checksum(values, mask if self._masked else None))
        self._row += values.shape[1]


@contextmanager
def raster_written(
    path: Path, meta: RasterMeta, *, format: Format, masked: bool
) -> Iterator[StripWriter]:
    """Yield a writer of a raster that appears as ``path`` when the block ends well.

    Args:
        meta: size, type, position and all else; its ``masked`` is not looked at.
        format: ``cog`` adds overviews and orders the file for reading over a network.
        masked: write a mask inside the file.

    Raises: WorldError: the disk is full or failing, or what was written does not read back.
    """
    _refuse_small_disk(path, meta)
    with whole_file(path) as partial, _failures_named(path):
        scratch = path.with_name(f".{path.stem}.partial.scratch")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            strips, finished = scratch / "strips.tif", scratch / "finished.tif"
            checksums = yield from _strips_written(strips, meta, format=format, masked=masked)
            if format == "cog":
                _finish_cog(strips, finished, meta)
            else:
                strips.rename(finished)
            _verify(finished, checksums, masked=masked)
            finished.rename(partial)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _refuse_small_disk(path: Path, meta: RasterMeta) -> None:
    raw = meta.width * meta.height * meta.count * np.result_type(*meta.dtypes).itemsize
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if raw / BEST_COMPRESSION > free:
        raise WorldError(
            f"{path}: {raw / 2**30:.1f} GiB of pixels cannot fit the {free / 2**30:.1f} GiB free "
            "there; free some space or write elsewhere"
        )


def _strips_written(
    path: Path, meta: RasterMeta, *, format: Format, masked: bool
) -> Generator[StripWriter, None, list[int]]:
    options = _creation_options(meta, level=1 if format == "cog" else 6)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        unplaced_silently(),
        rasterio.open(path, "w", **options) as dataset,
    ):
        write_meta(dataset, meta)
        writer = StripWriter(dataset, block=BLOCK, masked=masked)
        yield writer
    return writer.checksums


def _creation_options(meta: RasterMeta, *, level: int) -> dict[str, Any]:
    dtype = np.result_type(*meta.dtypes)
    options: dict[str, Any] = {
        "driver": "GTiff",
        "width": meta.width,
        "height": meta.height,
        "count": meta.count,
        "dtype": dtype.name,
        "crs": meta.crs,
        "nodata": common_nodata(meta),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel" if meta.count <= 4 else "band",
        "compress": "DEFLATE",
        "zlevel": level,
        "predictor": 3 if dtype.kind == "f" else 2,
        "bigtiff": "IF_SAFER",
        # Left to itself GDAL takes the fourth band of bytes for transparency.
        "alpha": "YES" if ColorInterp.alpha in meta.colorinterp else "NO",
    }
    if meta.transform is not None:
        options["transform"] = meta.transform
    if meta.count >= 3 and meta.colorinterp[:1] == (ColorInterp.red,):
        options["photometric"] = "RGB"
    return options


def _finish_cog(strips: Path, finished: Path, meta: RasterMeta) -> None:
    classes = meta.colormap is not None
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), unplaced_silently():
        rasterio.shutil.copy(
            str(strips),
            str(finished),
            driver="COG",
            COMPRESS="DEFLATE",
            LEVEL=6,
            PREDICTOR="YES",
            BLOCKSIZE=BLOCK,
            RESAMPLING="MODE" if classes else "AVERAGE",
            BIGTIFF="IF_SAFER",
            **({"COPY_SRC_MDD": "YES"} if _has_own_domains(meta) else {}),
        )


def _has_own_domains(meta: RasterMeta) -> bool:
    # GDAL's copy drops tag domains without COPY_SRC_MDD, and with it the bands' plain tags,
    # so it is asked for only where there is a domain to lose.
    return any(domain for tags in (meta.tags, *meta.band_tags) for domain in tags)


def _verify(path: Path, checksums: list[int], *, masked: bool) -> None:
    """Read every block once: GDAL's close stays silent about blocks that were lost."""
    with unplaced_silently(), rasterio.open(path) as dataset:
        if len(checksums) != math.ceil(dataset.height / BLOCK):
            raise WorldError(f"{path.name}: {len(checksums)} rows of blocks came; run again")
        for row, expected in enumerate(checksums):
            top = row * BLOCK
            window = Window(0, top, dataset.width, min(BLOCK, dataset.height - top))
            values = dataset.read(window=window)
            mask = dataset.read_masks(1, window=window) if masked else None
            if _checksum(values, mask) != expected:
                raise WorldError(
                    f"{path.name}: rows from {top} do not read back as written; "
                    "check the disk and run again"
                )


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    """Turn GDAL's errors of writing into one line.

    Not all are RasterioError: a copy onto a full disk raises a bare CPLE error, or a
    SystemError where GDAL failed without a word.
    """
    try:
        yield
    except (RasterioError, rasterio._err.CPLE_BaseError, SystemError) as error:
        cause = " ".join(str(error.__cause__ or error).split())
        raise WorldError(
            f"{path}: writing failed ({cause}); free some space and run again"
        ) from error


def _mask_bytes(valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return valid.astype(np.uint8) * np.uint8(255)


def _checksum(values: NDArray[Any], mask: NDArray[np.uint8] | None) -> int:
    total = zlib.crc32(values.tobytes())
    return total if mask is None else zlib.crc32(mask.tobytes(), total)
