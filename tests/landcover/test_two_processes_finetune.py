"""Two processes with half a batch each move as one with the whole, and score alike."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from sources import coloured, mapped
from torch import Tensor, distributed
from two_processes import in_two_processes

from eo_contrast.data.sensors import sensor_input
from eo_contrast.landcover.batches import Draw, Material, batch_at
from eo_contrast.landcover.class_weights import class_weights
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.labels import LabelConfig, labelled_places
from eo_contrast.landcover.nets import build_land_cover
from eo_contrast.landcover.predict import split_predictions, split_scores
from eo_contrast.landcover.predictions import PixelPredictions
from eo_contrast.landcover.trainer import finetune_step, start_finetuning
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard
from eo_contrast.training.land_cover_card import HeadConfig, LandCoverCard


@dataclass
class Processes:
    """What the step asks of Fabric."""

    global_rank: int
    world_size: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def autocast(self) -> Any:
        return nullcontext()

    def all_reduce(self, values: Tensor, reduce_op: str) -> Tensor:
        distributed.all_reduce(values)
        return values / self.world_size if reduce_op == "mean" else values


EVERYTHING = {
    "loss": {"focal": 2.0, "dice": 0.5, "class_weights": "balanced"},
    "data": {"drop_sensor": 0.5},
}
"""Of segmentation: all that could divide by a process's share and not by the whole."""


def step_and_scores(rank: int, task: str, world_size: int) -> dict[str, Any]:
    """Gradients of one step in mode full, and the scores of the validation split after it."""
    source = coloured() if task == "classification" else mapped()
    if task == "segmentation":
        source.arrays["label"][:3, :, :6] = 65535
    products = {"rgb": "rgb"} if task == "classification" else {"s1": "s1-grd", "s2": "s2-l2a"}
    sensors = {name: sensor_input(source.layers[each]) for name, each in products.items()}
    labelled = labelled_places(
        source, task, LabelConfig(), products=list(products.values()), side=16
    )
    material = Material(source, sensors, labelled, 16)
    weighted = {
        "loss": {"class_weights": {"field": 3.0}, "smoothing": 0.1},
        "mix": {"kind": "cutmix"},
    }
    more = EVERYTHING if task == "segmentation" else weighted
    config = FinetuneConfig(task=task, augment={"flip_horizontal": 0.5}, **more)
    card = LandCoverCard(
        kind=task,
        mode="full",
        encoder=EncoderCard(architecture=EncoderConfig(stem="small"), sensors=sensors, size=16),
        sensors=tuple(sensors),
        size=16,
        head=HeadConfig(decoder_width=32, fusion="attention"),
        classes=labelled.classes,
    )
    fabric: Any = Processes(rank, world_size)
    weights = class_weights(config.loss.class_weights, labelled)
    training = start_finetuning(config, build_land_cover(card), "random", "", fabric, weights)
    draw = Draw(seed=0, places=8, batch_size=4, rank=rank, world_size=world_size)
    targets = labelled.targets("train")
    batch = batch_at(material, draw, 0)
    finetune_step(training, material, batch, fabric, cached=None, targets=targets, factor=0.0)
    gradients = {
        name: each.grad for name, each in training.net.named_parameters() if each.grad is not None
    }
    predictions = split_predictions(training.net, material, "val", fabric)
    pixels = isinstance(predictions, PixelPredictions)
    return {
        "gradients": gradients,
        "scores": split_scores(training.net, material, "val", fabric),
        "scores_of_predictions": predictions.scores(),
        "cells": predictions.confusions.cells if pixels else torch.zeros(0, 3),
    }


def pixels_by_place(cells: Tensor) -> dict[int, int]:
    """How many labelled pixels each place has, in the order of the rows."""
    found: dict[int, int] = {}
    for place, _, count in cells.tolist():
        found[place] = found.get(place, 0) + count
    assert list(found) == sorted(found)
    return found


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_gradients_and_scores_are_those_of_one_process(task, tmp_path):
    one = step_and_scores(0, task, 1)
    for other in in_two_processes(step_and_scores, tmp_path, task, 2):
        assert other["scores"] == pytest.approx(one["scores"], rel=1e-4, abs=1e-6)
        told = {name: other["scores_of_predictions"][name] for name in other["scores"]}
        assert told == pytest.approx(other["scores"])
        assert pixels_by_place(other["cells"]) == pixels_by_place(one["cells"])
        largest = max(float(each.abs().max()) for each in one["gradients"].values())
        for name, gradient in one["gradients"].items():
            apart = float((gradient - other["gradients"][name]).abs().max())
            assert apart <= 1e-3 * float(gradient.abs().max()) + 1e-5 * largest, name
