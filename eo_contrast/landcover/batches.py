"""Images and targets of labelled places: read, augmented, scaled; a function of their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.augment.geometry import draw_geometry, warp
from eo_contrast.augment.pipeline import augmented
from eo_contrast.bands import positions
from eo_contrast.data.order import epoch_order, sample_generator
from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.data.sensors import SensorInput, standardised, unpacked
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.labels import LabelledPlaces

DRAWN = 5
"""Numbers of each training sample: its date, whether a sensor is hidden and which, its window."""
Key = tuple[int, ...]
Images = Mapping[str, Tensor]
"""By sensor, (N, bands, H, W), standardised; all of one size."""


@dataclass(frozen=True)
class Material:
    """What a run learns from and is scored on.

    Attributes:
        sensors: what is seen, by name.
        size: side in pixels of what the encoder sees.
    """

    source: PlaceSource
    sensors: Mapping[str, SensorInput]
    labelled: LabelledPlaces
    size: int

    @property
    def seen(self) -> int:
        """Side in pixels of a place that the encoder sees at a time."""
        return min(self.size, self.source.size)


@dataclass(frozen=True)
class Window:
    """A square of a place: corner and side in pixels."""

    top: int
    left: int
    side: int


@dataclass(frozen=True)
class StoredBatch:
    """Places as the source has them.

    Attributes:
        counts: by sensor (N, bands of the sensor, S, S).
        labels: uint8 (N, S, S) where classes are of pixels.
        positions: of the places in their split.
        samples: number of each sample, counted over the whole run.
    """

    counts: Mapping[str, Tensor]
    labels: Tensor | None
    positions: tuple[int, ...]
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Draw:
    """How training's batches are drawn.

    Attributes:
        places: how many there are.
        batch_size: places of a step, of all processes together.
        any_date: a date is drawn for each sample; else the first is taken.
        whole: whole places are read, to be cut by an augmentation; else their middles, or of
            places whose pixels are labelled windows that are drawn.
    """

    seed: int
    places: int
    batch_size: int
    rank: int
    world_size: int
    any_date: bool = False
    whole: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches; what is left of an epoch's order is left out."""
        return self.places // self.batch_size


def batch_at(material: Material, draw: Draw, step: int, *, reads: bool = True) -> StoredBatch:
    """What this process sees at a step, counted from 0; places come in a new order every epoch.

    Args:
        reads: images are wanted; else positions alone.
    """
    epoch, within = divmod(step, draw.steps_per_epoch)
    share = draw.batch_size // draw.world_size
    first = within * draw.batch_size + draw.rank * share
    order = epoch_order(draw.seed, epoch, draw.places)[first : first + share]
    samples = tuple(range(epoch * draw.places + first, epoch * draw.places + first + share))
    chosen = tuple(int(each) for each in order)
    if not reads:
        return StoredBatch({}, None, chosen, samples)
    numbers = [int(material.labelled.splits["train"].places[each]) for each in chosen]
    drawn = [sample_generator(draw.seed, each).random(DRAWN) for each in samples]
    windows = [_window(material, draw, top, left) for *_, top, left in drawn]
    when = [date for date, *_ in drawn] if draw.any_date else None
    counts = read(material, numbers, windows, when)
    return StoredBatch(counts, read_labels(material, numbers, windows), chosen, samples)


def _window(material: Material, draw: Draw, top: float, left: float) -> Window:
    """What training sees of a place; of one whose pixels are labelled, any window of it.

    Args:
        top, left: 0 to below 1, how far down and to the right it lies.
    """
    if draw.whole:
        return whole_place(material)
    if material.labelled.maps is None:
        return middle(material)
    corners = material.source.size - material.seen + 1
    return Window(int(top * corners), int(left * corners), material.seen)


def middle(material: Material) -> Window:
    """The square that stands for a place."""
    side = material.seen
    begin = (material.source.size - side) // 2
    return Window(begin, begin, side)


def whole_place(material: Material) -> Window:
    """All of a place."""
    return Window(0, 0, material.source.size)


def read(
    material: Material,
    places: Sequence[int],
    windows: Window | Sequence[Window],
    when: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """Counts of the bands that each sensor's encoder eats: (N, bands, side, side) by sensor.

    Args:
        windows: of each place, all of one side; or one of them all.
        when: of each place, 0 to below 1 of the way through its dates; None: the first date.
    """
    found = {}
    for name, sensor in material.sensors.items():
        layer = material.source.layers[sensor.product]
        chosen = positions(layer.bands, sensor.bands)
        dates = [
            int(share * material.source.dates(place, sensor.product))
            for place, share in zip(places, when or [0.0] * len(places), strict=True)
        ]
        squares = [
            material.source.crop(place, sensor.product, date, window.top, window.left, window.side)[
                chosen
            ]
            for place, date, window in zip(places, dates, _each(windows, places), strict=True)
        ]
        found[name] = torch.from_numpy(np.stack(squares))
    return found


def read_labels(
    material: Material, places: Sequence[int], windows: Window | Sequence[Window]
) -> Tensor | None:
    """Classes (N, side, side) of pixels; None where classes are of places."""
    maps = material.labelled.maps
    if maps is None:
        return None
    squares = [
        maps.square(each, window.top, window.left, window.side)
        for each, window in zip(places, _each(windows, places), strict=True)
    ]
    return torch.from_numpy(np.stack(squares))


def _each(windows: Window | Sequence[Window], places: Sequence[int]) -> Sequence[Window]:
    return [windows] * len(places) if isinstance(windows, Window) else windows


@torch.no_grad()
def images_of(
    material: Material,
    counts: Mapping[str, Tensor],
    device: torch.device,
    *,
    augment: AugmentConfig | None = None,
    keys: Sequence[Key] = (),
    channels_last: bool = False,
) -> dict[str, Tensor]:
    """(N, bands, size, size) by sensor, as the encoder eats them.

    Args:
        counts: as :func:`read` gives them.
        augment: None: nothing is drawn.
        keys: of each sample, for what is drawn; a place's sensors are cut and turned alike.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images = {}
    for number, (name, sensor) in enumerate(material.sensors.items()):
        storage = material.source.layers[sensor.product].storage
        stored = counts[name].to(device, non_blocking=True)
        values, valid = unpacked(stored, storage)
        drawn = keys or [(0, row) for row in range(len(stored))]
        seen, where = augmented(
            values,
            valid,
            config=augment or AugmentConfig(),
            side=material.size,
            unit=sensor.unit,
            groups=[(band,) for band in range(len(sensor.bands))],
            keys=[(*key, 1, number) for key in drawn],
            crop_keys=[(*key, 0) for key in drawn],
        )
        images[name] = standardised(seen, where, sensor).contiguous(memory_format=layout)
    return images


def labels_of(
    labels: Tensor,
    device: torch.device,
    *,
    classes: int,
    side: int,
    augment: AugmentConfig,
    keys: Sequence[Key],
) -> Tensor:
    """Classes (N, side, side) int64, cut and turned as the images of the same keys.

    Where a pixel of the result covers several of the source the commonest class is taken.

    Args:
        labels: uint8 (N, S, S).
    """
    given = labels.to(device).long()
    geometry = draw_geometry(augment, [(*key, 0) for key in keys], labels.shape[-1], side)
    there = given != IGNORED
    shares = F.one_hot(given.masked_fill(~there, 0), classes).movedim(-1, 1).float()
    valid = there[:, None].expand_as(shares)
    warped, known = warp(shares.masked_fill(~valid, 0), valid, geometry, side)
    named = warped.argmax(1)
    return named if known is None else named.masked_fill(~known[:, 0], IGNORED)


def windows_over(source_side: int, side: int) -> list[tuple[int, slice]]:
    """Starts of windows that cover a side, and the part of each that no earlier one covers.

    The last one ends at the border, so that every pixel is seen once, in a whole window.
    """
    starts = [*range(0, source_side - side, side), source_side - side]
    covered, found = 0, []
    for start in starts:
        found.append((start, slice(covered - start, side)))
        covered = start + side
    return found
