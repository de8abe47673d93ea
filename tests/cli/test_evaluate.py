"""``eo-contrast evaluate translation`` as others script against it: words, JSON, exit codes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from eo_contrast.cli import main
from eo_contrast.evaluate.map_agreement import load_palette
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.training.card import Card, save_model

RGB = NDArray[np.uint8]

GROUND, ROAD, PARK = (242, 239, 232), (255, 255, 255), (205, 247, 201)
SCORES = {"n", "psnr", "ssim", "within_5", "within_10", "agreement", "road", "palette"}


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["evaluate", "translation", *map(str, words)])


def scores_of(*words: str | Path) -> dict[str, Any]:
    result = run(*words, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    scores: dict[str, Any] = json.loads(result.stdout)
    return scores


def street_map(row: int, height: int = 26, width: int = 30) -> RGB:
    """Ground with a park and one road; neither water, motorway nor building."""
    image = np.full((height, width, 3), GROUND, np.uint8)
    image[:, :8] = PARK
    image[row : row + 3] = ROAD
    return image


def noise(seed: int) -> RGB:
    return np.random.default_rng(seed).integers(0, 256, (26, 30, 3), np.uint8)


def save(path: Path, pixels: RGB) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


REALS = [street_map(4), street_map(10), street_map(16)]
FAKES = [street_map(6), street_map(10), street_map(1)]
SATELLITES = [noise(seed) for seed in range(3)]


def as_json(scores: dict[str, Any]) -> dict[str, Any]:
    """Scores as JSON can hold them: null for what is not a number."""
    plain = {}
    for name, value in scores.items():
        if isinstance(value, dict):
            plain[name] = as_json(value)
        else:
            plain[name] = None if isinstance(value, float) and math.isnan(value) else value
    return plain


@pytest.fixture
def folders(tmp_path: Path) -> list[str | Path]:
    for number in range(3):
        save(tmp_path / "real" / f"{number}.png", REALS[number])
        save(tmp_path / "fake" / f"{number}.png", FAKES[number])
    return ["--real", tmp_path / "real", "--fake", tmp_path / "fake"]


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Side-by-side files: all three places under test/, the first alone under few/."""
    root = tmp_path / "tiles"
    for number in range(3):
        both = np.hstack([SATELLITES[number], REALS[number]])
        save(root / "test" / f"{number}.png", both)
    save(root / "few" / "0.png", np.hstack([SATELLITES[0], REALS[0]]))
    return root


def saved_model(folder: Path, **card: Any) -> Path:
    torch.manual_seed(0)
    config = GeneratorConfig(width=2, blocks=1)
    folder.mkdir()
    save_model(
        ResnetGenerator(config), Card(architecture=config, **card), folder / "model.safetensors"
    )
    return folder


def test_json_holds_the_scores_of_the_two_folders(folders):
    scores = scores_of(*folders, "--paired", "--palette", "osm16")
    assert scores.keys() == SCORES
    assert scores.pop("palette") == "osm16"
    expected = score_pairs(zip(REALS, FAKES, strict=True), load_palette("osm16"))
    assert scores == as_json(expected)


def test_json_is_null_for_a_class_that_is_in_no_map(folders):
    agreement = scores_of(*folders, "--paired")["agreement"]
    absent = {name for name, value in agreement.items() if value is None}
    assert absent == {"water", "motorway", "building"}


def test_the_palette_that_was_guessed_is_told_but_not_when_quiet(folders):
    loud = run(*folders, "--paired", "--json")
    assert loud.stderr == "palette: osm16 (has the colours of 100% of the true maps' pixels)\n"
    assert json.loads(loud.stdout)["palette"] == "osm16"
    assert run(*folders, "--paired", "--json", "--quiet").stderr == ""


def test_a_palette_file_decides_on_the_classes(folders, tmp_path):
    own = {"name": "own", "classes": {"land": [list(GROUND)], "street": [list(ROAD)]}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**own, "roads": ["street"]}))
    scores = scores_of(*folders, "--paired", "--palette", tmp_path / "own.yaml")
    assert scores["palette"] == "own"
    assert list(scores["agreement"]) == ["land", "street", "mean_iou"]


def test_in_words_each_score_has_a_line_with_its_unit_and_each_baseline_a_column(folders):
    result = run(*folders, "--paired", "--baselines")
    scores = scores_of(*folders, "--paired", "--baselines")
    baseline = scores["baselines"]["commonest_colour"]
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["translated", "commonest", "colour"]
    table = {line[:20].strip(): line[20:].split() for line in lines}
    assert table["PSNR [dB]"] == [f"{scores['psnr']:.2f}", f"{baseline['psnr']:.2f}"]
    shares = [f"{100 * found['within_5']:.1f}" for found in (scores, baseline)]
    assert table["within 5 [%]"] == shares
    assert table["park"] == [f"{scores['agreement']['park']:.3f}", "0.000"]
    assert table["water"] == ["–", "–"]


def test_the_baseline_of_folders_is_one_colour_everywhere(folders):
    baselines = scores_of(*folders, "--paired", "--baselines")["baselines"]
    assert baselines.keys() == {"commonest_colour"}
    plain = [(real, np.full_like(real, GROUND)) for real in REALS]
    expected = as_json(score_pairs(plain, load_palette("osm16")))
    assert baselines["commonest_colour"] == expected


def test_identity_on_pairs_scores_the_untranslated_image(tiles):
    scores = scores_of("--data", tiles, "--model", "identity", "--baselines")
    baselines = scores.pop("baselines")
    assert baselines.keys() == {"commonest_colour", "untranslated"}
    assert scores.pop("palette") == "osm16"
    assert scores == baselines["untranslated"]
    expected = score_pairs(zip(REALS, SATELLITES, strict=True), load_palette("osm16"))
    assert scores == as_json(expected)


def test_the_split_decides_on_the_pairs(tiles):
    few = scores_of("--data", tiles, "--model", "identity", "--split", "few")
    assert few["n"] == 1
    assert few["psnr"] == score_pairs([(REALS[0], SATELLITES[0])], None)["psnr"]


def test_a_model_draws_images_whose_sides_are_no_multiple_of_its_stride(tiles, tmp_path):
    model = saved_model(tmp_path / "run", palette="osm16")
    scores = scores_of("--data", tiles, "--model", model, "--device", "cpu")
    assert scores.keys() == SCORES
    assert scores["n"] == 3
    assert -1 <= scores["ssim"] <= 1


def test_the_palette_on_the_models_card_goes_before_a_guess(tiles, tmp_path):
    model = saved_model(tmp_path / "run", palette="pix2pix-maps")
    words = ["--data", tiles, "--model", model, "--device", "cpu"]
    assert scores_of(*words)["palette"] == "pix2pix-maps"
    assert scores_of(*words, "--palette", "osm16")["palette"] == "osm16"


def test_a_model_of_other_bands_is_refused_by_name(tiles, tmp_path):
    model = saved_model(tmp_path / "run", bands_in=("nir", "red", "green"))
    result = run("--data", tiles, "--model", model, "--palette", "osm16", "--device", "cpu")
    assert result.exit_code == 2
    assert "model.safetensors: its bands are nir red green" in result.stderr


def test_folders_are_not_taken_for_pairs_unless_told(folders):
    result = run(*folders)
    assert result.exit_code == 2
    assert "add --paired" in result.stderr


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", "no source"),
        ("--real a", "--real"),
        ("--fake a --paired", "--fake"),
        ("--data a", "--data"),
        ("--model identity", "--model"),
        ("--real a --model identity", "--real --model"),
        ("--real a --fake b --data c --paired", "--real --fake --data"),
        ("--real a --fake b --model identity --paired", "--real --fake --model"),
        ("--fake a --data b --model identity", "--fake --data --model"),
    ],
)
def test_half_a_source_or_a_mixed_one_is_told_what_to_give(given, found):
    result = run(*given.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"found {found}; give either --real DIR --fake DIR --paired, or --data" in result.stderr


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda root: (root / "fake" / "1.png").unlink(), "fake: no image named 1,"),
        (lambda root: (root / "fake" / "1.png").write_text("?"), "fake/1.png: not readable"),
        (lambda root: save(root / "fake" / "1.png", noise(0)[:9]), "1.png: 30x9 pixels, the true"),
        (lambda root: [save(f, noise(0)) for f in (root / "real").iterdir()], "--palette: none"),
    ],
)
def test_folders_that_cannot_be_scored_are_one_line_and_exit_code_2(folders, tmp_path, spoil, told):
    spoil(tmp_path)
    result = run(*folders, "--paired", "--json", "--quiet")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr


def test_an_unknown_palette_lists_the_shipped_ones(folders):
    result = run(*folders, "--paired", "--palette", "osm")
    assert result.exit_code == 2
    assert "shipped ones are osm16, pix2pix-maps" in result.stderr


def test_a_model_trained_on_right_halves_is_scored_on_right_halves(tmp_path):
    for name, flipped in (("left", False), ("right", True)):
        for number in range(2):
            halves = [noise(number), street_map(10 + number, 32, 32)]
            halves = [half[:24, :24] for half in halves]
            save(
                tmp_path / name / "test" / f"{number}.png",
                np.hstack(halves[::-1] if flipped else halves),
            )
    plain = saved_model(tmp_path / "plain", palette="osm16")
    config = "data:\n  satellite_side: right\n"
    mirrored = saved_model(tmp_path / "mirrored", palette="osm16", trained={"config": config})
    wanted = scores_of("--data", tmp_path / "left", "--model", plain)
    assert scores_of("--data", tmp_path / "right", "--model", mirrored) == wanted
    told = ("--data", tmp_path / "right", "--model", plain, "--satellite-side", "right")
    assert scores_of(*told) == wanted
