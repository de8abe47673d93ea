"""The mosaic on which norms are compared, and the three ways of normalising it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from eo_contrast.bench.norms import NORMS, cut_apart, mosaic, score_norms, translate_scene
from eo_contrast.data.image_pairs import find_image_pairs
from eo_contrast.evaluate.map_agreement import load_palette
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.training.card import Card, save_model
from eo_contrast.translate.tile_models import load_tile_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    shape = GeneratorConfig(width=4, blocks=1)
    save_model(ResnetGenerator(shape), Card(architecture=shape), path)
    return load_tile_model(str(path), torch.device("cpu"), "fp32")


def photos(count: int) -> list[np.ndarray]:
    """Each of its own brightness, as photos of different places are."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(40 * number, 40 * number + 60, (64, 64, 3)).astype(np.uint8)
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (5, 3), (3, 4)])
def test_a_mosaic_cut_apart_gives_the_images_back(count, columns):
    images = photos(count)
    joined = mosaic(images, columns)
    assert joined.shape == (-(-count // columns) * 64, columns * 64, 3)
    for image, again in zip(images, cut_apart(joined, (64, 64, 3), count), strict=True):
        np.testing.assert_array_equal(image, again)


def test_one_tile_is_normalised_alike_by_itself_and_by_its_neighbours(model):
    scene = photos(3)[1]
    by_tile = translate_scene(scene, model=model, norm="tile", tile=64).astype(int)
    around = translate_scene(scene, model=model, norm="kernelised", tile=64).astype(int)
    assert np.abs(by_tile - around).max() <= 1


def test_a_scene_of_unlike_photos_looks_different_under_each_norm(model):
    scene = mosaic(photos(4), 2)
    maps = [translate_scene(scene, model=model, norm=norm, tile=64).astype(int) for norm in NORMS]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(maps[one] - maps[other]).mean() > 0.5


def test_every_pair_is_scored_under_every_norm(model, tmp_path):
    (tmp_path / "test").mkdir()
    for number, photo in enumerate(photos(3)):
        both = np.concatenate([photo, photo[::-1]], axis=1)
        Image.fromarray(both).save(tmp_path / "test" / f"{number}.png")
    pairs = find_image_pairs(tmp_path, "test")
    scores = score_norms(pairs, model, load_palette("osm16"), tile=64, columns=2)
    assert list(scores) == list(NORMS)
    assert all(of_norm["n"] == 3 and 0 < of_norm["psnr"] < 100 for of_norm in scores.values())
