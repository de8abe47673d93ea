"""Which statistics a translator should normalise by: maps of real pairs, scored under each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.data.image_pairs import ImagePairs, read_pair
from eo_contrast.data.resize import at_zoom
from eo_contrast.evaluate.map_agreement import Palette
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.inference.plan import Plan, TileModel, plan_inference
from eo_contrast.inference.statistics import sample_tiles
from eo_contrast.inference.stream import Tally, as_tile, infer, read_rows
from eo_contrast.raster.reader import Pixels, Source, all_valid
from eo_contrast.raster.windows import Span
from eo_contrast.translate.tile_models import Model

RGB = NDArray[np.uint8]

Norm = Literal["scene", "tile", "kernelised"]
NORMS: tuple[Norm, ...] = ("scene", "tile", "kernelised")
# Neighbours on each side whose statistics count: 3 x 3 tiles.
KERNEL_REACH = 1


@dataclass
class ArraySource:
    """A picture in memory as the engine reads rasters."""

    image: RGB
    name: str = "mosaic"
    bands: int = 3
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))
    may_be_invalid: bool = False

    def __post_init__(self) -> None:
        self.height, self.width = self.image.shape[:2]

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """A window of it."""
        values = self.image[top:bottom, left:right].transpose(2, 0, 1)
        return Pixels(values=values, valid=all_valid(bottom - top, right - left))


class Kernelised:
    """A ``TileModel`` that normalises each tile by the statistics of the tiles around it.

    Mean and deviation of a tile are averaged over it and its neighbours, the border's repeated
    (kernelised instance norm with a constant kernel, Ho et al. 2022). Tiles must come in the
    plan's order, row by row, none skipped.
    """

    def __init__(self, tiles: TileModel, source: Source, plan: Plan) -> None:
        self._tiles = tiles
        self.bands_in, self.bands_out = tiles.bands_in, tiles.bands_out
        self.dtype_out, self.joining = tiles.dtype_out, tiles.joining
        self.halo, self.stride = tiles.halo, tiles.stride
        self._table = [
            [tiles.scene_statistics(_tile(source, row, column, tiles)) for column in plan.columns]
            for row in plan.rows
        ]
        self._turn = 0

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        """Of ``tiles``, as the model itself."""
        return self._tiles.scene_statistics(tiles)

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Begin with the first tile; the statistics are the tiles' own."""
        self._turn = 0

    def __call__(self, tiles: Tensor) -> Tensor:
        row, column = divmod(self._turn, len(self._table[0]))
        self._turn += 1
        self._tiles.prepare(_averaged(list(self._around(row, column))))
        return self._tiles(tiles)

    def _around(self, row: int, column: int) -> Iterator[dict[str, Tensor]]:
        reach = range(-KERNEL_REACH, KERNEL_REACH + 1)
        for down in reach:
            for right in reach:
                i = min(max(row + down, 0), len(self._table) - 1)
                j = min(max(column + right, 0), len(self._table[0]) - 1)
                yield self._table[i][j]


def score_norms(
    pairs: ImagePairs, model: Model, palette: Palette, *, tile: int, columns: int
) -> dict[str, dict[str, Any]]:
    """Lay all satellite images of a split side by side as one scene, and translate it by tiles.

    Args:
        pairs: paired and all of one size.
        model: takes RGB; the scene is brought to the scale it was trained at.
        tile: side in pixels at that scale.
        columns: images beside each other.

    Returns: by norm (scene, tile, kernelised): ``PairedScores.result`` of the images cut out of
        the map again.
    """
    read = [read_pair(pairs, index) for index in range(len(pairs.a))]
    reals = [real for _, real in read]
    scene = mosaic([satellite for satellite, _ in read], columns)
    zoom = model.card.zoom if model.card else 1.0
    scores: dict[str, dict[str, Any]] = {}
    for norm in NORMS:
        made = at_zoom(scene, zoom, partial(translate_scene, model=model, norm=norm, tile=tile))
        fakes = cut_apart(made, reals[0].shape, len(reals))
        scores[norm] = score_pairs(zip(reals, fakes, strict=True), palette)
    return scores


def translate_scene(image: RGB, *, model: Model, norm: Norm, tile: int) -> RGB:
    """The map of a picture (H, W, 3), made tile by tile."""
    source = ArraySource(image)
    plan = plan_inference(source, model.tiles, tile=tile)
    tiles: TileModel = model.tiles
    if norm == "kernelised":
        tiles = Kernelised(model.tiles, source, plan)
    sample = sample_tiles(source, stride=tiles.stride) if norm == "scene" else None
    tiles.prepare(None if sample is None else tiles.scene_statistics(sample))
    tally = Tally()
    strips = read_rows(lambda: nullcontext(source), plan.rows, tally)
    made = [strip.values for strip in infer(strips, tiles, plan, tally=tally)]
    return np.concatenate(made, axis=1).transpose(1, 2, 0).astype(np.uint8)


def mosaic(images: Sequence[RGB], columns: int) -> RGB:
    """Images of one size side by side, row by row; the last row is filled up from the first."""
    missing = -len(images) % columns
    filled = [*images, *(images[k % len(images)] for k in range(missing))]
    rows = [
        np.concatenate(filled[first : first + columns], axis=1)
        for first in range(0, len(filled), columns)
    ]
    return np.concatenate(rows)


def cut_apart(picture: RGB, shape: tuple[int, ...], count: int) -> list[RGB]:
    """The first ``count`` images of a mosaic whose images have this shape."""
    height, width = shape[:2]
    columns = picture.shape[1] // width
    corners = [(k // columns * height, k % columns * width) for k in range(count)]
    return [picture[top : top + height, left : left + width] for top, left in corners]


def _tile(source: Source, row: Span, column: Span, tiles: TileModel) -> Tensor:
    pixels = source.read(row.start, row.stop, column.start, column.stop)
    return as_tile(pixels, tiles.stride)


def _averaged(tables: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of the means, and the square of the mean deviation, norm by norm."""
    averaged = {}
    for name in tables[0]:
        means, variances = torch.stack([table[name] for table in tables]).unbind(dim=1)
        averaged[name] = torch.stack((means.mean(dim=0), variances.sqrt().mean(dim=0).square()))
    return averaged
