"""A model that is ready to run, whatever its kind, and how another process loads it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from eo_contrast.inference.plan import TileModel
from eo_contrast.nets.inference import Precision


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes:
        name: of its file, for people.
        given: what the user named, made absolute: another process loads it by this.
        device: where it runs.
        precision: of the networks, fp32 or bf16.
        sha256: of the weights file; None: there is none.
    """

    name: str
    tiles: TileModel
    given: str = ""
    device: str = "cpu"
    precision: Precision = "fp32"
    sha256: str | None = None


class Load(Protocol):
    """Loads the model that ``given`` names; picklable."""

    def __call__(
        self, given: str, device: torch.device, precision: Precision, /
    ) -> LoadedModel: ...
