"""Saved models as ``TileModel``, which is all that the inference engine knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from eo_contrast.inference.models import LoadedModel
from eo_contrast.nets.generator import TOTAL_STRIDE, ResnetGenerator, receptive_radius
from eo_contrast.nets.inference import Precision, Translate, fast_generator, resolved
from eo_contrast.nets.norms import collect_statistics
from eo_contrast.training.card import Card, load_model, model_file

IDENTITY = "identity"


class Identity:
    """The ``TileModel`` that gives back what it gets, in any type: a copy by way of the engine."""

    bands_in: tuple[str, ...] = ()
    bands_out: tuple[str, ...] = ()
    dtype_out: str | None = None
    halo = 0
    stride = 1
    joining: Literal["blend", "cut"] = "cut"

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        """Nothing depends on the scene."""
        return {}

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Nothing depends on the scene."""

    def __call__(self, tiles: Tensor) -> Tensor:
        return tiles


class GeneratorTiles:
    """The ``TileModel`` of a translation generator: physical values in, 0..255 out."""

    dtype_out: str | None = "uint8"
    stride = TOTAL_STRIDE
    joining: Literal["blend", "cut"] = "blend"

    def __init__(
        self,
        net: ResnetGenerator,
        card: Card,
        device: torch.device,
        precision: Precision = "auto",
    ) -> None:
        self._net = net.to(device)
        self._translate: Translate = self._net
        self.precision = resolved(precision, device)
        self._scaling = card.scaling
        self._device = device
        self.bands_in = card.bands_in
        self.bands_out = card.bands_out
        self.halo = receptive_radius(net.config)

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        """Mean and variance at every norm, over all of ``tiles``."""
        return collect_statistics(self._net, self.scaled(tiles))

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Normalise every tile by these statistics; None: each by its own.

        With statistics the norms are folded into the convolutions, and the net runs in the
        fastest layout and precision; without them it runs as it was trained.
        """
        if statistics is None:
            self._translate = self._net
        else:
            on_device = {name: tensor.to(self._device) for name, tensor in statistics.items()}
            self._translate = fast_generator(self._net, on_device, precision=self.precision)

    def __call__(self, tiles: Tensor) -> Tensor:
        result: Tensor = self._translate(self.scaled(tiles))
        return (result + 1) * 127.5

    def scaled(self, tiles: Tensor) -> Tensor:
        """Physical values as the network takes them, in [-1, 1]."""
        lowest, highest = self._scaling.minimum, self._scaling.maximum
        values = tiles.to(self._device, torch.float32).clamp(lowest, highest)
        return (values - lowest) * (2 / (highest - lowest)) - 1


@dataclass(frozen=True)
class Model(LoadedModel):
    """A translator ready to run.

    Attributes:
        card: of the weights file; None for identity.
    """

    given: str = IDENTITY
    card: Card | None = None


def load_tile_model(name: str, device: torch.device, precision: Precision = "auto") -> Model:
    """The model that ``--model`` names: a weights file, a run folder or ``identity``.

    >>> model = eo_contrast.load_tile_model("translator", torch.device("cpu"))

    Args:
        precision: of the networks, under statistics of a whole scene.

    Raises: InputError: it is none of these.
    """
    if name == IDENTITY:
        return Model(name=IDENTITY, tiles=Identity(), device=str(device))
    net, card = load_model(name)
    digest = hashlib.sha256(model_file(name).read_bytes()).hexdigest()
    tiles = GeneratorTiles(net, card, device, precision)
    return Model(
        name=model_file(name).name,
        tiles=tiles,
        given=str(Path(name).resolve()),
        device=str(device),
        precision=tiles.precision,
        card=card,
        sha256=digest,
    )
