"""The encoder that a run starts from, on data that are not quite those it was pretrained on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sources import Source

from eo_contrast.bands import L1C, L2A, PRODUCTS
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.sensors import sensor_input
from eo_contrast.errors import InputError
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.start import starting_encoder
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import (
    EncoderCard,
    SensorEncoders,
    load_encoder,
    save_encoder,
)


def layer(product: str, *bands: str) -> Layer:
    return Layer(product, "", bands or PRODUCTS[product].bands, 1, STORAGE[product])


def having(*layers: Layer, resolution: float | None = None) -> Any:
    """Data of some products, no pixel of which is looked at."""
    return SimpleNamespace(
        layers={each.product: each for each in layers}, size=16, ground_resolution_m=resolution
    )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of radar and of level 1, at ten metres."""
    return eating(tmp_path_factory.mktemp("encoder"), s1="s1-grd", s2="s2-l1c")


def eating(folder: Path, **products: str) -> str:
    """A saved encoder of these products by the names of its sensors."""
    card = EncoderCard(
        architecture=EncoderConfig(stem="small"),
        sensors={name: sensor_input(layer(product)) for name, product in products.items()},
        size=16,
        ground_resolution_m=10.0,
        trained={"method": "s1s2"},
    )
    save_encoder(SensorEncoders(card, seed=5), card, folder / "model.safetensors")
    return str(folder)


def config(**data: Any) -> FinetuneConfig:
    return FinetuneConfig.model_validate({"data": data})


def start(encoder: str, source: Any, said: list[str] | None = None, **data: Any):
    say = [].append if said is None else said.append
    return starting_encoder(encoder, config(**data), source, where="data", say=say)


def test_another_level_is_refused_with_the_way_on(encoder):
    with pytest.raises(InputError) as caught:
        start(encoder, having(layer("s2-l2a")), sensors=["s2"])
    told = str(caught.value)
    assert told.startswith("data: the encoder's sensor s2 eats s2-l1c")
    assert "or keep its kernels band by band here, with --set data.allow_band_change=true" in told


def test_kernels_go_by_the_bands_names_where_a_change_is_allowed(encoder):
    said: list[str] = []
    found = start(encoder, having(layer("s2-l2a")), said, sensors=["s2"], allow_band_change=True)
    assert found.card.sensors["s2"].product == "s2-l2a"
    assert found.card.sensors["s2"].bands == tuple(band for band in L1C if band in L2A)
    assert any("kernels of B10 are left out" in line for line in said)
    # The first convolution rescales; what is behind it stays.
    before, _ = load_encoder(encoder)
    for each in ("layer1.0.conv1.weight", "layer4.1.conv2.weight"):
        name = f"net.{each}"
        assert torch.equal(
            found.net.trunk("s2").get_parameter(name), before.trunk("s2").get_parameter(name)
        )


def test_bands_that_it_has_no_kernels_for_are_not_seen(encoder):
    source = having(layer("s2-l2a", "B04", "B03", "B02", "B08"), layer("s1-grd"))
    found = start(encoder, source, allow_band_change=True)
    assert found.sensors == ("s1", "s2")
    assert found.card.sensors["s2"].bands == ("B02", "B03", "B04", "B08")
    assert found.card.sensors["s1"] == load_encoder(encoder)[1].sensors["s1"]


def test_colours_are_bands_of_optics(encoder):
    rgb = Layer("rgb", "", ("red", "green", "blue"), 1, STORAGE["rgb"])
    found = start(encoder, having(rgb), sensors=["s2"], allow_band_change=True)
    assert found.card.sensors["s2"].product == "rgb"
    assert found.card.sensors["s2"].bands == ("blue", "green", "red")


@pytest.mark.parametrize("name", ["image", "s2", "s2-l1c"])
def test_a_sensor_is_known_by_what_it_eats_too(tmp_path, name):
    found = start(eating(tmp_path, image="s2-l1c"), having(layer("s2-l1c")), sensors=[name])
    assert found.sensors == ("image",)


def test_data_that_share_no_band_are_refused_all_the_same(encoder):
    with pytest.raises(InputError, match="the encoder's sensor s1 eats s1-grd VV VH"):
        start(encoder, having(layer("s2-l2a")), sensors=["s1"], allow_band_change=True)


def test_the_very_data_change_nothing(encoder):
    said: list[str] = []
    source = having(layer("s1-grd"), layer("s2-l1c"), resolution=10.0)
    found = start(encoder, source, said, allow_band_change=True)
    assert said == []
    assert found.card == load_encoder(encoder)[1]


def test_another_ground_resolution_is_said(encoder):
    said: list[str] = []
    start(encoder, having(layer("s1-grd"), layer("s2-l1c"), resolution=2.5), said)
    assert said == [
        "data: has 2.5 m a pixel, and the encoder was pretrained at 10 m; shapes are of another "
        "size than it knows"
    ]


def test_a_random_encoder_is_of_the_datas_resolution():
    found = start("random", having(layer("s1-grd"), resolution=20.0))
    assert found.card.ground_resolution_m == 20.0


def test_data_without_images_are_refused(encoder):
    labels = Source({"label": torch.zeros(1, 1, 4, 4).numpy()}, ["train"], [""])
    with pytest.raises(InputError, match="data: has no images, but label"):
        start(encoder, labels)
