"""The eight turns and mirrors of a square: nothing is up in an image from above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Turn:
    """One of the eight: mirrored left to right or not, then turned by so many quarters."""

    mirrored: bool
    quarters: int

    def of(self, images: Tensor) -> Tensor:
        """(..., S, S), turned."""
        return torch.rot90(images.flip(-1) if self.mirrored else images, self.quarters, (-2, -1))

    def undone(self, images: Tensor) -> Tensor:
        """(..., S, S), as they were before :meth:`of`."""
        back = torch.rot90(images, -self.quarters, (-2, -1))
        return back.flip(-1) if self.mirrored else back


TURNS = tuple(Turn(mirrored, quarters) for mirrored in (False, True) for quarters in range(4))


def mean_over_turns(
    compute: Callable[[Mapping[str, Tensor]], Tensor],
    images: Mapping[str, Tensor],
    *,
    maps: bool = False,
) -> Tensor:
    """The mean of what is computed of the eight turns of images, which turning does not change.

    Args:
        images: by sensor, (N, bands, S, S); all are turned alike.
        maps: what is computed is (N, C, S, S), and is turned back; else it is of whole images.
    """
    total: Tensor | None = None
    for turn in TURNS:
        turned = {name: _laid_out_as(each, turn.of(each)) for name, each in images.items()}
        found = compute(turned)
        found = turn.undone(found) if maps else found
        total = found if total is None else total + found
    if total is None:
        raise ValueError("there are eight turns")
    return total / len(TURNS)


def _laid_out_as(images: Tensor, turned: Tensor) -> Tensor:
    """The same values; a turned tensor's strides are no layout that convolutions are fast in."""
    last = images.ndim == 4 and images.is_contiguous(memory_format=torch.channels_last)
    return turned.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
