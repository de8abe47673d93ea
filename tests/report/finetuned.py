"""Folders of fine-tuning runs as training leaves them, with the pack they learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from eo_contrast.catalog.packed import STORAGE, Layer, write_manifest
from eo_contrast.config import save_config
from eo_contrast.data.sensors import sensor_input
from eo_contrast.evaluate.calibration import reliability
from eo_contrast.evaluate.intervals import PlaceConfusions
from eo_contrast.evaluate.land_cover import confusion
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.predictions import (
    PixelPredictions,
    PlacePredictions,
    Predictions,
    save_predictions,
)
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.card import save_model
from eo_contrast.training.encoder_card import EncoderCard
from eo_contrast.training.land_cover_card import LandCoverCard

CLASSES = ("field", "lake", "town")
PLACES, SIDE = 12, 16
LAYERS = {
    "rgb": Layer("rgb", "rgb.npy", ("red", "green", "blue"), 1, STORAGE["rgb"]),
    "s1-grd": Layer("s1-grd", "s1-grd.npy", ("VV", "VH"), 1, STORAGE["s1-grd"]),
}
TRUE = torch.tensor([0, 0, 1, 1, 2, 2])
"""Classes of the test places, which are the last six."""


def pack_of(folder: Path, *, names: Sequence[str] | None = None) -> Path:
    """Pictures and radar of places called ``place/0`` and so on."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for layer in LAYERS.values():
        shape = (PLACES, 1, len(layer.bands), SIDE, SIDE)
        np.save(folder / layer.file, generator.integers(0, 256, shape).astype(np.int16))
    table = {
        "place_id": list(names or [f"place/{number}" for number in range(PLACES)]),
        "row": [0] * PLACES,
        "column": [0] * PLACES,
        "split": ["train"] * 4 + ["val"] * 2 + ["test"] * 6,
        "label": [CLASSES[number % 3] for number in range(PLACES)],
        **{f"{product}:id": [["one"]] * PLACES for product in LAYERS},
    }
    write_manifest(folder, SIDE, LAYERS, pa.table(table))
    return folder


def of_one_label() -> PlacePredictions:
    """Two of six wrong: place 1 surely (field told as lake), place 5 less so."""
    rows = [(9, 1, 0), (1, 98, 1), (0, 8, 1), (1, 7, 1), (0, 1, 9), (6, 1, 3)]
    probabilities = torch.tensor(rows, dtype=torch.float32)
    return PlacePredictions(probabilities / probabilities.sum(1, keepdim=True), TRUE)


def of_several_labels() -> PlacePredictions:
    """Place 0 has no town, but is said to; place 5 has, and is not."""
    true = torch.tensor([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])
    probabilities = (true * 0.8 + 0.1).float()
    probabilities[0, 2], probabilities[5, 2] = 0.97, 0.05
    return PlacePredictions(probabilities, true)


def of_pixels() -> PixelPredictions:
    """Maps of two halves; the lower one of the last place is told wrongly."""
    true = torch.zeros(6, SIDE, SIDE, dtype=torch.int64)
    true[:, SIDE // 2 :] = 2
    predicted = true.clone()
    predicted[5, SIDE // 2 :] = 1
    true[0, 0] = 255
    cells = []
    for place in range(6):
        flat = confusion(predicted[place], true[place], 3, ignore=255).flatten()
        cells += [(place, cell, count) for cell, count in enumerate(flat.tolist()) if count]
    counted = true != 255
    return PixelPredictions(
        confusions=PlaceConfusions(6, 3, torch.tensor(cells)),
        reliability=reliability(
            torch.full((int(counted.sum()),), 0.9), (true == predicted)[counted]
        ),
        shown=(0, 5),
        true=true[[0, 5]].to(torch.uint8),
        predicted=predicted[[0, 5]].to(torch.uint8),
    )


OF_TASK = {
    "classification": of_one_label,
    "multi-label": of_several_labels,
    "segmentation": of_pixels,
}


def log_rows(task: str, scores: Mapping[str, float], epochs: int = 4) -> list[dict[str, Any]]:
    """Five steps an epoch; the third epoch is the best on validation."""
    key = {"classification": "accuracy", "multi-label": "macro_map"}.get(task, "mean_iou")
    rows: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        step = 5 * epoch
        rows.append({"step": step, "phase": "train", "loss": 2.0 / epoch, "lr": 0.001})
        worse = 0.1 * abs(epoch - 3)
        look = {name: value * (1 - worse) for name, value in scores.items()}
        rows.append({"step": step, "phase": "watch", "epoch": epoch, **look, key: 0.9 - worse})
    return rows


def run_of(
    folder: Path,
    task: str = "classification",
    *,
    data: Path | None = None,
    predictions: Predictions | None = None,
    finished: bool = True,
    method: str | None = "simclr",
    epochs: int = 4,
    **changed: Any,
) -> Path:
    """A run folder.

    Args:
        data: that the card names; None: none.
        changed: of the configuration.
    """
    folder.mkdir(parents=True)
    said = predictions or OF_TASK[task]()
    config = FinetuneConfig.model_validate(
        {
            "task": task,
            "mode": "linear",
            "data": {"sensors": ["s1", "rgb"], "size": SIDE},
            "schedule": {"epochs": epochs},
        }
        | changed
    )
    save_config(config, folder / "config.yaml")
    rows = log_rows(task, said.scores())
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    timings = [{"step": 5 * n, "seconds": 2.5, "peak_rss_mib": 700.0} for n in (1, 2, 3, 4)]
    (folder / "timings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in timings))
    if finished:
        card = _card(config, said, data, method)
        save_model(nn.Linear(1, 1), card, folder / "model.safetensors")
        save_predictions(
            said,
            folder / "test.safetensors",
            task=config.task,
            classes=CLASSES,
            places=[f"place/{number}" for number in range(6, 12)],
            numbers=range(6, 12),
        )
    return folder


def _card(
    config: FinetuneConfig, said: Predictions, data: Path | None, method: str | None
) -> LandCoverCard:
    sensors = {"s1": sensor_input(LAYERS["s1-grd"]), "rgb": sensor_input(LAYERS["rgb"])}
    trained = {
        "encoder": "runs/simclr (0123456789abcdef)",
        "labels": 4,
        "places": {"train": 4, "val": 2, "test": 6},
        "epoch": 3,
        "steps": 20,
        "val": said.scores(),
        "test": said.scores(),
    } | ({"data": str(data)} if data else {})
    return LandCoverCard(
        kind=config.task,
        mode=config.mode,
        encoder=EncoderCard(
            architecture=EncoderConfig(),
            sensors=sensors,
            size=SIDE,
            trained={"method": method} if method else {},
        ),
        sensors=("s1", "rgb"),
        size=SIDE,
        ground_resolution_m=10.0,
        classes=CLASSES,
        trained=trained,
    )


def renamed(predictions: PlacePredictions, probabilities: Tensor) -> PlacePredictions:
    """The same places told otherwise."""
    return replace(predictions, probabilities=probabilities)
