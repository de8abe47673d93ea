"""Heads behind encoders."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from eo_contrast.data.sensors import SensorInput
from eo_contrast.errors import InputError
from eo_contrast.landcover.nets import build_land_cover, load_land_cover
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.nets.projectors import ProjectorConfig
from eo_contrast.training.card import save_model
from eo_contrast.training.describe import describe_model
from eo_contrast.training.encoder_card import EncoderCard
from eo_contrast.training.land_cover_card import LandCoverCard

MODES = ("frozen", "linear", "full")


def sensor(product: str, *bands: str) -> SensorInput:
    numbers = {name: (value,) * len(bands) for name, value in LIMITS.items()}
    return SensorInput(product=product, bands=bands, unit="dB", **numbers)


LIMITS = {"lowest": -9.0, "highest": 9.0, "mean": 0.0, "deviation": 1.0}
SENSORS = {"s1": sensor("s1-grd", "VV", "VH"), "s2": sensor("s2-l2a", "B02", "B03", "B04")}


def card(**changed: Any) -> LandCoverCard:
    encoder = {"architecture": EncoderConfig(stem="small"), "sensors": SENSORS, "size": 32}
    encoder |= changed.pop("encoder", {})
    facts = {"kind": "classification", "mode": "full", "sensors": ("s1", "s2"), "size": 32}
    return LandCoverCard(
        **{**facts, "classes": ("lake", "town", "wood"), **changed}, encoder=EncoderCard(**encoder)
    )


def images(side: int = 32, count: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(count, len(each.bands), side, side, generator=generator)
        for name, each in SENSORS.items()
    }


@pytest.mark.parametrize("mode", MODES)
def test_a_place_has_a_number_for_each_class(mode):
    assert build_land_cover(card(mode=mode))(images()).shape == (2, 3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [32, 48])
def test_a_pixel_has_a_number_for_each_class(mode, side):
    net = build_land_cover(card(kind="segmentation", mode=mode))
    assert net(images(side)).shape == (2, 3, side, side)


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", None), ("convnext_tiny", None), ("vit_small", 32), ("swin_tiny", 64)],
)
def test_every_kind_of_encoder_has_maps_for_a_decoder(name, size):
    architecture = EncoderConfig(name=name, size=size)
    net = build_land_cover(
        card(kind="segmentation", sensors=("s1",), encoder={"architecture": architecture})
    ).eval()
    side = size or 64
    assert net(images(side)).shape == (2, 3, side, side)


def test_one_sensor_of_two_is_seen_alone():
    net = build_land_cover(card(sensors=("s2",))).eval()
    seen = images()
    alone = net({"s2": seen["s2"]})
    torch.testing.assert_close(alone, net({**seen, "s1": seen["s1"] + 1}))


def test_two_sensors_stand_side_by_side():
    net = build_land_cover(card())
    assert net.features(images()).shape == (2, 1024)


@pytest.mark.parametrize("fusion", ["concatenation", "attention"])
@pytest.mark.parametrize("kind", ["classification", "segmentation"])
@pytest.mark.parametrize("mode", MODES)
def test_a_sensor_without_images_is_as_one_that_is_hidden(kind, mode, fusion):
    net = build_land_cover(card(kind=kind, mode=mode, head={"fusion": fusion})).eval()
    seen = images()
    alone = net({"s1": seen["s1"]})
    hidden = net(seen, torch.tensor([[True, False]] * 2))
    torch.testing.assert_close(alone, hidden)
    assert alone.isfinite().all()
    assert not torch.allclose(alone, net(seen))


@pytest.mark.parametrize("decoder", ["unet", "upernet", "deeplabv3plus", "segformer"])
@pytest.mark.parametrize("name", ["resnet18", "vit_small"])
def test_a_decoder_stands_behind_every_kind_of_encoder(decoder, name):
    architecture = EncoderConfig(name=name, size=32 if name == "vit_small" else None)
    stated = card(
        kind="segmentation",
        mode="frozen",
        head={"decoder": decoder, "decoder_width": 16},
        encoder={"architecture": architecture},
    )
    assert build_land_cover(stated).eval()(images()).shape == (2, 3, 32, 32)


def test_weights_are_a_function_of_card_and_seed():
    one, same, other = (build_land_cover(card(kind="segmentation"), seed=s) for s in (0, 0, 1))
    states = [each.state_dict() for each in (one, same, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    weight = next(name for name in states[0] if name.startswith("head") and "weight" in name)
    assert not torch.equal(states[0][weight], states[2][weight])


def test_the_kept_layers_of_a_projector_are_tuned_in_mode_full_alone():
    head = {"head": ProjectorConfig(hidden=("in", 64), out=8), "head_layers": 2}
    widths = {
        mode: build_land_cover(card(mode=mode, sensors=("s1",), encoder=head))
        .eval()
        .features(images())
        .shape[1]
        for mode in MODES
    }
    assert widths == {"full": 64, "linear": 512, "frozen": 512}


def test_a_saved_model_says_the_same(tmp_path):
    stated = card(kind="segmentation")
    net = build_land_cover(stated, seed=3).eval()
    save_model(net, stated, tmp_path / "model.safetensors")
    loaded, read = load_land_cover(tmp_path)
    assert read == stated
    assert torch.equal(loaded(images()), net(images()))


def test_what_a_model_is_can_be_told_without_running_it(tmp_path):
    stated = card(sensors=("s1",))
    save_model(build_land_cover(stated), stated, tmp_path / "model.safetensors")
    told = describe_model(tmp_path)
    assert told["task"] == "land-cover"
    assert told["bands_in"] == {"s1": ["VV", "VH"]}
    assert told["bands_out"] == ["lake", "town", "wood"]
    assert told["architecture"]["encoder"]["name"] == "resnet18"
    assert told["parameters"] > 1e6


def test_an_encoder_is_no_land_cover_model(tmp_path):
    stated = card()
    net = build_land_cover(stated).encoders
    save_model(net, stated.encoder, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="is a model for encoder, not for land cover"):
        load_land_cover(tmp_path)
