"""The card: what a saved model says of itself, inside its weights file.

``model.safetensors`` holds weights and, in its header, a JSON card: architecture, input
bands and scaling by name, meaning of the output, how it was trained. A file without a card
is no model of this project.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from eo_contrast.config import Config, ConfigT
from eo_contrast.errors import InputError
from eo_contrast.files import whole_file
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator

CARD_KEY = "eo_contrast.card"
MODEL_FILE = "model.safetensors"


class InputScaling(Config):
    """The physical values that a model sees as -1 and as 1."""

    minimum: float = 0.0
    maximum: float = 255.0


class Card(Config):
    """What is known of a model without running it."""

    version: Literal[1] = 1
    task: Literal["translation"] = "translation"
    architecture: GeneratorConfig
    bands_in: tuple[str, ...] = ("red", "green", "blue")
    bands_out: tuple[str, ...] = ("red", "green", "blue")
    scaling: InputScaling = InputScaling()
    ground_resolution_m: float | None = Field(
        None, gt=0, description="metres a pixel as the net saw them; None: not known"
    )
    zoom: float = Field(
        1.0, gt=0, description="pixels that the net saw for one of the training files'"
    )
    palette: str | None = Field(None, description="name of the map style it was trained on")
    trained: dict[str, Any] = Field(default_factory=dict)


def save_model(net: nn.Module, card: Config, path: Path) -> None:
    """Write weights and card; the same net and card give the same bytes.

    Args:
        card: of a translator, or another task's own.

    Raises:
        WorldError: the disk is full or failing.
    """
    weights = {name: tensor.contiguous().cpu() for name, tensor in net.state_dict().items()}
    header = {CARD_KEY: json.dumps(card.model_dump(mode="json"), sort_keys=True)}
    # The library's own writing to a file leaves it readable to its owner alone.
    content = save(weights, metadata=header)
    with whole_file(path) as partial:
        partial.write_bytes(content)


def read_card(path: Path | str) -> Card:
    """The card of a translator, in ``model.safetensors`` or the run folder that holds it.

    Raises:
        InputError: no such file, not a model with a card, or no translator.
    """
    file, text = card_text(path)
    if task_of(text) == "encoder":
        raise InputError(
            f"{file}: is an encoder, not a translator; give a model that train-translator made, or "
            "use this one with embed or finetune"
        )
    if task_of(text) == "land-cover":
        raise InputError(
            f"{file}: is a land-cover model, not a translator; give a model that train-translator "
            "made"
        )
    return parsed_card(Card, text, file)


def card_text(path: Path | str) -> tuple[Path, str]:
    """A model's weights file, and its card as JSON, whatever the task.

    Raises:
        InputError: no such file, or not a model with a card.
    """
    file = model_file(path)
    try:
        with safe_open(file, framework="pt") as weights:
            header = weights.metadata() or {}
        return file, header[CARD_KEY]
    except (SafetensorError, OSError, KeyError) as error:
        raise _no_model(file) from error


def task_of(text: str) -> str:
    """The task that a card, as JSON, states; empty where it states none."""
    try:
        return str(json.loads(text)["task"])
    except (ValueError, KeyError, TypeError):
        return ""


def parsed_card(kind: type[ConfigT], text: str, file: Path) -> ConfigT:
    """A card of the kind from its JSON.

    Raises:
        InputError: it is of another kind, or of another release.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise _no_model(file) from error


def load_model(path: Path | str) -> tuple[ResnetGenerator, Card]:
    """The net in evaluation mode, and its card.

    >>> net, card = eo_contrast.load_model("translator")
    >>> card.architecture.bands_in
    3

    Raises:
        InputError: no such file, not a model with a card, or weights that do not fit it.
    """
    card = read_card(path)
    net = ResnetGenerator(card.architecture)
    fill(net, model_file(path))
    return net.eval(), card


def fill(net: nn.Module, file: Path) -> None:
    """Load a weights file into the net that its card states.

    Raises:
        InputError: the weights do not fit.
    """
    with safe_open(file, framework="pt") as weights:
        state = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"{file}: weights do not fit the architecture its card states: {reason}"
        ) from error


def _no_model(file: Path) -> InputError:
    return InputError(
        f"{file}: not a model of eo-contrast (no weights with a card inside); "
        "give a model.safetensors or a finished run folder"
    )


def model_file(path: Path | str) -> Path:
    """The weights file that ``path``, a file or a run folder, means.

    Raises:
        InputError: there is none.
    """
    path = Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    if file.is_file():
        return file
    what = f"the folder holds no {MODEL_FILE}" if path.is_dir() else "no such file"
    raise InputError(f"{path}: {what}; give a model.safetensors or a finished run folder")
