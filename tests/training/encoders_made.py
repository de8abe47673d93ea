"""Small encoders and what they eat, for tests of files and cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.sensors import SensorInput, sensor_input
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders, save_encoder

SIDE = 64


def layer(product: str, *bands: str) -> Layer:
    """A layer of a data set, of these bands or all that the product has."""
    return Layer(product, "", bands or PRODUCTS[product].bands, 1, STORAGE[product])


def eats(product: str, *bands: str) -> SensorInput:
    """These bands of a product, or all, as this project scales them."""
    return sensor_input(layer(product, *bands))


def card_of(sensors: dict[str, SensorInput], **more: Any) -> EncoderCard:
    """The card of a ResNet-18 unless another architecture is given."""
    return EncoderCard.model_validate(
        {"architecture": EncoderConfig(), "sensors": sensors, "size": SIDE, **more}
    )


def saved(folder: Path, card: EncoderCard, *, seed: int = 1) -> Path:
    """An encoder with random weights in ``model.safetensors``."""
    save_encoder(SensorEncoders(card, seed=seed), card, folder / "model.safetensors")
    return folder / "model.safetensors"


def images(bands: int, side: int = SIDE) -> Tensor:
    """Two images of noise, always the same."""
    return torch.randn(2, bands, side, side, generator=torch.Generator().manual_seed(1))
