"""What a trunk starts from: its bands go by name, and nothing changes silently."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from encoders_made import SIDE, card_of, eats, images, saved
from pydantic import ValidationError

from eo_contrast.bands import L1C, L2A
from eo_contrast.data.published_inputs import PUBLISHED
from eo_contrast.data.sensors import standardised
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import Encoder, EncoderConfig, build_encoder
from eo_contrast.nets.projectors import ProjectorConfig
from eo_contrast.nets.weights import to_timm
from eo_contrast.training.encoder_card import load_encoder
from eo_contrast.training.start import StartConfig, load_adapted, load_start


@pytest.fixture(scope="module")
def level_1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of all bands of level 1."""
    return saved(tmp_path_factory.mktemp("level_1"), card_of({"s2": eats("s2-l1c")}))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of radar and of level 1."""
    sensors = {"s1": eats("s1-grd"), "s2": eats("s2-l1c")}
    return saved(tmp_path_factory.mktemp("both"), card_of(sensors))


@pytest.fixture(scope="module")
def torchgeo_13(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up weights of 13 bands as torchgeo leaves a ResNet-18: no classifier."""
    return torchgeo_file(tmp_path_factory.mktemp("torchgeo"), 13)


@pytest.fixture(scope="module")
def torchgeo_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up weights of three bands."""
    return torchgeo_file(tmp_path_factory.mktemp("torchgeo"), 3)


def trunk(bands: int, *, seed: int = 0) -> Encoder:
    return build_encoder(EncoderConfig(), bands, seed=seed).eval()


def torchgeo_file(folder: Path, bands: int) -> Path:
    path = folder / "resnet18_sentinel2_all_moco.pth"
    torch.save(to_timm(trunk(bands, seed=9)), path)
    return path


def start(path: Path, **more: object) -> StartConfig:
    return StartConfig.model_validate({"path": str(path), **more})


def refusal(config: StartConfig, bands: int, product: str, *names: str) -> str:
    with pytest.raises(InputError) as refused:
        load_start(config, trunk(bands), eats(product, *names), sensor="s2")
    assert "\n" not in str(refused.value)
    return str(refused.value)


@torch.no_grad()
@pytest.mark.parametrize("given", ["model", "run folder"])
def test_an_encoder_of_ours_is_gone_on_with(level_1: Path, given: str) -> None:
    encoder = trunk(13)
    path = level_1 if given == "model" else level_1.parent
    assert load_start(start(path), encoder, eats("s2-l1c"), sensor="s2") == []
    again, _ = load_encoder(level_1)
    assert torch.equal(encoder(images(13)), again("s2", images(13)))


@pytest.mark.parametrize(
    ("sensor", "product", "found"),
    [("s1", "s1-grd", "s1"), ("radar", "s1-grd", "s1"), ("optical", "s2-l1c", "s2")],
)
def test_the_trunk_of_the_same_name_or_product_is_taken(
    both: Path, sensor: str, product: str, found: str
) -> None:
    wanted = eats(product)
    said = load_start(start(both), trunk(len(wanted.bands)), wanted, sensor=sensor)
    assert said == [f"{both}: the trunk is that of sensor {found}"]


def test_a_shared_trunk_serves_whoever_asks(tmp_path: Path) -> None:
    card = card_of({"a": eats("s1-grd"), "b": eats("s1-rtc")}, shared=True)
    encoder = trunk(2)
    load_start(start(saved(tmp_path, card)), encoder, eats("s1-rtc"))
    again, _ = load_encoder(tmp_path)
    assert torch.equal(to_timm(encoder)["conv1.weight"], to_timm(again.trunk("b"))["conv1.weight"])


def test_level_1_weights_refuse_level_2_by_name_with_the_way_on(level_1: Path) -> None:
    assert refusal(start(level_1), 12, "s2-l2a") == (
        f"{level_1}: is for s2-l1c {' '.join(L1C)} (13 bands); here is s2-l2a without B10. Give "
        "s2-l1c data, or start.s2.allow_band_change=true to keep its kernels band by band"
    )


@torch.no_grad()
def test_where_it_is_allowed_cirrus_is_left_out_and_said(level_1: Path) -> None:
    encoder = trunk(12)
    said = load_start(start(level_1, allow_band_change=True), encoder, eats("s2-l2a"))
    kernels = to_timm(load_encoder(level_1)[0].trunk("s2"))["conv1.weight"]
    without = kernels[:, [at for at, band in enumerate(L1C) if band != "B10"]]
    factor = torch.tensor(eats("s2-l2a").deviation) / torch.tensor(eats("s2-l1c", *L2A).deviation)
    torch.testing.assert_close(
        to_timm(encoder)["conv1.weight"], without * factor[:, None, None], rtol=1e-5, atol=1e-6
    )
    assert said == [
        f"{level_1}: weights of s2-l1c see s2-l2a",
        f"{level_1}: kernels of B10 are left out: the images lack the band",
        f"{level_1}: kernels are rescaled: the weights' images were scaled in another way",
    ]


def test_fewer_bands_of_the_same_product_are_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path, card_of({"s2": eats("s2-l2a", "B02", "B03")}))
    told = refusal(start(path), 2, "s2-l2a", "B03", "B04")
    assert "here is s2-l2a without B02 and with B04 besides. Give data with these bands" in told


def test_radar_does_not_start_from_optics(level_1: Path) -> None:
    assert "none of these is among VV VH" in refusal(
        start(level_1, allow_band_change=True), 2, "s1-grd"
    )


@torch.no_grad()
def test_weights_of_torchgeo_see_the_ground_as_in_torchgeo(torchgeo_13: Path) -> None:
    encoder, theirs = trunk(13), trunk(13, seed=9)
    load_start(start(torchgeo_13, input="ssl4eo-s2-all"), encoder, eats("s2-l1c"))
    ground = torch.rand(2, 13, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    valid = torch.ones_like(ground, dtype=torch.bool)
    maps = [
        each.pyramid(seen)[0][:, :, 2:-2, 2:-2]
        for each, seen in (
            (encoder, standardised(ground, valid, eats("s2-l1c"))),
            (theirs, ground),
        )
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-4, atol=1e-4)


def test_bands_without_names_are_not_guessed(torchgeo_13: Path) -> None:
    told = refusal(start(torchgeo_13), 13, "s2-l1c")
    assert "has kernels for 13 bands without names; name them in its start's bands=[...]" in told


def test_bands_can_be_spelled_as_torchgeo_spells_them(torchgeo_3: Path) -> None:
    encoder = trunk(3)
    said = load_start(
        start(torchgeo_3, bands=["B4", "B3", "B8a"]), encoder, eats("s2-l2a", "B8A", "B03", "B04")
    )
    kernels = to_timm(trunk(3, seed=9))["conv1.weight"]
    assert torch.equal(to_timm(encoder)["conv1.weight"], kernels[:, [2, 1, 0]])
    assert said == [f"{torchgeo_3}: kernels are put into the order B8A B03 B04"]


def test_named_bands_that_the_images_lack_are_refused(torchgeo_3: Path) -> None:
    told = refusal(start(torchgeo_3, bands=["B4", "B3", "B2"]), 2, "s2-l2a", "B03", "B04")
    assert "here is s2-l2a without B02" in told


def test_kernels_of_imagenet_start_optics_where_it_is_allowed(torchgeo_3: Path) -> None:
    encoder = trunk(12)
    said = load_start(
        start(torchgeo_3, input="imagenet", allow_band_change=True), encoder, eats("s2-l2a")
    )
    assert f"{torchgeo_3}: weights of rgb see s2-l2a" in said
    assert any("B01 B05 B06 B07 B08 B8A B09 B11 B12: new" in line for line in said)


def test_a_checkpoint_of_moco_is_found_behind_its_prefix(tmp_path: Path) -> None:
    state = {f"module.encoder_q.{key}": value for key, value in to_timm(trunk(2, seed=9)).items()}
    state["module.queue"] = torch.zeros(128, 16)
    torch.save({"epoch": 100, "state_dict": state, "optimizer": {}}, tmp_path / "moco.pth.tar")
    encoder = trunk(2)
    given = start(tmp_path / "moco.pth.tar", bands=["VV", "VH"])
    assert load_start(given, encoder, eats("s1-grd")) == []
    assert torch.equal(
        to_timm(encoder)["layer1.0.conv1.weight"], state["module.encoder_q.layer1.0.conv1.weight"]
    )


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "absent.pth: no such file" in refusal(start(tmp_path / "absent.pth"), 2, "s1-grd")


def test_an_unknown_input_is_refused_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="known are imagenet seco ssl4eo-s1"):
        start(tmp_path, input="everything")


def test_bands_are_said_once(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="both name the bands"):
        start(tmp_path, input="seco", bands=["B04"])


@torch.no_grad()
def test_an_encoder_is_adapted_to_level_2(both: Path) -> None:
    net, card, said = load_adapted(both, {"s2": eats("s2-l2a")}, allow_band_change=True)
    assert card.sensors["s2"].product == "s2-l2a"
    assert net("s2", images(12)).shape == (2, 512)
    assert torch.equal(net("s1", images(2)), load_encoder(both)[0]("s1", images(2)))
    assert any("kernels of B10 are left out" in line for line in said)


@torch.no_grad()
def test_an_adapted_encoder_keeps_what_is_behind_its_trunk(tmp_path: Path) -> None:
    head = ProjectorConfig(hidden=(32, 16), out=8)
    path = saved(tmp_path, card_of({"s2": eats("s2-l1c")}, head=head, head_layers=1))
    net, card, _ = load_adapted(path, {"s2": eats("s2-l2a")}, allow_band_change=True)
    before, _ = load_encoder(path)
    assert card.head_layers == 1
    assert net.headed("s2", images(12)).shape == (2, 32)
    features = torch.ones(1, net.width)
    assert torch.equal(net.heads["all"](features), before.heads["all"](features))


def test_an_encoder_is_not_adapted_unasked(level_1: Path) -> None:
    with pytest.raises(InputError, match="here is s2-l2a without B10"):
        load_adapted(level_1, {"s2": eats("s2-l2a")})


def test_every_published_input_fits_the_bands_it_names() -> None:
    assert all(len(each.bands) == len(each.mean) for each in PUBLISHED.values())
