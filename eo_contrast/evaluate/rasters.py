"""Scores of one map raster against the true one, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from eo_contrast.errors import InputError
from eo_contrast.evaluate.map_agreement import Palette
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import open_raster

RGB = NDArray[np.uint8]
SIDE = 256


def score_rasters(truth: Path, translated: Path, palette: Palette | None) -> dict[str, Any]:
    """:meth:`PairedScores.result`, each tile of 256 px a pair; memory is that of one tile.

    Args:
        truth, translated: rasters of one size whose first three bands are uint8 RGB. Pixels
            without data count as they are stored.
        palette: of the true map; ``None`` leaves out the scores of classes.

    Raises:
        InputError: one cannot be read, is not 8-bit RGB, or their sizes differ.
    """
    with open_raster(truth) as (real, meta), open_raster(translated) as (fake, other):
        _refuse_unless_rgb(truth, meta)
        _refuse_unless_rgb(translated, other)
        if (meta.height, meta.width) != (other.height, other.width):
            raise InputError(
                f"{truth}: is {meta.width} x {meta.height} pixels, the translated map "
                f"{translated} {other.width} x {other.height}; give a true map on the same grid"
            )
        tiles = zip(_tiles(real, meta), _tiles(fake, other), strict=True)
        return score_pairs(tiles, palette)


def tiles_of(path: Path) -> Iterator[RGB]:
    """The first three bands as tiles (H, W, 3) of at most 256 px, by rows."""
    with open_raster(path) as (raster, meta):
        yield from _tiles(raster, meta)


def _tiles(raster: Any, meta: RasterMeta) -> Iterator[RGB]:
    for row in range(0, meta.height, SIDE):
        for column in range(0, meta.width, SIDE):
            size = (min(SIDE, meta.width - column), min(SIDE, meta.height - row))
            bands: RGB = raster.read([1, 2, 3], window=Window(column, row, *size))
            yield np.ascontiguousarray(bands.transpose(1, 2, 0))


def _refuse_unless_rgb(path: Path, meta: RasterMeta) -> None:
    if meta.count < 3 or set(meta.dtypes[:3]) != {"uint8"}:
        raise InputError(
            f"{path}: has {meta.count} bands of {meta.dtypes[0]}; scores compare maps of "
            "three bands of uint8: red, green, blue"
        )
