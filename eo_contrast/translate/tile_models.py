"""Saved models as ``TileModel``, which is all that the inference engine knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from eo_contrast.inference.plan import TileModel
from eo_contrast.nets.generator import TOTAL_STRIDE, ResnetGenerator, receptive_radius
from eo_contrast.nets.norms import collect_statistics, fix_statistics
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

    def __init__(self, net: ResnetGenerator, card: Card, device: torch.device) -> None:
        self._net = net.to(device)
        self._scaling = card.scaling
        self._device = device
        self.bands_in = card.bands_in
        self.bands_out = card.bands_out
        self.halo = receptive_radius(net.config)

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        """Mean and variance at every norm, over all of ``tiles``."""
        return collect_statistics(self._net, self._scaled(tiles))

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Normalise every tile by these statistics; None: each by its own."""
        fix_statistics(self._net, statistics)

    def __call__(self, tiles: Tensor) -> Tensor:
        result: Tensor = self._net(self._scaled(tiles))
        return (result + 1) * 127.5

    def _scaled(self, tiles: Tensor) -> Tensor:
        lowest, highest = self._scaling.minimum, self._scaling.maximum
        values = tiles.to(self._device, torch.float32).clamp(lowest, highest)
        return (values - lowest) * (2 / (highest - lowest)) - 1


@dataclass(frozen=True)
class Model:
    """A model ready to run.

    Attributes:
        name: of its file, for people.
        given: what the user named, made absolute: another process loads it by this.
        device: where it runs.
        card, sha256: of the weights file; None for identity.
    """

    name: str
    tiles: TileModel
    given: str = IDENTITY
    device: str = "cpu"
    card: Card | None = None
    sha256: str | None = None


def load_tile_model(name: str, device: torch.device) -> Model:
    """The model that ``--model`` names: a weights file, a run folder or ``identity``.

    Raises: InputError: it is none of these.
    """
    if name == IDENTITY:
        return Model(name=IDENTITY, tiles=Identity(), device=str(device))
    net, card = load_model(name)
    digest = hashlib.sha256(model_file(name).read_bytes()).hexdigest()
    tiles = GeneratorTiles(net, card, device)
    return Model(
        name=model_file(name).name,
        tiles=tiles,
        given=str(Path(name).resolve()),
        device=str(device),
        card=card,
        sha256=digest,
    )
