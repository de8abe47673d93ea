"""Features of places, and what they tell of classes."""

from __future__ import annotations

import pytest
import torch
from sources import coloured, mapped

from eo_contrast.data.sensors import sensor_input
from eo_contrast.errors import InputError
from eo_contrast.landcover.features import baseline_embed, encoder_embed, middles, probe_scores
from eo_contrast.landcover.labels import LabelConfig, labelled_places
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders

WIDTHS = {"statistics": 6, "random-convolutions": 512, "coates-ng": 512}


@pytest.mark.parametrize("name", WIDTHS)
def test_a_baseline_tells_colours_apart(name):
    source = coloured()
    labelled = labelled_places(
        source, "classification", LabelConfig(), products=["rgb"], side=source.size
    )
    train = labelled.splits["train"].places.tolist()
    embed = baseline_embed(name, source, "rgb", train)
    assert embed(train).shape == (len(train), WIDTHS[name])
    scores = probe_scores(embed, labelled)
    assert scores["linear"]["accuracy"] == scores["knn"]["accuracy"] == 1.0
    assert scores["linear"]["weight_decay"] > 0


def test_middles_are_in_the_products_unit():
    source = mapped()
    values, valid = middles(source, "s1-grd", [0, 1], 8)
    assert values.shape == (2, 2, 8, 8)
    assert valid.all()
    expected = source.arrays["s1-grd"][1, 0, 4:12, 4:12] / 100
    torch.testing.assert_close(values[1, 0], torch.from_numpy(expected).float())


def test_pixels_without_data_are_told():
    source = mapped()
    source.arrays["s1-grd"][0, 0, 0, 0] = -32768
    values, valid = middles(source, "s1-grd", [0], None)
    assert not valid[0, 0, 0, 0]
    assert values[0, 0, 0, 0] == 0


def test_natural_images_network_sees_pictures_only():
    with pytest.raises(InputError, match="imagenet-lite0: sees red, green and blue of pictures"):
        baseline_embed("imagenet-lite0", mapped(), "s2-l2a", [0])


def test_features_are_of_images():
    with pytest.raises(InputError, match="product label: has no images"):
        baseline_embed("statistics", mapped(), "label", [0])


def test_two_sensors_stand_side_by_side():
    source = mapped()
    card = EncoderCard(
        architecture=EncoderConfig(stem="small"),
        sensors={"s1": sensor_input(source.layers["s1-grd"])}
        | {"s2": sensor_input(source.layers["s2-l2a"])},
        size=16,
    )
    net = SensorEncoders(card)
    both = encoder_embed(net, card, source)([0, 1, 2])
    one, other = (
        encoder_embed(net, card, source, sensors=[name])([0, 1, 2]) for name in ("s1", "s2")
    )
    torch.testing.assert_close(both, torch.cat([one, other], dim=1))
    assert not net.training
