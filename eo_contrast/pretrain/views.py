"""From a batch of places to the views of a graph, on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.augment.pipeline import augmented
from eo_contrast.bands import PRODUCTS, positions
from eo_contrast.data.place_batches import Draw, PlaceBatch, Slot
from eo_contrast.data.sensors import SensorInput, standardised
from eo_contrast.errors import InputError
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.engine import ViewBatch
from eo_contrast.pretrain.graph import Graph
from eo_contrast.pretrain.masks import drawn_masking

GROUPS: Sequence[Sequence[str]] = (
    ("B01", "B09", "B10"),
    ("B02", "B03", "B04"),
    ("B05", "B06", "B07"),
    ("B08", "B8A"),
    ("B11", "B12"),
)
"""Bands of Sentinel-2 that vary together: air, visible, red edge, near and short-wave infrared."""
COLOURS = 3
FLOAT_BYTES = 4
CACHE_BYTES = 2**22
"""Of the values of a view that are worked on together on a CPU."""


@dataclass(frozen=True)
class ViewPlan:
    """How a view is made of a slot's values.

    Attributes:
        slot: name of the slot that it is cut from.
        bands: positions among the slot's bands.
        groups: of positions among the view's own bands, that are jittered together.
        size: side in pixels.
        number, crop_number: what random draws of the view, and of its crop, hang on.
        mask: share of the patches that its encoder does not see; None: it sees all.
        patches: how many it has; 0: its encoder knows none.
    """

    slot: str
    bands: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    number: int
    crop_number: int
    size: int
    augment: AugmentConfig
    sensor: SensorInput
    mask: float | None = None
    patches: int = 0


def slots_of(graph: Graph, products: Mapping[str, str]) -> tuple[Slot, ...]:
    """The images that a graph wants of a place, each once, however many views are cut from it.

    Args:
        products: by sensor.
    """
    return tuple(
        Slot(_slot_name(product, date), product, date)
        for product, date in dict.fromkeys(
            (products[graph.sensor_of(name)], view.date)
            for name, view in graph.views.items()
            if view.of is None
        )
    )


def plan_views(
    config: PretrainConfig, sensors: Mapping[str, SensorInput], stored: Mapping[str, Sequence[str]]
) -> dict[str, ViewPlan]:
    """How each view is made.

    Args:
        stored: names of the bands of each product, as the data has them.
    """
    graph = config.graph
    crops = list(dict.fromkeys(graph.crop_of(name) for name in graph.views))
    plans = {}
    for number, (name, view) in enumerate(graph.views.items()):
        if view.of is not None:
            continue
        sensor = sensors[graph.sensor_of(name)]
        size, patch = view.size or config.data.size, config.encoder.patch_side
        plans[name] = ViewPlan(
            slot=_slot_name(sensor.product, view.date),
            bands=tuple(positions(stored[sensor.product], sensor.bands)),
            groups=band_groups(sensor.bands),
            number=number,
            crop_number=crops.index(graph.crop_of(name)),
            size=size,
            augment=config.augment[view.augment] if view.augment else AugmentConfig(),
            sensor=sensor,
            mask=view.mask,
            patches=(size // patch) ** 2 if patch else 0,
        )
    return plans


def band_groups(bands: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Positions of bands that vary together; a band that belongs to no group is its own.

    Of three bands or fewer each is its own, or a cast of a colour picture could not be drawn.
    """
    if len(bands) <= COLOURS:
        return tuple((at,) for at in range(len(bands)))
    groups = [
        tuple(at for at, band in enumerate(bands) if band in group)
        for group in GROUPS
        if any(band in group for band in bands)
    ]
    grouped = {at for group in groups for at in group}
    return (*groups, *((at,) for at in range(len(bands)) if at not in grouped))


@torch.no_grad()
def views_of(
    batch: PlaceBatch,
    plans: Mapping[str, ViewPlan],
    *,
    seed: int,
    device: torch.device,
    classes: NDArray[np.int64] | None = None,
    channels_last: bool = False,
) -> ViewBatch:
    """Every view of a batch, as its encoder eats it.

    Args:
        classes: of every place of the data; None: it has no labels.
    """
    images = {
        name: _view(batch, plan, seed=seed, device=device, channels_last=channels_last)
        for name, plan in plans.items()
    }
    places = torch.tensor(batch.places, device=device)
    return ViewBatch(
        images=images,
        places=places,
        drawn={
            name: torch.tensor(batch.dates[plan.slot], device=device)
            for name, plan in plans.items()
        },
        products={name: plan.sensor.product for name, plan in plans.items()},
        classes=_classes(batch, classes, device),
        masks={
            name: drawn_masking(
                batch.samples, plan.mask, plan.patches, seed=seed, view=plan.number, device=device
            )
            for name, plan in plans.items()
            if plan.mask is not None
        },
    )


def _view(
    batch: PlaceBatch, plan: ViewPlan, *, seed: int, device: torch.device, channels_last: bool
) -> Tensor:
    """One view of every place, some places at a time where the cache is what is short."""
    count, bands = len(batch.places), len(plan.bands)
    image = torch.empty(
        (count, bands, plan.size, plan.size),
        device=device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )
    for first in range(0, count, together := _together(batch, plan, device)):
        part = range(first, min(first + together, count))
        samples = batch.samples[part.start : part.stop]
        values, valid = batch.values(plan.slot, device, part)
        chosen = list(plan.bands)
        if chosen != list(range(values.shape[1])):
            values, valid = values[:, chosen], None if valid is None else valid[:, chosen]
        seen, where = augmented(
            values,
            valid,
            config=plan.augment,
            side=plan.size,
            unit=plan.sensor.unit,
            groups=plan.groups,
            keys=[(seed, sample, 0, plan.number) for sample in samples],
            crop_keys=[(seed, sample, 1, plan.crop_number) for sample in samples],
        )
        image[part.start : part.stop] = standardised(seen, where, plan.sensor)
    return image


def _together(batch: PlaceBatch, plan: ViewPlan, device: torch.device) -> int:
    """How many places are augmented at once: all on a GPU, on a CPU what stays in its cache.

    Each step of an augmentation passes over all values; ten passes over memory cost more than the
    arithmetic.
    """
    counts = batch.counts[plan.slot]
    if device.type != "cpu":
        return len(counts)
    of_place = max(counts[0].numel(), len(plan.bands) * plan.size**2) * FLOAT_BYTES
    return max(1, CACHE_BYTES // of_place)


def draw_of(config: PretrainConfig, slots: tuple[Slot, ...], split: str | None) -> Draw:
    """What one process alone would take its batches from."""
    return Draw(
        slots=slots,
        batch_size=config.data.batch_size,
        crop=config.data.crop,
        seed=config.seed,
        split=split,
        repeat_dates=config.graph.repeat_dates,
        whole_epochs=True,
    )


def resolved_product(wanted: str, there: Sequence[str], where: str) -> str:
    """The product that ``auto``, ``s2`` or ``s1`` means in a data set.

    Raises: InputError: there is none, or more than one.
    """
    if wanted in there:
        return wanted
    images = [name for name in there if name in PRODUCTS or name == "rgb"]
    if wanted in ("s1", "s2"):
        images = [name for name in images if name.startswith(f"{wanted}-")]
    elif wanted != "auto":
        raise InputError(
            f"{where}: product {wanted} is not in the data, which has {' '.join(there)}; give "
            f"--set {where}.product=ONE OF THEM"
        )
    elif any(name.startswith("s2-") for name in images):
        images = [name for name in images if name.startswith("s2-")]
    if len(images) == 1:
        return images[0]
    if not images:
        raise InputError(
            f"{where}: no {'image' if wanted == 'auto' else wanted} in the data, which has "
            f"{' '.join(there)}; take another catalogue or another method"
        )
    raise InputError(
        f"{where}: the data has {' and '.join(images)}, which are not the same; choose one with "
        f"--set {where}.product={images[0]}"
    )


def _classes(
    batch: PlaceBatch, classes: NDArray[np.int64] | None, device: torch.device
) -> Tensor | None:
    if classes is None:
        return None
    return torch.from_numpy(classes[list(batch.places)]).to(device)


def _slot_name(product: str, date: int) -> str:
    return f"{product}@{date}"
