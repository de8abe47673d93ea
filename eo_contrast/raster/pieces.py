"""Finished parts of a raster as files of their own, so that a run can stop and go on.

A piece is one row of the output's blocks. Its file's name carries its number and a checksum
of its pixels, and it appears by one atomic rename: the folder is the journal of the run.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from eo_contrast.errors import WorldError, disk_errors_named
from eo_contrast.files import flush_to_disk
from eo_contrast.raster.reader import Pixels, all_valid, rows_of, stacked, unplaced_silently

BLOCK = 512
"""Side of the output's blocks; a piece has as many rows."""

_NAME = re.compile(r"(\d{9})-([0-9a-f]{8})\.tif")


def piece_count(height: int) -> int:
    """Number of pieces of a raster of ``height`` rows."""
    return -(-height // BLOCK)


def piece_rows(piece: int, height: int) -> tuple[int, int]:
    """First and past-last row of a piece."""
    return piece * BLOCK, min((piece + 1) * BLOCK, height)


def in_pieces(strips: Iterable[Pixels]) -> Iterator[Pixels]:
    """Strips of any height as strips of ``BLOCK`` rows, the last perhaps less."""
    held: list[Pixels] = []
    rows = 0
    for strip in strips:
        held.append(strip)
        rows += strip.valid.shape[0]
        if rows < BLOCK:
            continue
        joined = stacked(held)
        until = rows // BLOCK * BLOCK
        for top in range(0, until, BLOCK):
            yield rows_of(joined, top, top + BLOCK)
        held, rows = [rows_of(joined, until, rows)], rows - until
    if rows:
        yield stacked(held)


def write_piece(folder: Path, piece: int, pixels: Pixels, *, masked: bool) -> Path:
    """Write one piece, whole or not at all.

    Encoded in memory first: GDAL's close stays silent about what a full disk swallowed.

    Args:
        folder: where the pieces are; exists.
        masked: keep ``pixels.valid`` too.

    Raises: WorldError: the disk is full or failing.
    """
    path = folder / f"{piece:09d}-{checksum(pixels, masked=masked):08x}.tif"
    # Two processes may make the same piece; each writes its own partial file.
    partial = folder / f".{path.name}.{os.getpid()}.partial"
    with disk_errors_named(path):
        try:
            partial.write_bytes(_encoded(pixels, masked=masked))
            flush_to_disk(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def finished_pieces(folder: Path) -> dict[int, Path]:
    """Files of the pieces that ``folder`` holds, by number."""
    named = ((_NAME.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    return {int(match[1]): path for match, path in named if match}


def read_piece(path: Path, *, masked: bool) -> Pixels:
    """The pixels of a piece, checked against the checksum in its name.

    Raises: WorldError: the file is damaged; it is removed, so that a resumed run makes it anew.
    """
    try:
        pixels = _decoded(path, masked=masked)
        intact = f"{checksum(pixels, masked=masked):08x}" == path.stem.partition("-")[2]
    except RasterioError:
        intact = False
    if not intact:
        path.unlink(missing_ok=True)
        raise WorldError(f"{path}: was damaged on the disk; run again with --resume")
    return pixels


def checksum(pixels: Pixels, *, masked: bool) -> int:
    """CRC-32 of the values, and of the validity where it is kept."""
    total = zlib.crc32(np.ascontiguousarray(pixels.values).data)
    return zlib.crc32(np.ascontiguousarray(pixels.valid).data, total) if masked else total


def _encoded(pixels: Pixels, *, masked: bool) -> memoryview:
    values = pixels.values
    bands, height, width = values.shape
    options: dict[str, Any] = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": values.dtype.name,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel" if bands <= 4 else "band",
        "compress": "ZSTD",
        "zstd_level": 1,
        "predictor": 3 if values.dtype.kind == "f" else 2,
        "bigtiff": "IF_SAFER",
        "photometric": "MINISBLACK",
        "alpha": "NO",
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        MemoryFile() as memory,
        unplaced_silently(),
    ):
        with memory.open(**options) as dataset:
            dataset.write(values)
            if masked:
                dataset.write_mask(pixels.valid)
        return memoryview(bytes(memory.getbuffer()))


def _decoded(path: Path, *, masked: bool) -> Pixels:
    with unplaced_silently(), rasterio.open(path) as dataset:
        values = dataset.read()
        mask = dataset.read_masks(1) > 0 if masked else None
    valid = all_valid(*values.shape[1:]) if mask is None else mask
    return Pixels(values=values, valid=valid)
