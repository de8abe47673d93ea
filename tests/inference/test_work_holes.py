"""Work on another grid than the raster's own: its holes come back as they were."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from eo_contrast.inference.plan import plan_inference
from eo_contrast.inference.stream import Tally
from eo_contrast.inference.work import Work
from eo_contrast.raster.pieces import finished_pieces, piece_count, read_piece
from eo_contrast.raster.reader import Pixels
from eo_contrast.raster.resample import ResampledSource

HEIGHT, WIDTH = 700, 90


class HoledRaster:
    """A ``Source`` of one value, 7, a tenth of which is invalid."""

    name = "holed"
    bands = 1
    dtype = np.dtype(np.uint8)
    may_be_invalid = True
    height, width = HEIGHT, WIDTH

    def __init__(self) -> None:
        self.valid = np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.1
        self.valid[100:160, 30:77] = False

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        valid = self.valid[top:bottom, left:right]
        return Pixels(values=np.where(valid, 7, 0).astype(np.uint8)[None], valid=valid)


class SameTiles:
    """A ``TileModel`` that gives what it is given."""

    bands_in = bands_out = ("grey",)
    dtype_out = "uint8"
    halo, stride, joining = 0, 1, "blend"
    device = torch.device("cpu")

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        return {}

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Nothing depends on the scene."""

    def __call__(self, tiles: Tensor) -> Tensor:
        return tiles


def made(folder: Path, factor: float, stretches: list[list[int]]) -> Pixels:
    """The whole result, its pieces made in these stretches."""
    raster, model = HoledRaster(), SameTiles()
    size = (round(HEIGHT / factor), round(WIDTH / factor))
    seen = ResampledSource(raster, *size)
    plan = plan_inference(seen, model, tile=64, overlap=16)
    work = Work(lambda: nullcontext(seen), model, plan, HEIGHT, WIDTH)
    folder.mkdir()
    for pieces in stretches:
        work.make_pieces(pieces, folder, tally=Tally())
    files = finished_pieces(folder)
    parts = [read_piece(files[piece], masked=True) for piece in sorted(files)]
    return Pixels(
        values=np.concatenate([part.values for part in parts], axis=1),
        valid=np.concatenate([part.valid for part in parts]),
    )


@pytest.mark.parametrize("factor", [8, 3.7, 0.5])
@pytest.mark.parametrize("stretches", [[[0, 1]], [[1], [0]]])
def test_the_result_has_the_raster_s_own_holes(tmp_path, factor, stretches):
    assert piece_count(HEIGHT) == 2
    result = made(tmp_path / "pieces", factor, stretches)
    expected = HoledRaster().valid
    np.testing.assert_array_equal(result.valid, expected)
    np.testing.assert_array_equal(result.values[0], np.where(expected, 7, 0))
