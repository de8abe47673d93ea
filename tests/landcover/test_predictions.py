"""What a model said of a split: counted place by place, kept in one file."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sources import coloured, mapped

from eo_contrast.data.sensors import sensor_input
from eo_contrast.errors import InputError
from eo_contrast.landcover.batches import Material
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.labels import LabelConfig, labelled_places
from eo_contrast.landcover.nets import build_land_cover
from eo_contrast.landcover.predict import split_predictions, split_scores
from eo_contrast.landcover.predictions import (
    PixelPredictions,
    PlacePredictions,
    Predictions,
    read_predictions,
    save_predictions,
)
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard
from eo_contrast.training.land_cover_card import HeadConfig, LandCoverCard

ALONE: Any = SimpleNamespace(
    global_rank=0, world_size=1, device=torch.device("cpu"), autocast=nullcontext
)


def without_calibration(said: Predictions, task: str) -> dict[str, float]:
    """Scores, of pixels those that need no probabilities."""
    scores = said.scores()
    if task == "segmentation":
        assert 0 <= scores.pop("ece") <= 1
    return scores


def predicted(task: str, size: int = 16) -> tuple[Predictions, Material, dict[str, float]]:
    """What an untrained net says of a test split, what it saw, and the split's scores."""
    source = mapped() if task == "segmentation" else coloured()
    if task == "segmentation":
        source.arrays["label"][3, :, :5] = 65535
    products = ["s2-l2a"] if task == "segmentation" else ["rgb"]
    sensors = {each: sensor_input(source.layers[each]) for each in products}
    labelled = labelled_places(source, task, LabelConfig(), products=products, side=size)
    material = Material(source, sensors, labelled, size)
    card = LandCoverCard(
        kind=task,
        mode="frozen",
        encoder=EncoderCard(architecture=EncoderConfig(stem="small"), sensors=sensors, size=size),
        sensors=tuple(sensors),
        size=size,
        head=HeadConfig(hidden=8, decoder_width=16),
        classes=labelled.classes,
    )
    net = build_land_cover(card)
    said = split_predictions(net, material, "test", ALONE)
    return said, material, split_scores(net, material, "test", ALONE)


def kept(said: Predictions, path: Path, task: str, classes: tuple[str, ...]) -> Path:
    count = len(said.true) if isinstance(said, PlacePredictions) else said.confusions.places
    save_predictions(
        said,
        path,
        task=task,
        classes=classes,
        places=[f"place/{number}" for number in range(count)],
        numbers=range(count),
    )
    return path


@pytest.mark.parametrize(("task", "size"), [("classification", 16), ("segmentation", 10)])
def test_they_make_the_scores_of_the_split(task, size):
    said, _, scores = predicted(task, size)
    assert without_calibration(said, task) == scores


def test_every_labelled_pixel_is_counted_once_and_shown_where_it_is():
    said, *_ = predicted("segmentation", 10)
    assert isinstance(said, PixelPredictions)
    labelled = 4 * 16 * 16 - 5 * 16
    assert int(said.confusions.matrix.sum()) == labelled
    assert int(said.reliability.counts.sum()) == labelled
    assert said.shown == (0, 1, 2, 3)
    assert said.true.shape == said.predicted.shape == (4, 16, 16)
    assert (said.true == IGNORED).sum() == 5 * 16
    assert int(said.confusions.matrix.trace()) == int((said.true == said.predicted).sum())


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_they_come_back_from_their_file(tmp_path, task):
    said, material, scores = predicted(task)
    classes = material.labelled.classes
    path = kept(said, tmp_path / "test.safetensors", task, classes)
    again, told = read_predictions(path)
    assert without_calibration(again, task) == scores
    assert (told.task, told.classes) == (task, classes)
    assert told.places[1] == "place/1"
    other = kept(again, tmp_path / "again.safetensors", task, classes)
    assert other.read_bytes() == path.read_bytes()


def test_several_labels_a_place_come_back(tmp_path):
    said = PlacePredictions(torch.rand(5, 3), torch.randint(2, (5, 3)))
    path = kept(said, tmp_path / "test.safetensors", "multi-label", ("a", "b", "c"))
    again, _ = read_predictions(path)
    assert isinstance(again, PlacePredictions)
    assert torch.equal(again.true, said.true)
    assert torch.equal(again.probabilities, said.probabilities)


@pytest.mark.parametrize("content", [b"", b"something else", None])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "test.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="is not what finetune writes of its test places"):
        read_predictions(path)
