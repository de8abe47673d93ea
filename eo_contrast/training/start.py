"""Weights to start from: an encoder of ours, or a file of timm's, torchgeo's or a method's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from safetensors import SafetensorError, safe_open
from torch import Tensor

from eo_contrast.bands import band_name
from eo_contrast.config import Config
from eo_contrast.data.published_inputs import PUBLISHED, published_input
from eo_contrast.data.sensors import SensorInput
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import ARCHITECTURES, Encoder
from eo_contrast.nets.weights import fill_trunk, fit_bands, position_of, trunk_of
from eo_contrast.training.card import CARD_KEY, MODEL_FILE
from eo_contrast.training.encoder_card import (
    ALL_SENSORS,
    EncoderCard,
    SensorEncoders,
    load_encoder,
    read_encoder_card,
)
from eo_contrast.training.timm_files import read_tensors


class StartConfig(Config):
    """Where a trunk's first weights come from."""

    path: str = Field(
        description="an encoder's model.safetensors or run folder, or a .pth, .pt, .ckpt or "
        ".safetensors with weights by timm's names"
    )
    input: str | None = Field(
        None, description=f"what such a file's images were: {', '.join(PUBLISHED)}"
    )
    bands: tuple[str, ...] | None = Field(
        None, description="its bands in its order, where they were scaled as this run's are"
    )
    sensor: str | None = Field(
        None, description="whose trunk of an encoder; None: of the same name or product"
    )
    prefix: str | None = Field(
        None, description="what the trunk's names begin with, in a file with several"
    )
    allow_band_change: bool = Field(
        False, description="go on where product or bands differ: kernels go by the bands' names"
    )

    @model_validator(mode="after")
    def _says_bands_once(self) -> Self:
        if self.input is not None and self.bands is not None:
            raise ValueError("input and bands both name the bands; give one of them")
        if self.input is not None and self.input not in PUBLISHED:
            raise ValueError(f"input '{self.input}' is unknown; known are {' '.join(PUBLISHED)}")
        return self


def load_start(
    start: StartConfig, encoder: Encoder, wanted: SensorInput, *, sensor: str = ""
) -> list[str]:
    """Fill an encoder with the weights it starts from.

    Args:
        wanted: what the encoder will eat.
        sensor: what it is called in this run, for finding its like in an encoder of several.

    Returns: remarks, one line each: every band that was left out, added or rescaled is in one.
    Raises: InputError: no such file, weights that do not fit, or bands that are not those wanted
        while no change of bands is allowed.
    """
    path = Path(start.path)
    try:
        card, found, prefix = _card_of(path), "", start.prefix
        tensors = read_tensors(_file(path))
        if card is not None:
            found = _like(card, start.sensor, wanted, sensor)
            prefix = f"trunks.{ALL_SENSORS if card.shared else found}.net"
        trunk, remarks = trunk_of(tensors, encoder, prefix=prefix)
        if card is not None and len(card.sensors) > 1:
            remarks.insert(0, f"the trunk is that of sensor {found}")
        theirs = card.sensors[found] if card else _stated_input(start, wanted, trunk, encoder)
        _refuse_change(start, theirs, wanted, sensor)
        trunk, changes = fit_bands(trunk, encoder.config, theirs, wanted)
        remarks += [*changes, *fill_trunk(encoder, trunk)]
    except InputError as error:
        text = str(error)
        raise (error if text.startswith(f"{path}") else InputError(f"{path}: {text}")) from error
    return [f"{path}: {remark}" for remark in remarks]


def load_adapted(
    path: Path | str, sensors: Mapping[str, SensorInput], *, allow_band_change: bool = False
) -> tuple[SensorEncoders, EncoderCard, list[str]]:
    """An encoder of ours for other bands than it was trained on.

    Args:
        sensors: by the card's names, what each will eat; those not named stay as they are.

    Returns: the encoders in evaluation mode; their card, which says what they eat now; remarks.
    Raises: InputError: no such encoder or sensor, or a change that is not allowed.
    """
    before, card = load_encoder(path)
    unknown = [name for name in sensors if name not in card.sensors]
    if unknown:
        raise InputError(f"{path}: no sensor {unknown[0]}; choose among {' '.join(card.sensors)}")
    if card.shared and len(card.sensors) > 1:
        raise InputError(
            f"{path}: one trunk sees {' '.join(card.sensors)}; its bands cannot be changed for one"
        )
    eaten = {**card.sensors, **sensors}
    changed = card.model_copy(update={"sensors": eaten})
    net = SensorEncoders(changed)
    net.heads.load_state_dict(before.heads.state_dict())
    remarks = []
    for name, eats in eaten.items():
        start = StartConfig(path=str(path), sensor=name, allow_band_change=allow_band_change)
        remarks += load_start(start, net.trunk(name), eats)
    return net.eval(), changed, remarks


def _file(path: Path) -> Path:
    return path / MODEL_FILE if path.is_dir() else path


def _card_of(path: Path) -> EncoderCard | None:
    """The card of an encoder of ours; None: the file is a stranger's."""
    if path.is_dir():
        return read_encoder_card(path)
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as weights:
            is_ours = CARD_KEY in (weights.metadata() or {})
    except (SafetensorError, OSError):
        return None  # reading the tensors tells what is wrong
    return read_encoder_card(path) if is_ours else None


def _like(card: EncoderCard, asked: str | None, wanted: SensorInput, sensor: str) -> str:
    """The sensor of a card whose trunk another begins with."""
    there = card.sensors
    if asked is not None:
        if asked not in there:
            raise InputError(f"no sensor {asked} in the encoder; choose among {' '.join(there)}")
        return asked
    same = [name for name, own in there.items() if own.product == wanted.product]
    related = [name for name, own in there.items() if own.product[:2] == wanted.product[:2]]
    if sensor in there and (sensor in same or not same):
        return sensor
    for names in (same, related, list(there)):
        if len(names) == 1:
            return names[0]
    raise InputError(f"has several sensors, {' '.join(there)}; choose one with its start's sensor")


def _stated_input(
    start: StartConfig, wanted: SensorInput, trunk: Mapping[str, Tensor], encoder: Encoder
) -> SensorInput:
    """What a stranger's images were, as the user says."""
    if start.input is not None:
        return published_input(start.input)
    if start.bands is None:
        layer = ARCHITECTURES[encoder.config.name].first_layer
        channels = trunk[f"{layer}.weight"].shape[1]
        raise InputError(
            f"has kernels for {channels} bands without names; name them in "
            f"its start's bands=[...], or give input, one of {' '.join(PUBLISHED)}"
        )
    bands = tuple(_name(band) for band in start.bands)
    kept = [wanted.bands.index(band) if band in wanted.bands else None for band in bands]
    # Scaled as the run's own; of bands that the run lacks no number is ever used.
    numbers = {
        field: tuple(default if at is None else getattr(wanted, field)[at] for at in kept)
        for field, default in (("lowest", 0.0), ("highest", 1.0), ("mean", 0.0), ("deviation", 1.0))
    }
    return SensorInput(product=wanted.product, bands=bands, unit=wanted.unit, **numbers)


def _name(band: str) -> str:
    try:
        return band_name(band)
    except InputError:
        return band  # red, green, blue


def _refuse_change(
    start: StartConfig, theirs: SensorInput, wanted: SensorInput, sensor: str
) -> None:
    if start.allow_band_change:
        return
    lacking = [band for band in theirs.bands if position_of(band, wanted.bands) is None]
    new = [band for band in wanted.bands if position_of(band, theirs.bands) is None]
    same = theirs.product == wanted.product
    if same and not lacking and not new:
        return
    differences = [
        *([f"without {' '.join(lacking)}"] if lacking else []),
        *([f"with {' '.join(new)} besides"] if new else []),
    ]
    key = f"start.{sensor}" if sensor else "start"
    raise InputError(
        f"is for {theirs.product} {' '.join(theirs.bands)} ({len(theirs.bands)} bands); here is "
        f"{' '.join([wanted.product, ' and '.join(differences)]).rstrip()}. Give "
        f"{'data with these bands' if same else f'{theirs.product} data'}, or "
        f"{key}.allow_band_change=true to keep its kernels band by band"
    )
