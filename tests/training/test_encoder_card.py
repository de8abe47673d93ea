"""Saved encoders come back as they were, say what they eat, and refuse what they do not."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from encoders_made import SIDE, card_of, eats, images, layer, saved
from torch import nn

from eo_contrast.bands import L1C, L2A
from eo_contrast.cli import main
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.projectors import ProjectorConfig
from eo_contrast.training.card import Card, load_model, save_model
from eo_contrast.training.encoder_card import (
    SensorEncoders,
    check_bands,
    load_encoder,
    read_encoder_card,
    save_encoder,
)

BOTH = {"s1": eats("s1-grd"), "s2": eats("s2-l1c")}
ONE_LINE = r"[^\n]*"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of two sensors, alone in its folder."""
    card = card_of(BOTH, ground_resolution_m=10.0, trained={"method": "simclr", "steps": 7})
    return saved(tmp_path_factory.mktemp("both"), card)


def told(path: Path) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["info", str(path), "--json"])
    assert result.exit_code == 0, result.stderr
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


@torch.no_grad()
def test_an_encoder_comes_back_as_it_was(both: Path) -> None:
    again, card = load_encoder(both)
    net = SensorEncoders(card, seed=1).eval()
    assert card.trained == {"method": "simclr", "steps": 7}
    assert not again.training
    for sensor, bands in (("s1", 2), ("s2", 13)):
        assert torch.equal(again(sensor, images(bands)), net(sensor, images(bands)))


def test_a_card_comes_back_as_it_was(tmp_path: Path) -> None:
    card = card_of({"s1": eats("s1-grd")}, ground_resolution_m=10.0, trained={"steps": 7})
    assert read_encoder_card(saved(tmp_path, card)) == card


def test_the_same_encoder_gives_the_same_file(both: Path, tmp_path: Path) -> None:
    net, card = load_encoder(both)
    save_encoder(net, card, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == both.read_bytes()


def test_a_file_is_readable_as_others_are(both: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    assert stat.S_IMODE(both.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@torch.no_grad()
def test_a_sensor_has_a_trunk_of_its_own() -> None:
    net = SensorEncoders(card_of({"a": eats("s1-grd"), "b": eats("s1-grd")})).eval()
    nn.init.zeros_(net.trunk("a").net.conv1.weight)
    assert not torch.equal(net("a", images(2)), net("b", images(2)))


@torch.no_grad()
def test_one_trunk_serves_all_sensors_where_it_is_shared() -> None:
    card = card_of({"a": eats("s1-grd"), "b": eats("s1-rtc")}, shared=True)
    net = SensorEncoders(card).eval()
    assert list(net.trunks) == ["all"]
    assert torch.equal(net("a", images(2)), net("b", images(2)))


def test_a_sensor_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="sensor s3: the encoder has s1 s2"):
        SensorEncoders(card_of(BOTH)).trunk("s3")


@torch.no_grad()
def test_maps_are_the_trunks() -> None:
    net = SensorEncoders(card_of(BOTH)).eval()
    assert [each.shape[1] for each in net.pyramid("s2", images(13))] == list(
        net.trunk("s2").pyramid_channels
    )


def test_without_a_head_the_feature_is_the_trunks() -> None:
    net = SensorEncoders(card_of(BOTH)).eval()
    assert net.headed_width == net.width == 512
    assert torch.equal(net.headed("s1", images(2)), net("s1", images(2)))


@torch.no_grad()
def test_the_kept_layers_of_a_head_come_back(tmp_path: Path) -> None:
    head = ProjectorConfig(hidden=(32, 16), out=8, norm=True)
    card = card_of({"s1": eats("s1-grd")}, head=head, head_layers=1)
    again, _ = load_encoder(saved(tmp_path, card))
    net = SensorEncoders(card, seed=1).eval()
    assert again.headed_width == 32
    assert again.headed("s1", images(2)).shape == (2, 32)
    assert torch.equal(again.headed("s1", images(2)), net.headed("s1", images(2)))


@torch.no_grad()
def test_what_leaves_a_kept_layer_has_passed_its_relu() -> None:
    net = SensorEncoders(card_of(BOTH, head=ProjectorConfig(hidden=(32,)), head_layers=1)).eval()
    assert net.headed("s1", images(2)).min() == 0


def test_heads_are_by_sensor_where_the_projector_is() -> None:
    head = ProjectorConfig(hidden=(8,), out=4, per_sensor=True)
    assert list(SensorEncoders(card_of(BOTH, head=head, head_layers=1)).heads) == ["s1", "s2"]


def test_weights_of_another_card_are_refused(tmp_path: Path) -> None:
    radar = {"s1": eats("s1-grd")}
    other = SensorEncoders(card_of(radar, architecture=EncoderConfig(stem="small")))
    save_encoder(other, card_of(radar), tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="weights do not fit the architecture its card states"):
        load_encoder(tmp_path)


def test_info_has_the_keys_of_the_contract(both: Path) -> None:
    facts = told(both)
    assert (facts["kind"], facts["task"]) == ("model", "encoder")
    published = {"stem": "published", "positions": "learned"}
    not_given = dict.fromkeys(("size", "patch", "depth"))
    assert facts["architecture"] == {"name": "resnet18", **published, **not_given}
    assert facts["bands_in"] == {"s1": ["VV", "VH"], "s2": list(L1C)}
    assert facts["bands_out"] == []
    assert facts["scaling"]["s1"]["unit"] == "dB"
    assert facts["trained"] == {"method": "simclr", "steps": 7}
    assert facts["size"] == SIDE


def test_info_counts_the_numbers_of_an_encoder_as_of_any_model(both: Path) -> None:
    state = SensorEncoders(card_of(BOTH)).state_dict()
    assert told(both)["parameters"] == sum(value.numel() for value in state.values())


def test_info_tells_of_the_encoder_of_a_run(both: Path) -> None:
    facts = told(both.parent)
    assert facts["kind"] == "run"
    assert facts["model"]["task"] == "encoder"


def test_info_says_it_in_lines_too(both: Path) -> None:
    result = CliRunner().invoke(main, ["info", str(both)])
    assert "  s1: VV VH" in result.stdout.splitlines()


def test_an_encoder_does_not_translate(both: Path) -> None:
    with pytest.raises(InputError, match=f"model.safetensors: is an encoder, not a tr{ONE_LINE}$"):
        load_model(both)


def test_translate_refuses_an_encoder_in_one_line(both: Path, tmp_path: Path) -> None:
    arguments = ["translate", str(tmp_path / "scene.tif"), str(tmp_path / "out.tif")]
    (tmp_path / "scene.tif").write_text("")
    result = CliRunner().invoke(main, [*arguments, "--model", str(both)])
    assert result.exit_code == 2
    assert "is an encoder, not a translator" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_translator_does_not_encode(tmp_path: Path) -> None:
    config = GeneratorConfig(width=2, blocks=1)
    path = tmp_path / "model.safetensors"
    save_model(ResnetGenerator(config), Card(architecture=config), path)
    with pytest.raises(InputError, match=f"is a model for translation, not an encoder{ONE_LINE}$"):
        load_encoder(path)


def test_bands_that_are_there_are_found_wherever_they_lie() -> None:
    card = card_of({"s2": eats("s2-l2a", "B04", "B03", "B02")})
    assert check_bands(card, "s2", layer("s2-l2a")) == [3, 2, 1]


def test_level_2_without_cirrus_is_refused_by_name_with_the_way_on() -> None:
    with pytest.raises(InputError) as refused:
        check_bands(card_of(BOTH), "s2", layer("s2-l2a"), where="places.parquet")
    assert str(refused.value) == (
        f"places.parquet: the encoder's sensor s2 eats s2-l1c {' '.join(L1C)} (13 bands); here is "
        "s2-l2a without B10. Give s2-l1c data, or pretrain on s2-l2a, from this encoder with "
        "start.s2.allow_band_change=true if its kernels are to be kept band by band"
    )


def test_the_levels_are_not_mixed_where_all_bands_are_there() -> None:
    card = card_of({"s2": eats("s2-l1c", *L2A)})
    with pytest.raises(InputError, match=r"here is s2-l2a with .*, which is another product"):
        check_bands(card, "s2", layer("s2-l2a"))


@pytest.mark.parametrize(
    ("sensor", "product", "fault"),
    [
        ("s2", "s1-grd", r"here is s1-grd with VV VH\. Give s2-l1c data, or an encoder that was"),
        ("s1", "s2-l2a", r"sensor s1 eats s1-grd VV VH \(2 bands\); here is s2-l2a with B01"),
        ("s3", "s2-l2a", "no sensor s3 in the encoder, which has s1 s2"),
        ("s1", "s1-rtc", "here is s1-rtc with VV VH, which is another product"),
    ],
)
def test_a_wrong_sensor_is_refused_in_one_line(sensor: str, product: str, fault: str) -> None:
    with pytest.raises(InputError, match=f"^data: {ONE_LINE}{fault}{ONE_LINE}$"):
        check_bands(card_of(BOTH), sensor, layer(product))


def test_a_band_that_the_data_lack_is_named() -> None:
    with pytest.raises(InputError, match=r"here is s2-l1c without B8A B11\. Give data with these"):
        card = card_of({"s2": eats("s2-l1c", "B04", "B8A", "B11")})
        check_bands(card, "s2", layer("s2-l1c", "B02", "B03", "B04"))
