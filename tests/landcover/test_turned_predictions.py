"""With ``head.turns`` a place that lies another way round is told the same, at the same pixels."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sources import Source, coloured, mapped, written

from eo_contrast.data.place_sources import open_places
from eo_contrast.data.sensors import sensor_input
from eo_contrast.landcover.batches import Material
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.contenders import contenders_of
from eo_contrast.landcover.features import baseline_embed, encoder_embed
from eo_contrast.landcover.frozen import Frozen
from eo_contrast.landcover.labels import LabelConfig, labelled_places
from eo_contrast.landcover.nets import LandCoverNet, PixelClassifier, build_land_cover
from eo_contrast.landcover.predict import split_predictions, split_scores
from eo_contrast.landcover.predictions import PlacePredictions
from eo_contrast.landcover.probabilities import pixel_probabilities
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders
from eo_contrast.training.land_cover_card import HeadConfig, LandCoverCard

ALONE: Any = SimpleNamespace(
    global_rank=0, world_size=1, device=torch.device("cpu"), autocast=nullcontext
)
PRODUCT = {"classification": "rgb", "segmentation": "s2-l2a"}


def turned(source: Source) -> Source:
    arrays = {name: np.rot90(each, 1, (2, 3)).copy() for name, each in source.arrays.items()}
    return Source(arrays, source.splits, source.labels)


def encoder_card(source: Source, task: str) -> EncoderCard:
    sensors = {"image": sensor_input(source.layers[PRODUCT[task]])}
    return EncoderCard(architecture=EncoderConfig(stem="small"), sensors=sensors, size=16)


def net_and_material(source: Source, task: str, turns: bool) -> tuple[LandCoverNet, Material]:
    encoder = encoder_card(source, task)
    labelled = labelled_places(
        source, task, LabelConfig(), products=[PRODUCT[task]], side=encoder.size
    )
    card = LandCoverCard(
        kind=task,
        mode="frozen",
        encoder=encoder,
        sensors=("image",),
        size=encoder.size,
        head=HeadConfig(hidden=8, decoder_width=16, turns=turns),
        classes=labelled.classes,
    )
    return build_land_cover(card), Material(source, encoder.sensors, labelled, encoder.size)


@pytest.mark.parametrize("turns", [True, False])
def test_a_place_is_told_the_same_whichever_way_it_lies(turns):
    said = []
    for source in (coloured(8), turned(coloured(8))):
        net, material = net_and_material(source, "classification", turns)
        predictions = split_predictions(net, material, "test", ALONE)
        assert isinstance(predictions, PlacePredictions)
        said.append(predictions.probabilities)
    assert (float((said[0] - said[1]).abs().max()) < 1e-6) == turns


@pytest.mark.parametrize("turns", [True, False])
def test_pixels_are_told_the_same_whichever_way_they_lie(turns):
    net, material = net_and_material(mapped(8), "segmentation", turns)
    assert isinstance(net, PixelClassifier)
    net.eval()
    images = torch.randn(2, len(material.sensors["image"].bands), 16, 16)
    with torch.no_grad():
        one, other = (
            pixel_probabilities(net, {"image": each}, 16, turns=net.turns)
            for each in (images, torch.rot90(images, 1, (2, 3)))
        )
    difference = float((one - torch.rot90(other, -1, (2, 3))).abs().max())
    assert (difference < 1e-5) == turns


def test_an_upright_look_is_that_of_a_net_without_turns():
    with_turns, material = net_and_material(coloured(8), "classification", True)
    without, _ = net_and_material(coloured(8), "classification", False)
    plain = split_scores(without, material, "test", ALONE)
    assert split_scores(with_turns, material, "test", ALONE, upright=True) == plain
    assert split_scores(with_turns, material, "test", ALONE) != plain


@pytest.mark.parametrize("turns", [True, False])
@pytest.mark.parametrize("name", ["encoder", "random-convolutions"])
def test_frozen_features_are_means_over_turns(name, turns):
    upright = coloured(8)
    arrays = {"rgb": np.concatenate([each.arrays["rgb"] for each in (upright, turned(upright))])}
    source = Source(arrays, [*upright.splits] * 2, [*upright.labels] * 2)
    if name == "encoder":
        card = encoder_card(source, "classification")
        embed = encoder_embed(SensorEncoders(card), card, source, turns=turns)
    else:
        embed = baseline_embed(name, source, "rgb", [0, 1, 2], turns=turns)
    features, same = embed([0, 1]), embed([8, 9])
    difference = float((features - same).abs().max() / features.abs().max())
    assert (difference < 1e-5) == turns


def test_frozen_features_are_of_as_large_a_middle_as_is_asked_for():
    source = coloured(8)
    card = encoder_card(source, "classification").model_copy(update={"size": 8})
    net = SensorEncoders(card)
    whole = card.model_copy(update={"size": 16})
    asked = encoder_embed(net, card, source, size=16)([0, 1])
    assert torch.equal(asked, encoder_embed(net, whole, source)([0, 1]))
    assert not torch.equal(asked, encoder_embed(net, card, source)([0, 1]))


def test_a_benchmarks_frozen_features_are_as_it_is_told(tmp_path):
    source = open_places(written(coloured(16), tmp_path / "pack"))
    labelled = labelled_places(source, "classification", LabelConfig(), products=["rgb"], side=16)
    (contender,) = contenders_of("random")

    def features(**head: Any) -> torch.Tensor:
        config = FinetuneConfig.model_validate({"encoder": {"stem": "small"}, "head": head})
        return Frozen.of(contender, config, source, labelled, where="").features["test"]

    plain = features()
    torch.testing.assert_close(features(maps=[4]), plain)  # the last map is what it pools
    assert features(maps=[2, 3]).shape[1] == 128 + 256
    assert float((features(turns=True) - plain).abs().max()) > 1e-4
