"""What becomes of blended values pixel by pixel, before they are written: numbers of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.raster.class_map import NO_CLASS, PROBABILITY_ONE
from eo_contrast.raster.reader import Pixels


class Settle(Protocol):
    """From what a model gives to what is written; equal to itself after pickling.

    Attributes:
        bands: of what is written.
        dtype: name of its type.
        empty: what pixels without data become.
    """

    @property
    def bands(self) -> int: ...

    @property
    def dtype(self) -> str: ...

    @property
    def empty(self) -> int: ...

    def __call__(self, values: Tensor) -> Tensor:
        """(bands of the model, rows, columns) to (``bands``, rows, columns), pixel by pixel."""
        ...


@dataclass(frozen=True)
class ClassNumbers:
    """The number of the likeliest class; behind it, where wanted, every class's probability.

    Of equals the first is taken. Probabilities are ``PROBABILITY_ONE`` for 1, as uint8.
    """

    classes: int
    probabilities: bool = False
    dtype: str = "uint8"
    empty: int = NO_CLASS

    @property
    def bands(self) -> int:
        """1, or one more for each class."""
        return 1 + self.classes if self.probabilities else 1

    def __call__(self, values: Tensor) -> Tensor:
        """Probabilities (classes, rows, columns) to uint8 (``bands``, rows, columns)."""
        numbers = values.argmax(dim=0, keepdim=True).to(torch.uint8)
        if not self.probabilities:
            return numbers
        shares = (values * PROBABILITY_ONE).round().clamp(0, PROBABILITY_ONE).to(torch.uint8)
        return torch.cat([numbers, shares])


def settled(pixels: Pixels, settle: Settle) -> Pixels:
    """A strip of blended values as what is written; validity is told by the values then, too."""
    values = settle(torch.from_numpy(np.ascontiguousarray(pixels.values))).cpu().numpy()
    return Pixels(values=emptied(values, pixels.valid, settle), valid=pixels.valid)


def emptied(values: NDArray[Any], valid: NDArray[np.bool_], settle: Settle) -> NDArray[Any]:
    """``values`` (bands, rows, columns), and ``settle.empty`` where not ``valid``."""
    return np.where(valid, values, values.dtype.type(settle.empty))
