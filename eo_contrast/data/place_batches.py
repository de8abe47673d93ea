"""Batches of views of places, each a pure function of (seed, step).

Nothing here remembers where it is: training resumed at a step, or spread over processes, sees
exactly the views that an undisturbed single process sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from eo_contrast.catalog.packed import Layer
from eo_contrast.data.loader import prefetched_batches
from eo_contrast.data.order import epoch_order, sample_generator
from eo_contrast.data.place_sources import PlaceSource, open_places
from eo_contrast.data.sensors import unpacked
from eo_contrast.errors import InputError
from eo_contrast.raster.reader import unplaced_silently

PREFETCH = 2


@dataclass(frozen=True)
class Slot:
    """One view that is wanted of every place.

    Attributes:
        name: of the view, as in a view graph.
        product: such as s2-l2a.
        date: the place's dates are put in a random order; this is the number in it. Slots of
            one number show one date, or of two products the ones nearest to each other in the
            year's course; slots of different numbers show different dates while there are any.
    """

    name: str
    product: str
    date: int = 0


@dataclass(frozen=True)
class Draw:
    """What a run takes its batches from.

    Attributes:
        slots: the views of each place; all show the same square of ground.
        crop: side of the square in pixels; None: the whole.
        batch_size: places a process takes at each step.
        seed: of the whole run, >= 0.
        split: the split taken, several joined by +; None: all places.
        rank, world_size: this process among those that share a step.
        repeat_dates: each slot number's date is drawn by itself, so that two may be one.
        whole_epochs: what is left of an epoch when no whole step fits is left out, so that no
            place is twice in a step; else the next epoch fills it up.
    """

    slots: tuple[Slot, ...]
    batch_size: int
    crop: int | None = None
    seed: int = 0
    split: str | None = None
    rank: int = 0
    world_size: int = 1
    repeat_dates: bool = False
    whole_epochs: bool = False


@dataclass(frozen=True)
class PlaceBatch:
    """Views of some places.

    Attributes:
        counts: by slot, whole numbers (N, bands, rows, columns) as the layer's storage has them.
        layers: by slot, what the counts mean.
        places: number of each place in the source.
        samples: number of each sample, counted over the whole run.
        dates: by slot, which of its place's images each is.
    """

    counts: Mapping[str, torch.Tensor]
    layers: Mapping[str, Layer]
    places: tuple[int, ...]
    samples: tuple[int, ...]
    dates: Mapping[str, tuple[int, ...]]

    def values(
        self, slot: str, device: torch.device | str = "cpu", part: range | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The slot's values in its product's unit, computed where they are needed.

        Args:
            part: which of the places, one after another; None: all.

        Returns: float32 (N, bands, rows, columns), 0 where there is no data; bool of the same
            shape, True where there is; None: everywhere.
        """
        counts = self.counts[slot]
        if part is not None:
            counts = counts[part.start : part.stop]
        counts = counts.to(device, non_blocking=True)
        return unpacked(counts, self.layers[slot].storage)


def place_batch_at(source: PlaceSource, draw: Draw, step: int) -> PlaceBatch:
    """The views that process ``draw.rank`` sees at ``step``, counted from 0.

    Places are visited in a new random order every epoch, each once. Samples are numbered through.

    Raises: InputError: no place has all the products in the split, the crop is too large, or
        whole epochs are wanted of fewer places than a step takes.
    """
    side = _side(source, draw)
    usable = usable_places(source, draw.split, tuple(slot.product for slot in draw.slots))
    first = _first_sample(draw, step, len(usable))
    batch = {
        slot.name: np.empty(
            (draw.batch_size, len(source.layers[slot.product].bands), side, side),
            source.layers[slot.product].storage.dtype,
        )
        for slot in draw.slots
    }
    places, samples, dates = [], [], []
    for index in range(draw.batch_size):
        sample = _sample(source, draw, usable, first + index, side)
        for slot, date in zip(draw.slots, sample.dates, strict=True):
            batch[slot.name][index] = source.crop(
                sample.place, slot.product, date, sample.top, sample.left, side
            )
        places.append(sample.place)
        samples.append(first + index)
        dates.append(sample.dates)
    by_slot = zip(*dates, strict=True)
    return PlaceBatch(
        counts={name: torch.from_numpy(counts) for name, counts in batch.items()},
        layers={slot.name: source.layers[slot.product] for slot in draw.slots},
        places=tuple(places),
        samples=tuple(samples),
        dates=dict(zip(batch, by_slot, strict=True)),
    )


def place_batches(
    path: Path, draw: Draw, first_step: int, last_step: int, *, workers: int = 0
) -> Iterator[PlaceBatch]:
    """The batches of steps ``first_step`` to ``last_step`` - 1, read ahead.

    Args:
        path: a pack's folder, or a catalogue.
        workers: processes that read; 0: threads of this one, which is enough for a pack.

    Raises: InputError: as :func:`place_batch_at`, or ``path`` is neither.
    """
    source = open_places(path)
    if workers == 0:
        # Around the threads, not in them: warnings' filters are the whole process's.
        with unplaced_silently():
            yield from prefetched_batches(
                lambda step: place_batch_at(source, draw, step),
                first_step,
                last_step,
                depth=PREFETCH,
            )
        return
    place_batch_at(source, draw, first_step)  # what is wrong is told here, not by a worker
    yield from DataLoader(
        _Steps(path, draw),
        batch_size=None,
        sampler=range(first_step, last_step),
        num_workers=workers,
        prefetch_factor=PREFETCH,
    )


class _Steps(Dataset[PlaceBatch]):
    """Whole batches by step; each worker opens the source itself."""

    def __init__(self, path: Path, draw: Draw) -> None:
        self._path, self._draw = path, draw

    def __getitem__(self, step: int) -> PlaceBatch:
        return place_batch_at(open_places(self._path), self._draw, step)


@dataclass(frozen=True)
class _Sample:
    place: int
    dates: tuple[int, ...]
    top: int
    left: int


def _sample(
    source: PlaceSource, draw: Draw, usable: NDArray[np.int64], number: int, side: int
) -> _Sample:
    epoch, position = divmod(number, len(usable))
    place = int(usable[epoch_order(draw.seed, epoch, len(usable))[position]])
    generator = sample_generator(draw.seed, number)
    top, left = (int(each) for each in generator.integers(source.size - side + 1, size=2))
    counts = [source.dates(place, slot.product) for slot in draw.slots]
    return _Sample(place, _dates(draw, counts, generator), top, left)


def _first_sample(draw: Draw, step: int, places: int) -> int:
    """The number of a process's first sample in a step."""
    together = draw.world_size * draw.batch_size
    if not draw.whole_epochs:
        return step * together + draw.rank * draw.batch_size
    if together > places:
        raise InputError(f"batch of {together} places: there are {places}; give a smaller batch")
    epoch, step_of_epoch = divmod(step, places // together)
    return epoch * places + step_of_epoch * together + draw.rank * draw.batch_size


def _dates(draw: Draw, counts: Sequence[int], generator: np.random.Generator) -> tuple[int, ...]:
    """An image for each slot, of products that may have different numbers of them."""
    most = max(counts)
    if draw.repeat_dates:
        last = max(slot.date for slot in draw.slots)
        order = generator.integers(most, size=last + 1)
    else:
        order = generator.permutation(most)
    return tuple(
        int(order[slot.date % len(order)]) * count // most
        for slot, count in zip(draw.slots, counts, strict=True)
    )


def _side(source: PlaceSource, draw: Draw) -> int:
    unknown = [slot.product for slot in draw.slots if slot.product not in source.layers]
    if unknown:
        there = " ".join(source.layers)
        raise InputError(f"product {unknown[0]}: not among those that there are, {there}")
    if draw.crop is not None and draw.crop > source.size:
        raise InputError(
            f"crop {draw.crop}: the places have {source.size} pixels; give a smaller crop"
        )
    return draw.crop or source.size


@lru_cache(maxsize=8)
def usable_places(
    source: PlaceSource, split: str | None, products: tuple[str, ...]
) -> NDArray[np.int64]:
    """Numbers of the places of a split that have images of every product.

    Args:
        split: several are joined by +; None: all.

    Raises: InputError: there is none.
    """
    wanted = None if split is None else split.split("+")
    found = [
        number
        for number, own in enumerate(source.splits)
        if (wanted is None or own in wanted)
        and all(source.dates(number, product) for product in products)
    ]
    if not found:
        where = f"in the split '{split}' " if split is not None else ""
        raise InputError(f"no place {where}has images of {' and '.join(sorted(set(products)))}")
    return np.array(found)
