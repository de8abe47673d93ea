"""Rasters whose numbers cannot be the card's: refused in one line, before any tile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.errors import InputError
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.raster.reader import Pixels, open_raster
from eo_contrast.training.card import Card, InputScaling, save_model
from eo_contrast.translate.job import TranslateOptions, prepare_job
from eo_contrast.translate.tile_models import Model, load_tile_model


@pytest.fixture
def picture_model(tmp_path: Path) -> Model:
    return saved_model(tmp_path / "picture")


def saved_model(folder: Path, **card: Any) -> Model:
    config = GeneratorConfig(width=4, blocks=1)
    folder.mkdir()
    save_model(
        ResnetGenerator(config), Card(architecture=config, **card), folder / "model.safetensors"
    )
    return load_tile_model(str(folder), torch.device("cpu"))


def seen(path: Path, model: Model, scaling: str) -> Pixels:
    """What the model is shown of the whole raster, in its card's unit."""
    options = TranslateOptions(scaling=scaling)
    with open_raster(path) as (dataset, meta):
        job = prepare_job(dataset, meta, model, options, path)
    with job.opener() as source:
        return source.read(0, source.height, 0, source.width)


def test_percentiles_are_those_of_a_lone_patch_that_an_even_sample_misses(tmp_path, picture_model):
    values = np.zeros((3, 3000, 3000), np.uint8)
    patch = random_values(3, 120, 120) // 4 + 20
    values[:, 300:420, 300:420] = patch
    path = write_raster(tmp_path / "a.tif", values, nodata=0, compress="deflate", **UTM_10M)
    low, high = np.percentile(patch.astype(float), (2, 98), axis=(1, 2), keepdims=True)
    shown = seen(path, picture_model, "percentiles").values[:, 300:420, 300:420]
    np.testing.assert_allclose(shown, (patch - low) / (high - low) * 255, rtol=1e-4, atol=1e-2)


def test_percentiles_of_nothing_valid_are_refused(tmp_path, picture_model):
    values = np.zeros((3, 300, 300), np.uint8)
    path = write_raster(tmp_path / "a.tif", values, nodata=0, **UTM_10M)
    with pytest.raises(InputError, match=r"a\.tif: has no valid pixel .* --scaling LOW,HIGH"):
        seen(path, picture_model, "percentiles")


def test_bytes_are_refused_by_a_model_of_reflectance(tmp_path):
    model = saved_model(tmp_path / "run", scaling=InputScaling(minimum=0, maximum=1))
    path = write_raster(tmp_path / "a.tif", random_values(3, 30, 30), **UTM_10M)
    with pytest.raises(InputError, match="uint8 with values up to 255, the model takes 0 to 1;"):
        seen(path, model, "card")
    assert seen(path, model, "dtype").values.max() == pytest.approx(1)


def test_bytes_pass_by_their_scale_and_as_a_picture(tmp_path, picture_model):
    def scale(dataset: Any) -> None:
        dataset.scales = (1 / 255,) * 3

    model = saved_model(tmp_path / "run", scaling=InputScaling(minimum=0, maximum=1))
    values = random_values(3, 30, 30)
    scaled = write_raster(tmp_path / "a.tif", values, edit=scale, **UTM_10M)
    np.testing.assert_allclose(seen(scaled, model, "card").values, values / 255, rtol=1e-5)
    plain = write_raster(tmp_path / "b.tif", values, **UTM_10M)
    np.testing.assert_array_equal(seen(plain, picture_model, "card").values, values)


def test_bytes_of_decibels_are_no_other_unit(tmp_path):
    def scale(dataset: Any) -> None:
        dataset.scales, dataset.offsets = (0.1,) * 3, (-26.0,) * 3

    model = saved_model(tmp_path / "run", scaling=InputScaling(minimum=-25, maximum=0))
    values = random_values(3, 30, 30)
    path = write_raster(tmp_path / "a.tif", values, edit=scale, **UTM_10M)
    np.testing.assert_allclose(seen(path, model, "card").values, values * 0.1 - 26, atol=1e-4)
    counts = write_raster(tmp_path / "b.tif", random_values(3, 30, 30, "uint16"), **UTM_10M)
    with pytest.raises(InputError, match="uint16 with values up to 65535"):
        seen(counts, model, "card")
