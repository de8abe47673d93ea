"""What a land-cover model said of a split, in one file: all that its scores are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from eo_contrast.config import Config
from eo_contrast.errors import InputError
from eo_contrast.evaluate.calibration import Reliability
from eo_contrast.evaluate.intervals import PlaceConfusions
from eo_contrast.evaluate.land_cover import (
    confusion_scores,
    multi_label_scores,
    pair_calibration_error,
    single_label_scores,
)
from eo_contrast.files import whole_file
from eo_contrast.training.land_cover_card import LandCoverTask

TOLD_KEY = "eo_contrast.predictions"


class Told(Config):
    """What the file's header says."""

    version: int = Field(1, ge=1, le=1)
    task: LandCoverTask
    classes: tuple[str, ...]
    places: tuple[str, ...] = Field(description="names, in the order of the rows")
    numbers: tuple[int, ...] = Field(description="of the places in the data, in that order")
    shown: tuple[int, ...] = Field((), description="rows of the places whose maps are kept")


@dataclass(frozen=True)
class PlacePredictions:
    """Of each place.

    Attributes:
        probabilities: float32 (N, C).
        true: int64 (N,) classes, or (N, C) of 0 and 1 where a place has several.
    """

    probabilities: Tensor
    true: Tensor

    def scores(self) -> dict[str, float]:
        """Of the whole split."""
        if self.true.ndim == 2:
            pairs = pair_calibration_error(self.probabilities, self.true)
            return multi_label_scores(self.probabilities, self.true) | {"ece": pairs}
        return single_label_scores(self.probabilities, self.true)


@dataclass(frozen=True)
class PixelPredictions:
    """Of every labelled pixel, counted by place; and maps of a few places to look at.

    Attributes:
        shown: rows of those places, chosen evenly.
        true, predicted: uint8 (len(shown), S, S), their middles; 255 is no label.
    """

    confusions: PlaceConfusions
    reliability: Reliability
    shown: tuple[int, ...]
    true: Tensor
    predicted: Tensor

    def scores(self) -> dict[str, float]:
        """Of the whole split."""
        return confusion_scores(self.confusions.matrix) | {"ece": self.reliability.error}


Predictions = PlacePredictions | PixelPredictions


def save_predictions(
    predictions: Predictions,
    path: Path,
    *,
    task: LandCoverTask,
    classes: Sequence[str],
    places: Sequence[str],
    numbers: Sequence[int],
) -> None:
    """Write a split's predictions; the same ones give the same bytes.

    Args:
        places, numbers: of the places in the data, in the order of the predictions' rows.

    Raises: WorldError: the disk is full or failing.
    """
    told = Told(task=task, classes=tuple(classes), places=tuple(places), numbers=tuple(numbers))
    if isinstance(predictions, PlacePredictions):
        kind = torch.uint8 if task == "multi-label" else torch.int64
        tensors = {
            "probabilities": predictions.probabilities,
            "true": predictions.true.to(kind),
        }
    else:
        told = told.model_copy(update={"shown": predictions.shown})
        tensors = {
            "confusions": predictions.confusions.cells,
            "reliability": predictions.reliability.sums,
            "true": predictions.true,
            "predicted": predictions.predicted,
        }
    header = {TOLD_KEY: json.dumps(told.model_dump(mode="json"), sort_keys=True)}
    content = save({name: each.contiguous() for name, each in tensors.items()}, metadata=header)
    with whole_file(path) as partial:
        partial.write_bytes(content)


def read_predictions(path: Path) -> tuple[Predictions, Told]:
    """What :func:`save_predictions` wrote.

    Raises: InputError: no such file, or another's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            told = Told.model_validate_json((file.metadata() or {})[TOLD_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _predictions(tensors, told), told
    except (SafetensorError, OSError, KeyError, ValidationError) as error:
        raise InputError(
            f"{path}: is not what finetune writes of its test places; restore it, or take it away"
        ) from error


def _predictions(tensors: dict[str, Tensor], told: Told) -> Predictions:
    if told.task == "segmentation":
        confusions = PlaceConfusions(len(told.places), len(told.classes), tensors["confusions"])
        return PixelPredictions(
            confusions=confusions,
            reliability=Reliability(tensors["reliability"]),
            shown=told.shown,
            true=tensors["true"],
            predicted=tensors["predicted"],
        )
    return PlacePredictions(tensors["probabilities"], tensors["true"].long())
