"""Vectors of a catalogue's images by saved encoders: each image whole, by windows that cover it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.bands import positions
from eo_contrast.catalog.grids import Grid, Row, grid_of
from eo_contrast.catalog.views import read_view
from eo_contrast.data.loader import prefetched_batches
from eo_contrast.data.sensors import standardised
from eo_contrast.errors import EoContrastError
from eo_contrast.pretrain.eaters import Eaters
from eo_contrast.raster.reader import unplaced_silently
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders

BATCH = 64
"""Windows that a network sees at a time."""
READERS = 4
READ_WHOLE = 1024 * 1024
"""Pixels of an image that is read in one go; larger ones are read a row of windows at a time."""

Vector = NDArray[np.float32]
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class NoVector:
    """Why an image has no vector; ``damaged`` is false where it merely shows nothing."""

    reason: str
    damaged: bool


@dataclass(frozen=True)
class _Part:
    """A part of the image in row ``number`` that is read at a time; ``grid`` None: all of it."""

    number: int
    grid: Grid | None


@dataclass(frozen=True)
class _Seen:
    """A part as the encoders eat it: (bands of all sensors, H, W), and (H, W) where it has data."""

    values: Tensor
    valid: Tensor


@torch.inference_mode()
def image_vectors(
    net: SensorEncoders, card: EncoderCard, eaters: Eaters, rows: Sequence[Row]
) -> list[Vector | NoVector]:
    """One vector a row, in order: the mean of the features of its windows that show anything.

    Windows are squares of the card's size; the last ones are shifted back onto the image, and an
    image smaller than one is enlarged to it, as training does. What is seen together in a batch
    depends on ``rows`` alone, so the same rows give the same bits.

    Args:
        net: in evaluation mode, where it is to run.
        rows: of products that are in ``eaters``.
    """
    parts = [part for number, row in enumerate(rows) for part in _parts(number, row, card.size)]
    sums: dict[int, NDArray[np.float64]] = {}
    counts = [0] * len(rows)
    failed: dict[int, NoVector] = {}
    waiting: dict[str, list[tuple[int, Tensor]]] = {}

    def look(product: str) -> None:
        numbers, windows = zip(*waiting.pop(product), strict=True)
        found = _features(net, card, eaters[product], torch.stack(windows))
        for number, feature in zip(numbers, found, strict=True):
            sums[number] = sums.get(number, 0.0) + feature
            counts[number] += 1

    def read(at: int) -> _Seen | NoVector:
        return _read(rows[parts[at].number], parts[at].grid, card, eaters)

    ahead = prefetched_batches(read, 0, len(parts), depth=READERS)
    # Around all threads: each for itself would give back the filters that another had set.
    with unplaced_silently():
        for part, seen in zip(parts, ahead, strict=True):
            if isinstance(seen, NoVector):
                failed.setdefault(part.number, seen)
                continue
            product = rows[part.number]["product"]
            for window in _windows(seen, card.size):
                waiting.setdefault(product, []).append((part.number, window))
                if len(waiting[product]) == BATCH:
                    look(product)
    for product in list(waiting):
        look(product)
    nothing = NoVector("has no pixel with data", damaged=False)
    return [
        failed.get(number) or ((sums[number] / count).astype(np.float32) if count else nothing)
        for number, count in enumerate(counts)
    ]


def starts(length: int, side: int) -> list[int]:
    """Where windows of ``side`` begin that cover ``length`` >= ``side``; the last ends with it."""
    return [*range(0, length - side, side), length - side]


def _parts(number: int, row: Row, side: int) -> Iterator[_Part]:
    grid = grid_of(row)
    # Pixels without a position are no ground that a part could be asked for by.
    whole = grid.height * grid.width <= READ_WHOLE or grid.crs is None
    if whole or min(grid.height, grid.width) < side:
        yield _Part(number, None)
        return
    for top in starts(grid.height, side):
        yield _Part(number, grid.window(top, 0, side, grid.width))


def _read(row: Row, grid: Grid | None, card: EncoderCard, eaters: Eaters) -> _Seen | NoVector:
    sensors = [card.sensors[name] for name in eaters[row["product"]]]
    wanted = list(dict.fromkeys(band for sensor in sensors for band in sensor.bands))
    try:
        view = read_view(row, grid=grid, bands=wanted)
    except EoContrastError as error:
        return NoVector(str(error), damaged=True)
    except Exception as error:  # one image's unforeseen trouble is not the others'
        return NoVector(f"cannot be read ({type(error).__name__}: {error})", damaged=True)
    values, valid = torch.from_numpy(view.values)[None].float(), torch.from_numpy(view.valid)
    parts = []
    for sensor in sensors:
        own = values[:, positions(wanted, sensor.bands)]
        parts.append(standardised(own, valid.expand_as(own), sensor))
    seen = torch.cat(parts, dim=1)
    shorter = min(seen.shape[2:])
    if shorter < card.size:
        size = [max(round(side * card.size / shorter), card.size) for side in seen.shape[2:]]
        seen = F.interpolate(seen, size, mode="bilinear", align_corners=False)
        valid = F.interpolate(valid[None, None].float(), size)[0, 0].bool()
    return _Seen(seen[0], valid)


def _windows(seen: _Seen, side: int) -> Iterator[Tensor]:
    """Squares that cover a part, without those that show nothing."""
    height, width = seen.valid.shape
    for top in starts(height, side):
        for left in starts(width, side):
            if seen.valid[top : top + side, left : left + side].any():
                yield seen.values[:, top : top + side, left : left + side]


def _features(
    net: SensorEncoders, card: EncoderCard, names: Sequence[str], windows: Tensor
) -> NDArray[np.float64]:
    """(N, bands of all sensors, S, S) -> (N, width of all sensors)."""
    device = next(net.parameters()).device
    own = torch.split(windows.to(device), [len(card.sensors[name].bands) for name in names], dim=1)
    found = [net(name, part.contiguous()) for name, part in zip(names, own, strict=True)]
    return np.asarray(torch.cat(found, dim=1).cpu().double().numpy())
