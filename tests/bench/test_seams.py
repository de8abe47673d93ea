"""Seams are measured where there is enough of a raster; less is refused in one line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.bench.seams import measure_seams
from eo_contrast.cli import main
from eo_contrast.errors import InputError
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.raster.reader import open_raster
from eo_contrast.training.card import Card, save_model
from eo_contrast.translate.job import TranslateOptions, prepare_job
from eo_contrast.translate.tile_models import Model, load_tile_model

TILE = 128


@pytest.fixture
def model(tmp_path: Path) -> Model:
    torch.manual_seed(0)
    net = ResnetGenerator(GeneratorConfig(width=4, blocks=1))
    save_model(net, Card(architecture=net.config), tmp_path / "model.safetensors")
    return load_tile_model(str(tmp_path / "model.safetensors"), torch.device("cpu"), "fp32")


def seams(path: Path, model: Model, norm: str, tile: int = TILE) -> dict[str, float]:
    with open_raster(path) as (dataset, meta):
        job = prepare_job(dataset, meta, model, TranslateOptions(tile=tile), path)
    return measure_seams(job.opener, model, norm=norm, tile=tile, overlap=None)


def test_a_scene_s_statistics_leave_no_seam_and_a_tile_s_do(tmp_path, model):
    path = write_raster(tmp_path / "a.tif", random_values(3, 400, 420), **UTM_10M)
    scene, tile = (seams(path, model, norm) for norm in ("scene", "tile"))
    assert scene["tiles"] == tile["tiles"] > 1
    assert scene["max_grey"] <= 1
    assert tile["mean_grey"] > scene["mean_grey"]


def test_the_smallest_raster_that_shows_something_is_measured_and_one_less_refused(tmp_path, model):
    small = write_raster(tmp_path / "small.tif", random_values(3, 300, 1), **UTM_10M)
    with pytest.raises(InputError, match=r"small\.tif: 1 x 300 pixels, too few") as refusal:
        seams(small, model, "scene")
    least = int(
        re.search(r"more than (\d+) pixels a side, or a smaller --tile", str(refusal.value))[1]
    )
    below = write_raster(tmp_path / "below.tif", random_values(3, least, 300), **UTM_10M)
    with pytest.raises(InputError, match=f"300 x {least} pixels, too few"):
        seams(below, model, "scene")
    enough = write_raster(tmp_path / "b.tif", random_values(3, least + 1, least + 1), **UTM_10M)
    assert seams(enough, model, "scene")["max_grey"] >= 0


def test_a_raster_too_small_is_one_line_and_exit_2(tmp_path, model):
    path = write_raster(tmp_path / "a.tif", random_values(3, 100, 100), **UTM_10M)
    words = ["bench", "translate", "--model", model.given, "--source", str(path), "--quiet"]
    result = CliRunner().invoke(main, [*words, "--repeats", "1"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert f"error: {path}: 100 x 100 pixels, too few to look for seams of tiles" in result.stderr
