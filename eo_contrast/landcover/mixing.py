"""Two images and their labels mixed: mixup and CutMix, for places of one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eo_contrast.augment.draws import Key, generator_of
from eo_contrast.config import Config
from eo_contrast.landcover.batches import Images

MIXES = 3
"""Last part of the keys that mixing draws by; 0 to 2 are those of geometry and colours."""


class MixConfig(Config):
    """Whether an image is mixed with another of its batch, and how much of it."""

    kind: Literal["mixup", "cutmix"] | None = Field(
        None,
        description="mixup: a weighted mean of both; cutmix: a square of the other, pasted. The "
        "label is mixed by the same share. None: off",
    )
    alpha: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="the share is drawn from Beta(alpha, alpha): 1 as often any, less: mostly "
        "one of the two alone",
    )


@dataclass(frozen=True)
class Mixing:
    """What of each of N images is its own, and what its partner's.

    Attributes:
        partner: (N,) numbers of the others.
        own: (N,) shares of an image in what becomes of it, 0..1.
        pasted: bool (N, 1, S, S), which pixels are the partner's; None: all are means of both.
    """

    partner: Tensor
    own: Tensor
    pasted: Tensor | None = None

    def to(self, device: torch.device) -> Mixing:
        """The same, elsewhere."""
        pasted = None if self.pasted is None else self.pasted.to(device)
        # Not every device has float64.
        return Mixing(self.partner.to(device), self.own.to(device, torch.float32), pasted)

    def images(self, images: Images) -> dict[str, Tensor]:
        """(N, bands, S, S) by sensor, mixed."""
        return {name: self._mixed(each) for name, each in images.items()}

    def shares(self, shares: Tensor) -> Tensor:
        """(N, C) shares of the classes, mixed; each row still adds up to what it did."""
        own = self.own.to(shares.dtype)[:, None]
        return own * shares + (1 - own) * shares[self.partner]

    def _mixed(self, images: Tensor) -> Tensor:
        others = images[self.partner]
        if self.pasted is not None:
            return torch.where(self.pasted, others, images)
        own = self.own.to(images.dtype)[:, None, None, None]
        return own * images + (1 - own) * others


def draw_mixing(config: MixConfig, keys: Sequence[Key], side: int) -> Mixing | None:
    """How each of N images is mixed with its neighbour in the batch; None: not at all.

    Neighbours are first and second, third and fourth, and so on, so that processes that share a
    batch mix as one does, where each has an even number. The last of an odd number stays alone.
    Mixup is Zhang et al. 2018, eq. 1; CutMix Yun et al. 2019, eq. 1 and 2, its share that of the
    pixels that are left.

    Args:
        keys: of each image, for what is drawn.
        side: S of the images, pixels.
    """
    if config.kind is None:
        return None
    count = len(keys)
    partner = torch.arange(count) ^ 1
    partner[partner >= count] = count - 1
    drawn = [_drawn(config, (*key, MIXES)) for key in keys]
    own = torch.tensor([share for share, _, _ in drawn], dtype=torch.float64)
    if config.kind == "mixup":
        return Mixing(partner, own)
    pasted = torch.zeros(count, 1, side, side, dtype=torch.bool)
    for image, (share, down, right) in zip(pasted, drawn, strict=True):
        rows, columns = (_cut(at, share, side) for at in (down, right))
        image[0, rows, columns] = True
    return Mixing(partner, 1 - pasted.double().mean((1, 2, 3)), pasted)


def _drawn(config: MixConfig, key: Key) -> tuple[float, float, float]:
    """Share of its own, and where the middle of what is pasted lies, 0..1 of each side."""
    generator = generator_of(key)
    down, right = generator.random(2)
    return float(generator.beta(config.alpha, config.alpha)), float(down), float(right)


def _cut(at: float, share: float, side: int) -> slice:
    """Along one side what is pasted, cut off at the border."""
    length = side * np.sqrt(1 - share)
    first, last = round(at * side - length / 2), round(at * side + length / 2)
    return slice(max(first, 0), min(last, side))
