"""The sample of a scene: even, valid, and as many tiles as one batch can hold."""

from __future__ import annotations

import numpy as np
import pytest

from eo_contrast.inference.statistics import MOST_TILES, sample_tiles
from eo_contrast.raster.reader import Pixels


class GradientSource:
    """A ``Source`` whose two bands are row and column number; invalid left of ``first_valid``."""

    name = "gradient"
    bands = 2
    dtype = np.dtype(np.float32)
    may_be_invalid = True

    def __init__(self, height: int, width: int, first_valid: int = 0) -> None:
        self.height, self.width, self.first_valid = height, width, first_valid

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        return Pixels(values=np.stack([rows, columns]), valid=columns >= self.first_valid)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((1, 1), (1, 2, 16, 16)),
        ((100, 30), (1, 2, 100, 32)),
        ((256, 256), (1, 2, 256, 256)),
        ((256, 600), (3, 2, 256, 256)),
        ((5000, 4000), (MOST_TILES, 2, 256, 256)),
    ],
)
def test_a_scene_gives_as_many_tiles_as_fit_and_at_most_a_batch(size, shape):
    assert tuple(sample_tiles(GradientSource(*size), stride=4).shape) == shape


def test_the_sample_has_about_the_mean_of_the_scene():
    tiles = sample_tiles(GradientSource(5000, 4000), stride=4)
    rows, columns = tiles.mean(dim=(0, 2, 3)).tolist()
    assert rows == pytest.approx(2500, rel=0.1)
    assert columns == pytest.approx(2000, rel=0.1)


def test_tiles_of_mostly_invalid_pixels_are_left_out():
    tiles = sample_tiles(GradientSource(2000, 2000, first_valid=1000), stride=4)
    assert tiles[:, 1].min() >= 1000


def test_a_scene_without_a_valid_pixel_has_no_sample():
    assert sample_tiles(GradientSource(300, 300, first_valid=300), stride=4) is None
