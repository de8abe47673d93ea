"""``eo-contrast import-encoder``: weights of others become an encoder that every command takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from typed import done, typed

from eo_contrast.training.encoder_card import load_encoder

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A ResNet-18 of three bands as its own library would save it."""
    path = tmp_path_factory.mktemp("weights") / "plain.pth"
    torch.save(timm.create_model("resnet18", num_classes=0).state_dict(), path)
    return path


@torch.no_grad()
def test_what_is_made_says_what_the_weights_say(weights, tmp_path):
    out = tmp_path / "mine.safetensors"
    told = json.loads(
        done(["import-encoder", weights, "--input", "imagenet", "--out", out, "--json"]).stdout
    )
    assert told["bands"] == ["red", "green", "blue"]
    net, card = load_encoder(out)
    plain = timm.create_model("resnet18", num_classes=0).eval()
    plain.load_state_dict(torch.load(weights))
    pictures = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(net("image", pictures), plain(pictures))
    eats = card.sensors["image"]
    assert eats.mean == pytest.approx(MEAN.flatten().tolist())
    assert eats.deviation == pytest.approx(DEVIATION.flatten().tolist())


def test_a_network_of_a_fixed_size_is_built_for_its_own(tmp_path):
    plain = tmp_path / "vit.pth"
    net = timm.create_model("vit_small_patch16_224", num_classes=0, img_size=64)
    torch.save(net.state_dict(), plain)
    words = ["import-encoder", plain, "--input", "imagenet", "--architecture", "vit_small"]
    done([*words, "--size", "64", "--out", tmp_path / "vit.safetensors"])
    _, card = load_encoder(tmp_path / "vit.safetensors")
    assert (card.size, card.architecture.built_size) == (64, 64)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"--input": "ssl4eo"}, "input 'ssl4eo': unknown; known ones are imagenet seco"),
        ({"--input": "ssl4eo-s2-all"}, "plain.pth: "),
        ({"--architecture": "resnet19"}, "--architecture: 'name' is 'resnet19'"),
        ({"--architecture": "resnet50"}, "plain.pth: "),
        ({"--out": "mine.pth"}, "mine.pth: an encoder is a .safetensors file; give --out mine.s"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(weights, tmp_path, changed, says):
    options = {"--input": "imagenet", "--out": "mine.safetensors"} | changed
    words = [word for pair in options.items() for word in pair]
    result = typed(["import-encoder", weights, *words], tmp_path)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert says in line
    assert not list(tmp_path.iterdir())


def test_weights_given_as_a_model_are_told_the_way(weights, tmp_path):
    words = [
        "embed",
        tmp_path / "none.parquet",
        "--model",
        weights,
        "--out",
        tmp_path / "o.parquet",
    ]
    result = typed(words)
    assert result.exit_code == 2
    assert "eo-contrast import-encoder makes one of weights" in result.stderr
