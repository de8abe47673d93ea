"""Scores of one map raster against the true one, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.errors import InputError
from eo_contrast.evaluate.map_agreement import Palette
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.raster.location import Location
from eo_contrast.raster.meta import RasterMeta, on_grid, refuse_other_grid
from eo_contrast.raster.reader import RasterSource, open_raster

RGB = NDArray[np.uint8]
SIDE = 256


def score_rasters(truth: Path, translated: Path, palette: Palette | None) -> dict[str, Any]:
    """:meth:`PairedScores.result`, each tile of 256 px a pair; memory is that of one tile.

    >>> told = eo_contrast.score_rasters(Path("sat2map/scene.tif"), Path("sat2map/scene.tif"), None)
    >>> told["ssim"], told["within_5"]
    (1.0, 1.0)

    Args:
        truth, translated: rasters of one size whose first three bands are uint8 RGB. Pixels
            without data count as they are stored.
        palette: of the true map; ``None`` leaves out the scores of classes.

    Raises:
        InputError: one cannot be read, is not 8-bit RGB, or they are not on one grid.
    """
    with open_raster(truth) as (real, meta), open_raster(translated) as (fake, other):
        _refuse_unless_rgb(truth, meta)
        _refuse_unless_rgb(translated, other)
        refuse_other_grid(truth, meta, translated, other)
        tiles = zip(_tiles(real, meta), _tiles(fake, other), strict=True)
        return score_pairs(tiles, palette)


def tiles_of(path: Path) -> Iterator[RGB]:
    """The first three bands as tiles (H, W, 3) of at most 256 px, by rows."""
    with open_raster(path) as (raster, meta):
        yield from _tiles(raster, meta)


def refuse_unfit_truth(
    truth: Path, source: Location, out: Path, *, height: int, width: int, copies: bool
) -> None:
    """Whether ``out``, not yet made of ``source``, can be scored against ``truth``.

    Args:
        height, width: pixels of ``out``.
        copies: ``out`` has the source's own bands.

    Raises:
        InputError: it cannot.
    """
    with open_raster(truth) as (_, of_truth), open_raster(source) as (_, meta):
        _refuse_unless_rgb(truth, of_truth)
        if copies:
            _refuse_unless_rgb(source, meta)
        refuse_other_grid(truth, of_truth, out, on_grid(meta, height, width))


def _tiles(raster: Any, meta: RasterMeta) -> Iterator[RGB]:
    source = RasterSource(raster, meta, (1, 2, 3))
    for row in range(0, meta.height, SIDE):
        for column in range(0, meta.width, SIDE):
            bottom, right = min(row + SIDE, meta.height), min(column + SIDE, meta.width)
            bands: RGB = source.read(row, bottom, column, right).values
            yield np.ascontiguousarray(bands.transpose(1, 2, 0))


def _refuse_unless_rgb(path: Location, meta: RasterMeta) -> None:
    if meta.count < 3 or set(meta.dtypes[:3]) != {"uint8"}:
        raise InputError(
            f"{path}: has {meta.count} bands of {meta.dtypes[0]}; scores compare maps of "
            "three bands of uint8: red, green, blue"
        )
