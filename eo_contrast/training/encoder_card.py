"""Saved encoders: trunks by sensor, and the card that says what each of them eats.

The file is of the same form as a translator's: ``model.safetensors`` with a card in its header.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from eo_contrast.bands import PRODUCTS, positions
from eo_contrast.catalog.packed import Layer
from eo_contrast.config import Config
from eo_contrast.data.sensors import SensorInput
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import Encoder, EncoderConfig, build_encoder
from eo_contrast.nets.projectors import (
    ProjectorConfig,
    build_projector,
    first_layers,
    width_after,
)
from eo_contrast.training.card import card_text, fill, parsed_card, save_model, task_of

TASK = "encoder"
ALL_SENSORS = "all"
"""Name of a trunk or head that serves every sensor."""

WEIGHTS = (".pth", ".pt", ".ckpt", ".safetensors")
"""Endings of files that others keep weights in."""


class EncoderCard(Config):
    """What is known of saved encoders without running them."""

    version: Literal[1] = 1
    task: Literal["encoder"] = "encoder"
    architecture: EncoderConfig
    sensors: dict[str, SensorInput] = Field(min_length=1, description="what each sensor's eats")
    shared: bool = Field(False, description="one trunk sees all sensors")
    size: int = Field(ge=1, description="side in pixels of the images it was trained on")
    ground_resolution_m: float | None = Field(
        None, gt=0, description="metres a pixel of those images; None: not known"
    )
    head: ProjectorConfig | None = Field(
        None, description="the projector kept behind the trunk; None: none is"
    )
    head_layers: int = Field(0, ge=0, description="its first layers, that fine-tuning goes through")
    trained: dict[str, Any] = Field(default_factory=dict)


class SensorEncoders(nn.Module):
    """Trunks by sensor, or one for all, and the projectors kept behind them.

    Attributes:
        trunks, heads: by sensor, or under ``all``; no heads: the card keeps none.
        width: of a trunk's pooled feature.
        headed_width: of what :meth:`headed` gives.
    """

    def __init__(self, card: EncoderCard, *, seed: int = 0) -> None:
        """With random weights, a function of card and seed."""
        super().__init__()
        sensors = list(card.sensors)
        trunks = {
            name: build_encoder(card.architecture, len(card.sensors[sensor].bands), seed=seed)
            for name, sensor in _owners(sensors, shared=card.shared).items()
        }
        self.trunks = nn.ModuleDict(trunks)
        self.width = self.headed_width = next(iter(trunks.values())).width
        self.heads = nn.ModuleDict()
        self._head_layers = card.head_layers
        if card.head is not None and card.head_layers:
            for name in _owners(sensors, shared=not card.head.per_sensor):
                head = build_projector(card.head, self.width, seed=seed)
                self.headed_width = width_after(first_layers(head, card.head_layers), self.width)
                self.heads[name] = head

    def trunk(self, sensor: str) -> Encoder:
        """The encoder of a sensor.

        Raises: InputError: there is none.
        """
        found = _of_sensor(self.trunks, sensor)
        if not isinstance(found, Encoder):
            there = " ".join(self.trunks)
            raise InputError(f"sensor {sensor}: the encoder has {there}; choose one of them")
        return found

    def forward(self, sensor: str, images: Tensor, maps: Sequence[int] | None = None) -> Tensor:
        """(N, bands, H, W) of a sensor -> (N, width), pooled; before any head.

        Args:
            maps: those of the trunk's whose means are taken, in a row, 1 the finest; None: as the
                architecture pools its last.
        """
        trunk = self.trunk(sensor)
        pooled: Tensor = trunk(images) if maps is None else trunk.map_means(images, maps)
        return pooled

    def width_of(self, maps: Sequence[int] | None) -> int:
        """Of what :meth:`forward` gives, of maps that there are."""
        if maps is None:
            return self.width
        channels = self.trunk(next(iter(self.trunks))).pyramid_channels
        return sum(channels[number - 1] for number in maps)

    def pyramid(self, sensor: str, images: Tensor) -> list[Tensor]:
        """(N, bands, H, W) of a sensor -> its maps, finest first."""
        return self.trunk(sensor).pyramid(images)

    def headed(self, sensor: str, images: Tensor) -> Tensor:
        """(N, bands, H, W) of a sensor -> (N, headed_width), behind the head's kept layers."""
        features: Tensor = self(sensor, images)
        head = _of_sensor(self.heads, sensor)
        if isinstance(head, nn.Sequential):
            features = first_layers(head, self._head_layers)(features)
        return features


def save_encoder(net: SensorEncoders, card: EncoderCard, path: Path) -> None:
    """Write weights and card; the file appears whole or not at all.

    Raises:
        WorldError: the disk is full or failing.
    """
    save_model(net, card, path)


def read_encoder_card(path: Path | str) -> EncoderCard:
    """The card of an encoder's ``model.safetensors`` or of the run folder that holds it.

    Raises:
        InputError: no such file, not a model with a card, or no encoder.
    """
    try:
        file, text = card_text(path)
    except InputError as error:
        if Path(path).suffix not in WEIGHTS or not Path(path).is_file():
            raise
        raise InputError(
            f"{error}; eo-contrast import-encoder makes one of weights of timm or torchgeo"
        ) from error
    task = task_of(text)
    if task != TASK:
        raise InputError(
            f"{file}: is a model for {task or 'nothing known'}, not an encoder; give one that "
            "pretrain made"
        )
    return parsed_card(EncoderCard, text, file)


def load_encoder(path: Path | str) -> tuple[SensorEncoders, EncoderCard]:
    """The encoders in evaluation mode, and their card.

    >>> net, card = eo_contrast.load_encoder("encoder")
    >>> card.architecture.name, list(card.sensors), card.size
    ('resnet18', ['s2'], 32)

    Raises:
        InputError: as :func:`read_encoder_card`, or weights that do not fit the card.
    """
    card = read_encoder_card(path)
    file, _ = card_text(path)
    net = SensorEncoders(card)
    fill(net, file)
    return net.eval(), card


def card_facts(card: EncoderCard) -> dict[str, Any]:
    """What a card says, in the words in which every model is described.

    Returns: ``task``, ``architecture``, ``bands_in`` and ``scaling`` by sensor, ``bands_out``
        (none: vectors are no bands), ``size``, ``shared``, ``ground_resolution_m``,
        ``head_layers``, ``trained``.
    """
    facts = card.model_dump(mode="json")
    inputs = facts["sensors"]
    return {
        "task": facts["task"],
        "architecture": facts["architecture"],
        "bands_in": {name: own.pop("bands") for name, own in inputs.items()},
        "bands_out": [],
        "scaling": inputs,
        **{key: facts[key] for key in ("size", "shared", "ground_resolution_m", "head_layers")},
        "trained": facts["trained"],
    }


def check_bands(card: EncoderCard, sensor: str, layer: Layer, *, where: str = "data") -> list[int]:
    """Where the bands that the encoder eats lie among the layer's, from 0.

    Args:
        where: what the layer is of, for the message.

    Raises: InputError: the card has no such sensor, the layer is of another sensor or level, or
        lacks a band; the line names them and says how to proceed.
    """
    if sensor not in card.sensors:
        there = " ".join(card.sensors)
        raise InputError(f"{where}: no sensor {sensor} in the encoder, which has {there}")
    wanted = card.sensors[sensor]
    if wanted.product == layer.product and set(wanted.bands) <= set(layer.bands):
        return positions(layer.bands, wanted.bands)
    raise InputError(
        f"{where}: the encoder's sensor {sensor} eats {wanted.product} {' '.join(wanted.bands)} "
        f"({len(wanted.bands)} bands); here is {layer.product}{_lacking(wanted.bands, layer)}. "
        f"{_way_on(wanted, layer, sensor)}"
    )


def _lacking(wanted: Sequence[str], layer: Layer) -> str:
    lacking = [band for band in wanted if band not in layer.bands]
    if not lacking:
        return f" with {' '.join(wanted)}, which is another product"
    if len(lacking) == len(wanted):
        return f" with {' '.join(layer.bands)}"
    return f" without {' '.join(lacking)}"


def _way_on(wanted: SensorInput, layer: Layer, sensor: str) -> str:
    if wanted.product == layer.product:
        return "Give data with these bands, or pretrain on the bands that there are"
    kinds = [PRODUCTS[each].sensor for each in (wanted.product, layer.product) if each in PRODUCTS]
    if len(kinds) == 2 and kinds[0] == kinds[1]:
        return (
            f"Give {wanted.product} data, or pretrain on {layer.product}, from this encoder with "
            f"start.{sensor}.allow_band_change=true if its kernels are to be kept band by band"
        )
    return f"Give {wanted.product} data, or an encoder that was pretrained on {layer.product}"


def _owners(sensors: Sequence[str], *, shared: bool) -> dict[str, str]:
    """Names of modules, and of a sensor that each serves."""
    return {ALL_SENSORS: sensors[0]} if shared else {name: name for name in sensors}


def _of_sensor(modules: nn.ModuleDict, sensor: str) -> Any:
    for name in (sensor, ALL_SENSORS):
        if name in modules:
            return modules[name]
    return None
