"""Write a GeoTIFF from strips of rows: in whole blocks, read back, whole or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from eo_contrast.errors import WorldError
from eo_contrast.files import whole_file
from eo_contrast.raster.meta import (
    RasterMeta,
    common_nodata,
    moved_gcps,
    pixels_are_points,
    read_meta,
    what_is_lost,
    write_meta,
)
from eo_contrast.raster.pieces import BLOCK, checksum, in_pieces, piece_count, piece_rows
from eo_contrast.raster.reader import BLOCK_CACHE_BYTES, Pixels, unplaced_silently
from eo_contrast.raster.tiff_tags import read_metadata_text, replace_metadata_text

Format = Literal["cog", "gtiff"]
COG_OPTIONS: Mapping[str, Any] = {
    "COMPRESS": "ZSTD",
    "LEVEL": 9,
    "PREDICTOR": "YES",
    "SPARSE_OK": "YES",
    "BLOCKSIZE": BLOCK,
    "RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
}
COMPATIBLE = {"COMPRESS": "DEFLATE", "LEVEL": 6, "SPARSE_OK": "NO"}
CLASSES = {"RESAMPLING": "MODE"}  # a mean of class numbers is another class
NO_MASK = np.ones((), dtype=bool)
ROOM_TAG = "EO_CONTRAST_ROOM"
BEST_COMPRESSION = 50
"""Maps rarely shrink more; a raster that needs it to fit the disk is refused at once."""


def write_raster(
    path: Path,
    meta: RasterMeta,
    strips: Iterable[Pixels],
    *,
    format: Format = "cog",
    compat: bool = False,
    masked: bool,
) -> tuple[str, ...]:
    """Write a raster that appears as ``path`` when it is whole and reads back as it came.

    Args:
        meta: size, type, position and all else; its ``masked`` is not looked at.
        strips: all rows, top to bottom, in strips of any height.
        format: ``cog`` adds overviews and orders the file for reading over a network.
        compat: for readers of ten years ago: DEFLATE, and every block stored.
        masked: write a mask inside the file.

    Returns: what the file does not hold of ``meta``, in words.
    Raises: WorldError: the disk is full or failing, or what was written does not read back.
    """
    refuse_small_disk(path, meta)
    with whole_file(path) as partial, gdal_failures_named(path):
        scratch = path.with_name(f".{path.stem}.partial.scratch")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            plain, finished = scratch / "strips.tif", scratch / "finished.tif"
            profile = _creation_options(meta, compat=compat, final=format == "gtiff")
            room = _room_for_domains(meta) if format == "cog" else {}
            # GDAL moves the GCPs of a raster of points by half a pixel whenever it reads them.
            reads = 2 if format == "cog" else 1
            moved = replace(meta, gcps=moved_gcps(meta.gcps, -reads / 2, -reads / 2))
            stored = moved if pixels_are_points(meta) else meta
            checksums = _write_plain(plain, stored, strips, profile, masked=masked, tags=room)
            if format == "cog":
                _finish_cog(plain, finished, meta, compat=compat)
            else:
                plain.rename(finished)
            lost = _verify(finished, meta, checksums, compat=compat, masked=masked)
            finished.rename(partial)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return lost


def refuse_small_disk(path: Path, meta: RasterMeta) -> None:
    """Refuse a raster that no compression brings onto the disk.

    Raises: WorldError: says how much it is, and how much is free.
    """
    raw = meta.width * meta.height * meta.count * np.result_type(*meta.dtypes).itemsize
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if raw / BEST_COMPRESSION > free:
        raise WorldError(
            f"{path}: {raw / 2**30:.1f} GiB of pixels cannot fit the {free / 2**30:.1f} GiB free "
            "there; free some space or write elsewhere"
        )


def _write_plain(
    path: Path,
    meta: RasterMeta,
    strips: Iterable[Pixels],
    profile: dict[str, Any],
    *,
    masked: bool,
    tags: Mapping[str, str],
) -> list[int]:
    """Write whole rows of blocks, each once; returns their checksums.

    GDAL's bytes depend on free memory when blocks are written in parts: an evicted partial
    block is read again and appended.
    """
    checksums = []
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_CACHEMAX=BLOCK_CACHE_BYTES),
        unplaced_silently(),
        rasterio.open(path, "w", **profile) as dataset,
    ):
        write_meta(dataset, meta)
        if tags:
            dataset.update_tags(**tags)
        for piece, pixels in enumerate(in_pieces(strips)):
            window = Window(0, piece * BLOCK, meta.width, pixels.valid.shape[0])
            dataset.write(pixels.values, window=window)
            if masked:
                dataset.write_mask(pixels.valid, window=window)
            checksums.append(checksum(pixels, masked=masked))
    return checksums


def _refuse_ignored_options(dataset: Any, *, compat: bool) -> None:
    """GDAL takes creation options that it does not know without a word, and drops them."""
    found = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION")
    wanted = "DEFLATE" if compat else "ZSTD"
    if found != wanted or set(dataset.block_shapes) != {(BLOCK, BLOCK)}:
        raise WorldError(
            f"this GDAL wrote blocks of {dataset.block_shapes[0]} with {found} compression where "
            f"{BLOCK} x {BLOCK} with {wanted} was asked for; give --compat, or install the "
            "rasterio that brings its own GDAL"
        )


def _creation_options(meta: RasterMeta, *, compat: bool, final: bool) -> dict[str, Any]:
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
        "predictor": 3 if dtype.kind == "f" else 2,
        # By the uncompressed size: a file that outgrows 4 GiB midway would be lost.
        "bigtiff": "IF_SAFER",
        # Left to itself GDAL takes the fourth band of bytes for transparency.
        "alpha": "YES" if ColorInterp.alpha in meta.colorinterp else "NO",
    }
    if compat:
        options |= {"compress": "DEFLATE", "zlevel": 6 if final else 1}
    else:
        options |= {"compress": "ZSTD", "zstd_level": 9 if final else 1, "sparse_ok": True}
    if meta.transform is not None:
        options["transform"] = meta.transform
    if meta.count >= 3 and meta.colorinterp[:1] == (ColorInterp.red,):
        options["photometric"] = "RGB"
    return options


def _finish_cog(strips: Path, finished: Path, meta: RasterMeta, *, compat: bool) -> None:
    classes = meta.colormap is not None
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_CACHEMAX=BLOCK_CACHE_BYTES),
        unplaced_silently(),
    ):
        rasterio.shutil.copy(
            str(strips),
            str(finished),
            driver="COG",
            **{**COG_OPTIONS, **(COMPATIBLE if compat else {}), **(CLASSES if classes else {})},
        )
    if _has_own_domains(meta):
        _keep_domains(strips, finished)


def _room_for_domains(meta: RasterMeta) -> dict[str, str]:
    """A tag whose place in a copy is given to the domains that GDAL does not copy."""
    if not _has_own_domains(meta):
        return {}
    domains = [meta.tags, *meta.band_tags]
    text = sum(len(str(tags).encode()) for of in domains for tags in of.values())
    # Escaped text grows up to sixfold, and each item has its wrapping.
    return {ROOM_TAG: "x" * (6 * text + 200 * sum(len(t) for of in domains for t in of.values()))}


def _keep_domains(plain: Path, copy: Path) -> None:
    text = read_metadata_text(plain)
    replace_metadata_text(copy, re.sub(f'<Item name="{ROOM_TAG}">x*</Item>', "", text))


def _has_own_domains(meta: RasterMeta) -> bool:
    return any(domain for tags in (meta.tags, *meta.band_tags) for domain in tags)


def _verify(
    path: Path, meta: RasterMeta, checksums: list[int], *, compat: bool, masked: bool
) -> tuple[str, ...]:
    """Read every block once: GDAL's close stays silent about blocks that were lost.

    Returns: what the file does not hold of ``meta``.
    """
    with (
        rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_BYTES),
        unplaced_silently(),
        rasterio.open(path) as dataset,
    ):
        _refuse_ignored_options(dataset, compat=compat)
        if len(checksums) != piece_count(dataset.height):
            raise WorldError(f"{path.name}: {len(checksums)} rows of blocks came; run again")
        for piece, expected in enumerate(checksums):
            top, bottom = piece_rows(piece, dataset.height)
            window = Window(0, top, dataset.width, bottom - top)
            values = dataset.read(window=window)
            valid = dataset.read_masks(1, window=window) > 0 if masked else NO_MASK
            if checksum(Pixels(values=values, valid=valid), masked=masked) != expected:
                raise WorldError(
                    f"{path.name}: rows from {top} do not read back as written; "
                    "check the disk and run again"
                )
        return what_is_lost(meta, read_meta(dataset))


@contextmanager
def gdal_failures_named(path: Path) -> Iterator[None]:
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
