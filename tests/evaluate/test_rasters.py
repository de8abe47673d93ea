"""Two map rasters are scored as their tiles would be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.errors import InputError
from eo_contrast.evaluate.map_agreement import load_palette
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.evaluate.rasters import score_rasters, tiles_of

HEIGHT, WIDTH = 300, 530
CUTS = [(rows, columns) for rows in (0, 256) for columns in (0, 256, 512)]


@pytest.fixture
def maps(tmp_path: Path) -> list[tuple[Path, np.ndarray]]:
    draws = np.random.default_rng(0)
    values = [draws.integers(0, 256, (3, HEIGHT, WIDTH), np.uint8) for _ in range(2)]
    paths = [tmp_path / "real.tif", tmp_path / "fake.tif"]
    return [
        (write_raster(path, pixels, **UTM_10M), pixels.transpose(1, 2, 0))
        for path, pixels in zip(paths, values, strict=True)
    ]


def cut(image: np.ndarray) -> list[np.ndarray]:
    return [image[row : row + 256, column : column + 256] for row, column in CUTS]


def test_tiles_cover_the_raster_by_rows_and_end_at_its_edge(maps):
    path, pixels = maps[0]
    for got, wanted in zip(tiles_of(path), cut(pixels), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_scores_are_those_of_the_tiles(maps):
    (real, real_pixels), (fake, fake_pixels) = maps
    palette = load_palette("osm16")
    wanted = score_pairs(zip(cut(real_pixels), cut(fake_pixels), strict=True), palette)
    assert score_rasters(real, fake, palette) == wanted


def test_another_size_is_refused_with_both_sizes(maps, tmp_path):
    other = write_raster(tmp_path / "small.tif", random_values(3, 20, 10), **UTM_10M)
    with pytest.raises(InputError, match=r"small\.tif: is 10 x 20 .* 530 x 300.*same grid"):
        score_rasters(other, maps[0][0], None)


def test_one_band_is_refused(maps, tmp_path):
    grey = write_raster(tmp_path / "grey.tif", random_values(1, HEIGHT, WIDTH), **UTM_10M)
    with pytest.raises(InputError, match=r"grey\.tif: has 1 bands of uint8"):
        score_rasters(maps[0][0], grey, None)


def test_a_truth_of_the_same_size_elsewhere_is_refused(maps, tmp_path):
    moved = {**UTM_10M, "transform": UTM_10M["transform"] @ Affine.translation(3, 0)}
    other = write_raster(tmp_path / "moved.tif", random_values(3, HEIGHT, WIDTH), **moved)
    with pytest.raises(InputError, match=r"moved\.tif: lies elsewhere than .*fake\.tif"):
        score_rasters(other, maps[1][0], None)


def test_a_truth_without_a_place_is_taken_as_it_lies(maps, tmp_path):
    bare = write_raster(tmp_path / "bare.tif", random_values(3, HEIGHT, WIDTH))
    assert score_rasters(bare, maps[1][0], None)["n"] == len(CUTS)


def test_a_truth_that_is_cut_short_is_named(maps):
    (real, _), (fake, _) = maps
    real.write_bytes(real.read_bytes()[: real.stat().st_size // 2])
    with pytest.raises(InputError, match=r"real\.tif"):
        score_rasters(real, fake, None)
