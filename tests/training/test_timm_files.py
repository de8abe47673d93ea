"""Encoders go to plain timm weights and come back equal; damaged files are named."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import timm
import torch
from encoders_made import card_of, eats, images, saved
from safetensors import safe_open
from safetensors.torch import save_file

from eo_contrast.data.published_inputs import PUBLISHED
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import EncoderConfig, EncoderName, build_encoder
from eo_contrast.nets.weights import to_timm
from eo_contrast.training.encoder_card import load_encoder
from eo_contrast.training.timm_files import export_timm, import_timm, read_tensors


@pytest.fixture(scope="module")
def radar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of radar alone."""
    return saved(tmp_path_factory.mktemp("radar"), card_of({"s1": eats("s1-grd")}))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of radar and of two optical bands."""
    sensors = {"s1": eats("s1-grd"), "s2": eats("s2-l2a", "B04", "B03")}
    return saved(tmp_path_factory.mktemp("both"), card_of(sensors))


def timm_file(path: Path, *, bands: int = 3) -> Path:
    torch.save(to_timm(build_encoder(EncoderConfig(), bands, seed=9)), path)
    return path


@pytest.mark.parametrize(
    ("name", "suffix", "of_vit"),
    [
        ("resnet18", ".pth", {}),
        ("resnet18", ".safetensors", {}),
        ("vit_small", ".pth", {}),
        ("vit_small", ".pth", {"patch": 8, "depth": 4}),
    ],
)
@torch.no_grad()
def test_timm_loads_what_was_exported_and_gives_the_same(
    tmp_path: Path, name: EncoderName, suffix: str, of_vit: dict[str, int]
) -> None:
    architecture = EncoderConfig.model_validate({"name": name, "size": 64, **of_vit})
    card = card_of({"s1": eats("s1-grd")}, architecture=architecture)
    told = export_timm(saved(tmp_path, card), tmp_path / f"plain{suffix}")
    of_net = {key: told[key] for key in ("img_size", "patch_size", "depth") if key in told}
    plain = timm.create_model(told["timm"], num_classes=0, in_chans=told["in_chans"], **of_net)
    plain.eval()
    plain.load_state_dict(read_tensors(tmp_path / f"plain{suffix}"))
    assert torch.equal(plain(images(2)), load_encoder(tmp_path)[0]("s1", images(2)))


def test_what_was_exported_is_told(both: Path, tmp_path: Path) -> None:
    out = tmp_path / "plain.pth"
    eaten = eats("s2-l2a", "B04", "B03")
    assert export_timm(both, out, sensor="s2") == {
        "output": str(out),
        "timm": "resnet18",
        "in_chans": 2,
        "product": "s2-l2a",
        "bands": ["B04", "B03"],
        "mean": list(eaten.mean),
        "deviation": list(eaten.deviation),
    }


def test_a_header_keeps_the_bands(radar: Path, tmp_path: Path) -> None:
    export_timm(radar, tmp_path / "plain.safetensors")
    with safe_open(tmp_path / "plain.safetensors", framework="pt") as weights:
        assert weights.metadata()["bands"] == "VV VH"


@torch.no_grad()
def test_there_and_back_is_the_same_encoder(radar: Path, tmp_path: Path) -> None:
    export_timm(radar, tmp_path / "plain.pth")
    again = tmp_path / "again.safetensors"
    remarks = import_timm(
        tmp_path / "plain.pth", again, architecture=EncoderConfig(), eats=eats("s1-grd")
    )
    net, same = load_encoder(again)
    assert remarks == []
    assert same.sensors == {"s1": eats("s1-grd")}
    assert torch.equal(net("s1", images(2)), load_encoder(radar)[0]("s1", images(2)))


@torch.no_grad()
def test_weights_of_torchgeo_become_an_encoder_with_its_scaling(tmp_path: Path) -> None:
    out = tmp_path / "encoder.safetensors"
    import_timm(
        timm_file(tmp_path / "resnet18_sentinel2_all_moco.pth", bands=13),
        out,
        architecture=EncoderConfig(),
        eats=PUBLISHED["ssl4eo-s2-all"],
    )
    net, card = load_encoder(out)
    assert card.trained == {"weights": "resnet18_sentinel2_all_moco.pth"}
    assert card.sensors["s2"] == PUBLISHED["ssl4eo-s2-all"]
    own = build_encoder(EncoderConfig(), 13, seed=9).eval()
    assert torch.equal(net("s2", images(13)), own(images(13)))


def test_weights_of_other_bands_than_said_are_refused(tmp_path: Path) -> None:
    path = timm_file(tmp_path / "plain.pth")
    with pytest.raises(InputError, match=r"plain.pth: has conv1.weight of 64x3x7x7"):
        import_timm(
            path, tmp_path / "out", architecture=EncoderConfig(), eats=PUBLISHED["ssl4eo-s2-all"]
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("way", ["export", "import"])
def test_nothing_is_overwritten_unasked(radar: Path, way: str) -> None:
    with pytest.raises(InputError, match="already exists; give --overwrite"):
        if way == "export":
            export_timm(radar, radar)
        else:
            import_timm(radar, radar, architecture=EncoderConfig(), eats=eats("s1-grd"))


def test_of_several_sensors_one_is_to_be_chosen(both: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has several sensors; choose one of s1 s2"):
        export_timm(both, tmp_path / "out.pth")


def test_a_sensor_that_is_not_there_is_not_exported(radar: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no sensor s2; choose one of s1"):
        export_timm(radar, tmp_path / "out.pth", sensor="s2")


@pytest.mark.parametrize("stem", ["small", "unpooled"])
def test_a_stem_that_timm_has_not_is_not_exported(tmp_path: Path, stem: str) -> None:
    architecture = {"name": "resnet18", "stem": stem}
    path = saved(tmp_path, card_of({"s1": eats("s1-grd")}, architecture=architecture))
    with pytest.raises(InputError, match=f"has the stem '{stem}', which timm's has not"):
        export_timm(path, tmp_path / "out.pth")


def test_attention_by_distance_is_not_exported(tmp_path: Path) -> None:
    architecture = {"name": "vit_small", "size": 64, "positions": "alibi"}
    path = saved(tmp_path, card_of({"s1": eats("s1-grd")}, architecture=architecture))
    with pytest.raises(InputError, match="attends by distance, which timm's does not"):
        export_timm(path, tmp_path / "out.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"These are words.")
    with pytest.raises(InputError, match=f"weights{suffix}: "):
        read_tensors(path)


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    path = timm_file(tmp_path / "weights.pth")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"weights.pth: not readable as weights; copy it anew"):
        read_tensors(path)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "options": Namespace(lr=1)}, tmp_path / "old.ckpt")
    with pytest.raises(InputError, match="holds objects beside tensors, or is damaged; where you"):
        read_tensors(tmp_path / "old.ckpt")


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds no weights by name"):
        read_tensors(tmp_path / "list.pth")


def test_tensors_of_both_kinds_of_file_are_read(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "one.safetensors")
    torch.save({"model": {"a": torch.ones(1)}}, tmp_path / "two.pt")
    assert list(read_tensors(tmp_path / "one.safetensors")) == ["a"]
    assert list(read_tensors(tmp_path / "two.pt")) == ["model.a"]
