"""A model trained on shrunk tiles says so, and is shown tiles as it was trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import TINY

from eo_contrast.data.image_pairs import find_image_pairs, read_pair
from eo_contrast.data.resize import at_zoom
from eo_contrast.evaluate.map_agreement import load_palette
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.training.card import read_card
from eo_contrast.training.run_folder import RunOptions
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.run import train_translator
from eo_contrast.translate.score import score_model, translate_image
from eo_contrast.translate.tile_models import load_tile_model

SIDE = 40


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs named by quadkey, so that their ground resolution is known."""
    root = tmp_path_factory.mktemp("placed")
    draws = np.random.default_rng(1)
    for split, count in (("train", 3), ("test", 2)):
        (root / split).mkdir()
        for number in range(count):
            rough = draws.integers(0, 256, (5, 10, 3), dtype=np.uint8)
            image = Image.fromarray(rough).resize((2 * SIDE, SIDE), Image.Resampling.BILINEAR)
            image.save(root / split / f"021230021131312{number}.png")
    return root


def config(load_size: int | None) -> TranslatorConfig:
    crop = {"load_size": load_size, "crop_size": 16}
    schedule = {"unit": "steps", "constant": 2, "decay": 2}
    data = {"crop": crop, "palette": "osm16"}
    return TranslatorConfig.model_validate({**TINY, "data": data, "schedule": schedule})


def trained(root: Path, out: Path, load_size: int | None) -> Path:
    train_translator(config(load_size), root, out, RunOptions(device="cpu", quiet=True))
    return out


def test_the_card_states_the_resolution_of_what_the_network_saw(placed, tmp_path):
    plain = read_card(trained(placed, tmp_path / "plain", None)).ground_resolution_m
    halved = read_card(trained(placed, tmp_path / "halved", SIDE // 2)).ground_resolution_m
    assert plain is not None
    assert halved == pytest.approx(2 * plain, abs=2e-3)


def test_tiles_are_scored_at_the_models_resolution_while_and_after_training(placed, tmp_path):
    run = trained(placed, tmp_path / "halved", SIDE // 2)
    pairs, palette = find_image_pairs(placed, "test"), load_palette("osm16")
    model = load_tile_model(str(run), torch.device("cpu"))
    got = score_model(pairs, model, palette, baselines=False, done=lambda _: None)
    both = [read_pair(pairs, index) for index in range(2)]
    wanted = score_pairs(
        [(real, at_zoom(a, 0.5, lambda image: translate_image(model, image))) for a, real in both],
        palette,
    )
    assert got == wanted
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["psnr"] == pytest.approx(wanted["psnr"], abs=1e-3)


def test_tiles_of_unknown_resolution_are_scored_as_they_were_trained(tiles, tmp_path):
    run = trained(tiles, tmp_path / "halved", SIDE // 2)
    card = read_card(run)
    assert (card.ground_resolution_m, card.zoom) == (None, 0.5)
    pairs, palette = find_image_pairs(tiles, "test"), load_palette("osm16")
    model = load_tile_model(str(run), torch.device("cpu"))
    scores = score_model(pairs, model, palette, baselines=False, done=lambda _: None)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["psnr"] == pytest.approx(scores["psnr"], abs=1e-3)
