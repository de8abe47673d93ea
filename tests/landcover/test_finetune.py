"""Fine-tuning runs, small and whole."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sources import Source, coloured, mapped, splits_of, written

from eo_contrast.data.sensors import sensor_input
from eo_contrast.errors import InputError, Interrupted
from eo_contrast.evaluate.land_cover import confusion_scores
from eo_contrast.landcover import finetune as finetuning
from eo_contrast.landcover import trainer
from eo_contrast.landcover.config import FinetuneConfig, FinetuneSchedule
from eo_contrast.landcover.finetune import RunOptions, finetune
from eo_contrast.landcover.nets import load_land_cover
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.checkpoint import load_checkpoint, save_checkpoint
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders, save_encoder
from eo_contrast.training.log import read_rows
from eo_contrast.training.loop import StopSignal

SMALL = {"stem": "small"}


def config(**changed: Any) -> FinetuneConfig:
    values = {
        "mode": "linear",
        "encoder": SMALL,
        "data": {"batch_size": 8} | changed.pop("data", {}),
        "schedule": {"epochs": 3} | changed.pop("schedule", {}),
        "head": {"hidden": 16, "decoder_width": 32},
        "optimizer": {"lr_head": 0.01},
        "log_every": 1,
    }
    return FinetuneConfig.model_validate(values | changed)


def options(**changed: Any) -> RunOptions:
    return RunOptions(device="cpu", quiet=True, **changed)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return written(coloured(), tmp_path_factory.mktemp("pictures") / "pack")


@pytest.fixture(scope="module")
def maps(tmp_path_factory) -> Path:
    return written(mapped(), tmp_path_factory.mktemp("maps") / "pack")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """Trunks for radar and optics, as if they were pretrained."""
    layers = mapped().layers
    card = EncoderCard(
        architecture=EncoderConfig(stem="small"),
        sensors={"s1": sensor_input(layers["s1-grd"]), "s2": sensor_input(layers["s2-l2a"])},
        size=16,
        trained={"method": "s1s2"},
    )
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(SensorEncoders(card, seed=5), card, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("mode", ["linear", "frozen", "full"])
def test_colours_are_learnt(pictures, tmp_path, mode):
    result = finetune(config(mode=mode), pictures, "random", tmp_path / "run", options())
    assert result["test"]["accuracy"] == 1.0
    assert result["classes"] == ["field", "town"]
    assert result["labels"] == 16
    assert {"average_accuracy", "macro_f1", "kappa"} <= result["test"].keys()


def test_a_run_folder_holds_what_decides_it_and_what_came_of_it(pictures, tmp_path):
    run = tmp_path / "run"
    result = finetune(config(), pictures, "random", run, options())
    made = {path.name for path in run.iterdir()}
    assert {"config.yaml", "model.safetensors", "last.ckpt", "metrics.jsonl"} <= made
    _, card = load_land_cover(run)
    assert card.classes == ("field", "town")
    assert card.trained["labels"] == 16
    assert card.trained["test"] == result["test"]
    assert card.trained["encoder"] == "random"


def test_the_saved_configuration_gives_the_same_model(pictures, tmp_path):
    finetune(config(), pictures, "random", tmp_path / "one", options())
    again = FinetuneConfig.model_validate(
        yaml.safe_load((tmp_path / "one" / "config.yaml").read_text())
    )
    finetune(again, pictures, "random", tmp_path / "two", options())
    for name in ("model.safetensors", "metrics.jsonl", "config.yaml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "full"},
        {"mode": "linear"},
        {"mode": "frozen", "augment": {"quarter_turns": True, "brightness": 0.2}},
        {"mode": "full", "schedule": {"average": 0.9}, "mix": {"kind": "cutmix"}},
    ],
)
def test_stopped_and_resumed_is_the_straight_run_bit_for_bit(
    pictures, tmp_path, monkeypatch, changed
):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    finetune(config(**changed), pictures, "random", straight, options())
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "stop_signal", stopping_after(3))
        with pytest.raises(Interrupted, match="stopped after step 3 of 6"):
            finetune(config(**changed), pictures, "random", broken, options())
    finetune(config(**changed), pictures, "random", broken, options(resume=True))
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes(), name


def test_the_averaged_weights_are_scored_and_kept(pictures, tmp_path):
    given = config(mode="full", schedule={"epochs": 1, "average": 0.9})
    finetune(given, pictures, "random", tmp_path / "averaged", options())
    state = load_checkpoint(tmp_path / "averaged" / "last.ckpt")["nets"]
    given = config(mode="full", schedule={"epochs": 1})
    finetune(given, pictures, "random", tmp_path / "plain", options())
    kept, plain = (load_land_cover(tmp_path / run)[0].state_dict() for run in ("averaged", "plain"))
    for name, value in kept.items():
        assert torch.equal(value, state["averaged"][name]), name
        # The average has no part in training.
        assert torch.equal(plain[name], state["net"][name]), name
    assert any(not torch.equal(value, plain[name]) for name, value in kept.items())


def test_a_finished_run_resumed_is_itself(pictures, tmp_path):
    run = tmp_path / "run"
    finetune(config(), pictures, "random", run, options())
    before = (run / "metrics.jsonl").read_bytes()
    finetune(config(), pictures, "random", run, options(resume=True))
    assert (run / "metrics.jsonl").read_bytes() == before


def test_the_epoch_that_does_best_on_validation_is_kept(tmp_path):
    noisy = coloured(48)
    noisy.arrays["rgb"][::3] = noisy.arrays["rgb"][::3][::-1]
    data, run = written(noisy, tmp_path / "pack"), tmp_path / "run"
    result = finetune(config(schedule={"epochs": 6}), data, "random", run, options())
    looks = [row for row in read_rows(run / "metrics.jsonl") if row["phase"] == "watch"]
    scores = [row["accuracy"] for row in looks]
    assert len(looks) == 6
    assert result["epoch"] == 1 + scores.index(max(scores))
    assert result["val"]["accuracy"] == max(scores)


def test_the_test_split_is_scored_once(pictures, tmp_path, monkeypatch):
    asked = []
    for module, name in (
        (finetuning, "split_scores"),
        (finetuning, "split_predictions"),
        (trainer, "split_scores"),
    ):
        score = getattr(module, name)

        def counted(net, material, split, fabric, score=score, **more):
            asked.append(split)
            return score(net, material, split, fabric, **more)

        monkeypatch.setattr(module, name, counted)
    finetune(config(), pictures, "random", tmp_path / "run", options())
    assert asked.count("test") == 1
    assert asked[-2:] == ["test", "val"]


def test_training_ends_when_validation_no_longer_betters(pictures, tmp_path):
    run = tmp_path / "run"
    patient = config(schedule={"epochs": 9, "patience": 2})
    result = finetune(patient, pictures, "random", run, options())
    looks = [row for row in read_rows(run / "metrics.jsonl") if row["phase"] == "watch"]
    assert len(looks) == result["epoch"] + 2 < 9
    scores = [row["accuracy"] for row in looks]
    assert max(scores[-2:]) <= scores[result["epoch"] - 1]


def test_a_run_is_not_gone_on_with_on_other_data(pictures, tmp_path):
    run = tmp_path / "run"
    finetune(config(), pictures, "random", run, options())
    (run / "model.safetensors").unlink()
    other = written(coloured(28), tmp_path / "other")
    with pytest.raises(InputError, match=r"other places, splits or labels than those of .*other"):
        finetune(config(), other, "random", run, options(resume=True))


def test_a_run_is_not_gone_on_with_from_a_random_encoder_of_another_kind(encoder, maps, tmp_path):
    layers, run = mapped().layers, tmp_path / "run"
    given = config(task="segmentation", labels={"scheme": "dfc2020-8"}, data={"sensors": ["s2"]})
    finetune(given, maps, f"random:{encoder}", run, options())
    (run / "model.safetensors").unlink()
    card = EncoderCard(
        architecture=EncoderConfig(stem="small"),
        sensors={"s2": sensor_input(layers["s2-l2a"], ["B02", "B03"])},
        size=16,
        trained={"method": "s1s2"},
    )
    other = tmp_path / "other"
    other.mkdir()
    save_encoder(SensorEncoders(card, seed=5), card, other / "model.safetensors")
    with pytest.raises(InputError, match=r"was started from encoder random:\w+, not random:\w+;"):
        finetune(given, maps, f"random:{other}", run, options(resume=True))


def test_a_models_digest_is_told_whatever_its_folder_is_called(encoder, maps, tmp_path):
    called = tmp_path / "random-crops"
    called.symlink_to(encoder)
    given = config(task="segmentation", labels={"scheme": "dfc2020-8"}, data={"sensors": ["s2"]})
    for what, told in ((str(called), r"random-crops \(\w{16}\)$"), (f"random:{called}", "crops$")):
        run = tmp_path / what.rpartition("/")[0].replace("/", "_")
        finetune(given, maps, what, run, options())
        _, card = load_land_cover(run)
        assert re.search(told, card.trained["encoder"])


def test_a_run_that_ended_early_ends_there_when_it_is_resumed(pictures, tmp_path):
    run = tmp_path / "run"
    patient = config(schedule={"epochs": 9, "patience": 1})
    before = finetune(patient, pictures, "random", run, options())
    rows = (run / "metrics.jsonl").read_bytes()
    after = finetune(patient, pictures, "random", run, options(resume=True))
    assert after["test"] == before["test"]
    assert (run / "metrics.jsonl").read_bytes() == rows


@pytest.mark.parametrize("decoder", ["upernet", "deeplabv3plus", "segformer"])
def test_every_decoder_is_trained_by_all_losses_together(maps, encoder, tmp_path, decoder):
    given = config(
        task="segmentation",
        mode="frozen",
        data={"batch_size": 8},
        head={"decoder": decoder, "decoder_width": 32},
        loss={"focal": 1.0, "dice": 0.5, "class_weights": "balanced"},
        schedule={"epochs": 4},
    )
    finetune(given, maps, str(encoder), tmp_path / "run", options())
    assert load_land_cover(tmp_path / "run")[1].head.decoder == decoder
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    losses = [row["loss"] for row in rows if row["phase"] == "train"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("fusion", ["concatenation", "attention"])
def test_the_test_is_scored_without_a_sensor_too(maps, encoder, tmp_path, fusion):
    given = config(
        task="segmentation",
        mode="frozen",
        data={"batch_size": 4, "drop_sensor": 0.5, "test_without": ["s1", "s2"]},
        head={"fusion": fusion, "decoder_width": 32},
        schedule={"epochs": 6},
    )
    result = finetune(given, maps, str(encoder), tmp_path / "run", options())
    assert result["test_without"].keys() == {"s1", "s2"}
    for scores in (result["test"], *result["test_without"].values()):
        assert scores["mean_iou"] > 0.6
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert [row["phase"] for row in rows[-3:]] == ["test", "test without s1", "test without s2"]


def test_dropping_a_sensor_is_what_makes_a_model_do_without_it(encoder, tmp_path):
    """Optics tell all, radar nothing but by chance, until optics are hidden."""
    data = written(mapped(32), tmp_path / "pack")
    told = {}
    for share in (0.0, 0.5):
        given = config(
            mode="full",
            task="segmentation",
            data={"batch_size": 4, "drop_sensor": share, "test_without": ["s2"]},
            head={"decoder_width": 32},
            schedule={"epochs": 6},
        )
        result = finetune(given, data, str(encoder), tmp_path / f"run{share}", options())
        told[share] = result["test_without"]["s2"]["accuracy"]
    assert told[0.5] > max(told[0.0], 0.9)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_only_the_net_is_computed_in_half_precision(pictures, maps, tmp_path, monkeypatch, task):
    seen: dict[str, list[Any]] = {"32-true": [], "bf16-mixed": []}
    shown = trainer.images_of
    for precision, batches in seen.items():

        def kept(*given: Any, to: list[Any] = batches, **named: Any) -> Any:
            to.append(shown(*given, **named))
            return to[-1]

        monkeypatch.setattr(trainer, "images_of", kept)
        given = config(
            task=task,
            mode="full",
            precision=precision,
            data={"size": 16},
            augment={"crop_area": [0.3, 1], "contrast": 0.3, "saturation": 0.3, "blur": 0.5},
            schedule={"epochs": 1},
        )
        data = pictures if task == "classification" else maps
        result = finetune(given, data, "random", tmp_path / precision, options())
        assert all(map(math.isfinite, result["test"].values()))
    for whole, half in zip(seen["32-true"], seen["bf16-mixed"], strict=True):
        for name, images in whole.items():
            assert images.dtype == torch.float32
            assert torch.equal(images, half[name])


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"test_without": ["rgb"]}, "data.test_without names rgb, and s1 and s2 are seen"),
        ({"sensors": ["s2"], "test_without": ["s2"]}, "names s2, and s2 is seen; give one of"),
        ({"sensors": ["s2"], "drop_sensor": 0.2}, "data.drop_sensor is 0.2, and s2 alone is seen"),
    ],
)
def test_a_sensor_that_cannot_be_left_out_is_refused(maps, encoder, tmp_path, data, line):
    given = config(task="segmentation", mode="frozen", data=data)
    with pytest.raises(InputError, match=line):
        finetune(given, maps, str(encoder), tmp_path / "run", options())
    assert not (tmp_path / "run").exists()


def test_a_weight_of_no_class_is_refused(pictures, tmp_path):
    given = config(loss={"class_weights": {"fields": 2.0}})
    with pytest.raises(InputError, match="no class 'fields', but 'field'; classes are field, town"):
        finetune(given, pictures, "random", tmp_path / "run", options())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"loss": {"dice": 1.0}}, "loss.dice is 1, and is of pixels"),
        ({"loss": {"cross_entropy": 0}}, "nothing would be learnt"),
        ({"loss": {"class_weights": {"field": -1}}}, "a weight is below 0"),
    ],
)
def test_a_loss_that_makes_no_sense_is_refused(changed, line):
    with pytest.raises(ValueError, match=line):
        config(**changed)


@pytest.mark.parametrize("mode", ["linear", "frozen"])
def test_a_head_stands_behind_maps_of_the_encoder(pictures, tmp_path, mode):
    given = config(mode=mode, head={"hidden": 16, "maps": [2, 3]})
    result = finetune(given, pictures, "random", tmp_path / "run", options())
    assert result["test"]["accuracy"] > 0.9
    net, card = load_land_cover(tmp_path / "run")
    assert card.head.maps == (2, 3)
    assert net.head[0].in_features == net.encoders.width_of((2, 3)) == 128 + 256


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"mode": "full"}, r"head.maps is \[3\], and mode is full: .* give mode=linear"),
        ({"head": {"maps": [2, 9]}}, "head.maps has 9, and the encoder has 4 maps; give 1 to 4"),
    ],
)
def test_maps_that_no_head_stands_behind_are_refused(pictures, tmp_path, changed, line):
    given = config(**({"head": {"maps": [3]}} | changed))
    with pytest.raises(InputError, match=line):
        finetune(given, pictures, "random", tmp_path / "run", options())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("task", "maps", "line"),
    [
        ("segmentation", [3], r"head.maps is \[3\], and is for features of places"),
        ("classification", [3, 2, 3], r"maps is \[3, 2, 3\]; give each once, .*: \[2, 3\]"),
        ("classification", [], "at least 1"),
        ("classification", [0], "greater than or equal to 1"),
    ],
)
def test_maps_that_are_none_are_refused(task, maps, line):
    with pytest.raises(ValueError, match=line):
        config(task=task, head={"maps": maps})


def test_a_frozen_encoder_stays_as_it_was(maps, encoder, tmp_path):
    given = config(task="segmentation", mode="frozen", schedule={"epochs": 1})
    finetune(given, maps, str(encoder), tmp_path / "run", options())
    net, card = load_land_cover(tmp_path / "run")
    fresh = SensorEncoders(card.encoder, seed=5).state_dict()
    assert all(torch.equal(fresh[name], value) for name, value in net.encoders.state_dict().items())


def test_a_trained_encoder_moves(maps, encoder, tmp_path):
    given = config(task="segmentation", mode="full", schedule={"epochs": 1})
    finetune(given, maps, str(encoder), tmp_path / "run", options())
    net, card = load_land_cover(tmp_path / "run")
    fresh = SensorEncoders(card.encoder, seed=5)
    for sensor in ("s1", "s2"):
        one, other = (each.trunk(sensor).net.conv1.weight for each in (net.encoders, fresh))
        assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("mode", "sensors"), [("linear", ("s1", "s2")), ("frozen", ("s1",)), ("full", ("s1", "s2"))]
)
def test_pixels_are_told_apart_by_one_stream_or_two(maps, encoder, tmp_path, mode, sensors):
    given = config(
        task="segmentation",
        mode=mode,
        data={"sensors": sensors, "batch_size": 4},
        schedule={"epochs": 6},
        augment={"flip_horizontal": 0.5, "quarter_turns": True},
    )
    result = finetune(given, maps, str(encoder), tmp_path / "run", options())
    assert result["test"]["mean_iou"] > 0.75
    assert result["classes"] == ["1", "10"]
    assert load_land_cover(tmp_path / "run")[1].sensors == sensors


def test_scoring_covers_places_larger_than_what_is_seen_at_a_time(maps, tmp_path, monkeypatch):
    counted = []

    def noted(matrix):
        counted.append(int(matrix.sum()))
        return confusion_scores(matrix)

    for module in ("predict", "predictions"):
        monkeypatch.setattr(f"eo_contrast.landcover.{module}.confusion_scores", noted)
    given = config(
        task="segmentation", data={"size": 10, "sensors": ["s2"]}, schedule={"epochs": 1}
    )
    finetune(given, maps, "random", tmp_path / "run", options())
    assert set(counted) == {4 * 16 * 16}


def test_small_places_are_enlarged_for_an_encoder_of_a_fixed_size(maps, tmp_path):
    given = config(
        task="segmentation",
        encoder={"name": "vit_small", "size": 32},
        data={"sensors": ["s2"]},
        schedule={"epochs": 1},
    )
    result = finetune(given, maps, "random", tmp_path / "run", options())
    assert 0 <= result["test"]["mean_iou"] <= 1
    assert load_land_cover(tmp_path / "run")[1].size == 32


def test_several_labels_a_place(tmp_path):
    source = coloured()
    labels = [
        f"{label};land" if number % 3 else label for number, label in enumerate(source.labels)
    ]
    several = Source(source.arrays, source.splits, labels)
    data = written(several, tmp_path / "pack")
    result = finetune(config(task="multi-label"), data, "random", tmp_path / "run", options())
    assert result["classes"] == ["field", "land", "town"]
    assert {"micro_map", "macro_map", "macro_f1", "accuracy"} <= result["test"].keys()
    assert result["test"]["macro_map"] > 0.6


def test_a_share_of_the_labels_is_learnt_from(pictures, tmp_path):
    given = config(data={"label_fraction": 0.5})
    assert finetune(given, pictures, "random", tmp_path / "run", options())["labels"] == 8


def test_a_share_that_leaves_a_class_empty_is_refused(pictures, tmp_path):
    with pytest.raises(InputError) as caught:
        finetune(
            config(data={"label_fraction": 0.01}), pictures, "random", tmp_path / "run", options()
        )
    assert str(caught.value) == (
        f"{pictures}: label fraction 0.01: leaves class 'field' and 1 more classes without a "
        "place; give at least 0.0625"
    )
    assert not (tmp_path / "run").exists()


def test_bands_that_the_encoder_does_not_eat_are_refused(pictures, encoder, tmp_path):
    with pytest.raises(InputError, match="the encoder's sensor s1 eats s1-grd VV VH"):
        finetune(config(), pictures, str(encoder), tmp_path / "run", options())


def test_an_encoder_is_tuned_on_another_level_where_that_is_allowed(encoder, tmp_path):
    source = mapped()
    arrays = {"s2-l1c": source.arrays["s2-l2a"], "label": source.arrays["label"]}
    level_1 = Source(arrays, source.splits, source.labels)
    level_1.layers = {
        **level_1.layers,
        "s2-l1c": replace(level_1.layers["s2-l1c"], bands=("B02", "B03", "B04")),
    }
    data, said = written(level_1, tmp_path / "pack"), []
    given = config(
        task="segmentation",
        data={"allow_band_change": True, "batch_size": 4},
        schedule={"epochs": 1},
    )
    finetune(given, data, str(encoder), tmp_path / "run", options(say=said.append))
    _, card = load_land_cover(tmp_path / "run")
    assert card.sensors == ("s2",)
    assert card.encoder.sensors["s2"].product == "s2-l1c"
    assert any("weights of s2-l2a see s2-l1c" in line for line in said)


def test_a_sensor_that_the_encoder_lacks_is_refused(maps, encoder, tmp_path):
    given = config(task="segmentation", data={"sensors": ["thermal"]})
    with pytest.raises(InputError, match="no sensor thermal in the encoder, which has s1 s2"):
        finetune(given, maps, str(encoder), tmp_path / "run", options())


def test_a_random_encoder_has_the_sensors_of_the_data(maps, tmp_path):
    given = config(task="segmentation", data={"sensors": ["rgb"]})
    with pytest.raises(InputError, match="sensor rgb: there are images of s1-grd s2-l2a"):
        finetune(given, maps, "random", tmp_path / "run", options())


def test_two_levels_of_optics_are_not_one_sensor(tmp_path):
    source = coloured()
    arrays = dict.fromkeys(("s2-l1c", "s2-l2a"), source.arrays["rgb"])
    both = Source(arrays, source.splits, source.labels, label_bands=("B02", "B03", "B04"))
    data = written(both, tmp_path / "pack")
    with pytest.raises(InputError, match="sensor s2 may be s2-l1c or s2-l2a"):
        finetune(config(), data, "random", tmp_path / "run", options())
    given = config(data={"sensors": ["s2-l1c"]}, schedule={"epochs": 1})
    finetune(given, data, "random", tmp_path / "run", options())
    assert load_land_cover(tmp_path / "run")[1].sensors == ("s2-l1c",)


def test_a_run_of_before_an_option_was_added_is_resumed(pictures, tmp_path):
    run = tmp_path / "run"
    finetune(config(), pictures, "random", run, options())
    before = load_checkpoint(run / "last.ckpt")
    del before["config"]["mix"], before["config"]["head"]["turns"]
    save_checkpoint(run / "last.ckpt", before)
    finetune(config(), pictures, "random", run, options(resume=True))
    del before["config"]["task"]
    before["config"]["mode"] = "full"
    save_checkpoint(run / "last.ckpt", before)
    with pytest.raises(InputError, match="was made with another mode; resume with"):
        finetune(config(), pictures, "random", run, options(resume=True))


def test_resuming_with_another_encoder_is_refused(maps, encoder, tmp_path):
    given = config(task="segmentation", schedule={"epochs": 1})
    finetune(given, maps, str(encoder), tmp_path / "run", options())
    with pytest.raises(InputError, match=r"was started from encoder \w{16}, not random"):
        finetune(given, maps, "random", tmp_path / "run", options(resume=True))


def test_what_is_there_is_not_overwritten(pictures, tmp_path):
    finetune(config(), pictures, "random", tmp_path / "run", options())
    with pytest.raises(InputError, match="already exists; give --overwrite"):
        finetune(config(), pictures, "random", tmp_path / "run", options())


def test_a_class_that_only_the_test_has_is_said(tmp_path):
    source = coloured()
    labels = list(source.labels)
    labels[3] = "lake"
    data = written(Source(source.arrays, source.splits, labels), tmp_path / "pack")
    said: list[str] = []
    given = config(schedule={"epochs": 1})
    result = finetune(given, data, "random", tmp_path / "run", options(say=said.append))
    assert said == ["lake: no training place has it, so none will be found in val or test"]
    assert result["test"]["average_accuracy"] <= 2 / 3 + 1e-9


def test_one_class_is_nothing_to_learn(tmp_path):
    pixels = np.zeros((8, 3, 16, 16), np.int16)
    data = written(Source({"rgb": pixels}, splits_of(8), ["lake"] * 8), tmp_path / "pack")
    with pytest.raises(InputError, match="every place is lake"):
        finetune(config(), data, "random", tmp_path / "run", options())


def test_the_checkpoint_tells_what_it_is_of(pictures, tmp_path):
    finetune(config(), pictures, "random", tmp_path / "run", options())
    state = load_checkpoint(tmp_path / "run" / "last.ckpt")
    assert state["step"] == 6
    assert state["encoder"] == "random"
    assert json.loads(json.dumps(state["config"]))["task"] == "classification"


def test_the_rate_rises_and_falls():
    schedule = FinetuneSchedule(epochs=10, warmup=1)
    factors = [schedule.factor_at(step, 5) for step in range(50)]
    assert factors[:5] == sorted(factors[:5])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[5] == 1.0
    assert 0 < factors[-1] < 0.01
    assert 0 < factors[0] < 0.2


@pytest.mark.parametrize(("least", "epochs"), [(0, 5), (15, 5), (16, 6), (31, 11)])
def test_a_schedule_has_as_many_epochs_as_make_its_least_steps(least, epochs):
    assert FinetuneSchedule(epochs=5, least_steps=least).lengthened(3).epochs == epochs


def test_few_labels_are_learnt_from_for_as_many_steps_as_are_asked_for(pictures, tmp_path):
    few = config(data={"label_fraction": 0.5}, schedule={"epochs": 2, "least_steps": 5})
    finetune(few, pictures, "random", tmp_path / "run", options())
    assert load_checkpoint(tmp_path / "run" / "last.ckpt")["step"] == 5
    ran = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert ran["schedule"]["epochs"] == 5


def test_a_warm_up_as_long_as_the_run_is_refused():
    with pytest.raises(ValueError, match="the rate would never be reached"):
        config(schedule={"epochs": 2, "warmup": 2})


def stopping_after(steps: int):
    """A stop signal that comes during a step of the loop."""

    class Counting(StopSignal):
        asked = 0

        def anywhere(self, fabric: Any) -> bool:
            self.asked += 1
            return self.asked == steps

    @contextmanager
    def stopping() -> Iterator[StopSignal]:
        yield Counting()

    return stopping
