"""What a saved model, a checkpoint or a run folder is, without running it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open

from eo_contrast.errors import InputError
from eo_contrast.training.card import MODEL_FILE, card_text, read_card, task_of
from eo_contrast.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from eo_contrast.training.encoder_card import TASK as ENCODER
from eo_contrast.training.encoder_card import card_facts, read_encoder_card
from eo_contrast.training.land_cover_card import TASK as LAND_COVER
from eo_contrast.training.land_cover_card import land_cover_facts, read_land_cover_card
from eo_contrast.training.log import METRICS_FILE, read_rows

CONFIG_FILE = "config.yaml"
REPORT_FILE = "report.html"


def is_run_folder(path: Path) -> bool:
    """Whether ``path`` is a folder that a training run has written to."""
    marks = (CONFIG_FILE, MODEL_FILE, METRICS_FILE, CHECKPOINT_FILE)
    return path.is_dir() and any((path / mark).is_file() for mark in marks)


def describe_model(path: Path) -> dict[str, Any]:
    """The card of a model, and how many numbers it holds.

    Returns: ``kind`` "model", ``task``, ``architecture``, ``bands_in``, ``bands_out``,
        ``scaling``, ``ground_resolution_m``, ``parameters``, ``trained``; of a translator
        ``palette``, of an encoder, whose bands and scaling are by sensor, ``size`` and ``shared``;
        of a land-cover model the same, and its classes as ``bands_out``.

    Raises:
        InputError: not a model with a card.
    """
    file, text = card_text(path)
    task = task_of(text)
    if task == ENCODER:
        facts = card_facts(read_encoder_card(path))
    elif task == LAND_COVER:
        facts = land_cover_facts(read_land_cover_card(path))
    else:
        facts = read_card(path).model_dump(mode="json")
        del facts["version"]
    with safe_open(file, framework="pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    return {"kind": "model", **facts, "parameters": sum(math.prod(shape) for shape in shapes)}


def describe_checkpoint(path: Path) -> dict[str, Any]:
    """What a training stopped at.

    Returns: ``kind`` "checkpoint", ``step``, ``config``, ``parameters`` (of each net).

    Raises:
        InputError: not a checkpoint of this project.
    """
    state = load_checkpoint(path)
    parameters = {
        name: sum(tensor.numel() for tensor in weights.values())
        for name, weights in state["nets"].items()
    }
    return {
        "kind": "checkpoint",
        "step": state["step"],
        "config": state["config"],
        "parameters": parameters,
    }


def describe_run(folder: Path) -> dict[str, Any]:
    """How far a run is and how well it did.

    Returns: ``kind`` "run", ``run``, ``recipe`` and ``seed`` (None where not stated), ``step``
        (the last one logged, 0 before), ``losses`` and ``scores`` (last ones logged),
        ``resumable``, ``report`` (path or None), ``model`` (as :func:`describe_model`, or None
        while there is none).

    Raises:
        InputError: the folder's configuration or model is damaged.
    """
    config = _read_config(folder / CONFIG_FILE)
    rows = read_rows(folder / METRICS_FILE)
    report = folder / REPORT_FILE
    return {
        "kind": "run",
        "run": str(folder),
        "recipe": config.get("recipe"),
        "seed": config.get("seed"),
        "step": rows[-1]["step"] if rows else 0,
        "losses": _last(rows, "train"),
        "scores": _last(rows, "watch"),
        "resumable": (folder / CHECKPOINT_FILE).is_file(),
        "report": str(report) if report.is_file() else None,
        "model": describe_model(folder) if (folder / MODEL_FILE).is_file() else None,
    }


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML; restore it, or start anew") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: holds {type(config).__name__}, not keys and values")
    return config


def _last(rows: list[dict[str, float | str]], phase: str) -> dict[str, float | str]:
    for row in reversed(rows):
        if row.get("phase") == phase:
            return {name: value for name, value in row.items() if name not in ("step", "phase")}
    return {}
