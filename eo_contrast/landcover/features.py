"""Frozen features of labelled places, by an encoder or by a baseline, and what they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from eo_contrast.bands import PRODUCTS
from eo_contrast.data.order import epoch_order
from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.data.sensors import RGB, sensor_input, unpacked
from eo_contrast.errors import InputError
from eo_contrast.evaluate.land_cover import multi_label_scores, single_label_scores
from eo_contrast.landcover.baselines import (
    draw_filters,
    filled,
    image_statistics,
    imagenet_lite0,
    lite0_features,
    random_convolutions,
)
from eo_contrast.landcover.labels import LabelledPlaces
from eo_contrast.landcover.probe import Labelled, knn_predict, linear_probe
from eo_contrast.nets.turns import mean_over_turns
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders
from eo_contrast.training.features import place_features

Embed = Callable[[Sequence[int]], Tensor]
"""From numbers of places to their features (N, D), on the CPU."""
Baseline = Literal["statistics", "random-convolutions", "coates-ng", "imagenet-lite0"]
BATCH = 64
FILTER_IMAGES = 1000
"""Training images that random filters are cut from, at most."""


def encoder_embed(
    net: SensorEncoders,
    card: EncoderCard,
    source: PlaceSource,
    *,
    sensors: Sequence[str] | None = None,
    size: int | None = None,
    maps: Sequence[int] | None = None,
    turns: bool = False,
    batch_size: int = BATCH,
) -> Embed:
    """Pooled features of an encoder, its trunks in evaluation mode; of several sensors in a row.

    Args:
        sensors, size, maps, turns: as :func:`eo_contrast.training.features.place_features`.
    """
    net.eval()
    return partial(
        place_features,
        net,
        card,
        source,
        sensors=sensors,
        size=size,
        maps=maps,
        turns=turns,
        batch_size=batch_size,
    )


def baseline_embed(
    name: Baseline,
    source: PlaceSource,
    product: str,
    train: Sequence[int],
    *,
    size: int | None = None,
    turns: bool = False,
    seed: int = 0,
) -> Embed:
    """Features that nobody pretrained on these images.

    Args:
        product: that they are of.
        train: numbers of training places, which random filters are cut from.
        size: side of the middle square that is looked at, pixels; None: the whole place.
        turns: the mean over the eight turns and mirrors of each image.
        seed: of random filters.

    Raises: InputError: a product that is no image, or for imagenet-lite0 another than rgb.
    """
    if product not in PRODUCTS and product != RGB:
        raise InputError(f"product {product}: has no images to compute {name} of")
    of_images = _of_images(name, source, product, train, size, seed)

    def encoded(images: Mapping[str, Tensor]) -> Tensor:
        return of_images(images["values"], images["valid"])

    def embed(places: Sequence[int]) -> Tensor:
        parts = []
        for first in range(0, len(places), BATCH):
            values, valid = middles(source, product, places[first : first + BATCH], size)
            images = {"values": values, "valid": valid}
            parts.append(mean_over_turns(encoded, images) if turns else encoded(images))
        return torch.cat(parts)

    return embed


def middles(
    source: PlaceSource, product: str, places: Sequence[int], size: int | None
) -> tuple[Tensor, Tensor]:
    """Middle squares of first dates: float32 (N, bands, S, S) in the unit, clipped; and validity.

    Args:
        size: S; None, or more than the places have: the whole.
    """
    layer = source.layers[product]
    side = min(size or source.size, source.size)
    begin = (source.size - side) // 2
    counts = torch.from_numpy(
        np.stack([source.crop(int(each), product, 0, begin, begin, side) for each in places])
    )
    values, known = unpacked(counts, layer.storage)
    valid = torch.ones_like(values, dtype=torch.bool) if known is None else known
    limits = sensor_input(layer)
    lowest, highest = (
        torch.tensor(each)[:, None, None] for each in (limits.lowest, limits.highest)
    )
    return torch.minimum(torch.maximum(values, lowest), highest).masked_fill_(~valid, 0), valid


def probe_scores(embed: Embed, labelled: LabelledPlaces) -> dict[str, dict[str, float]]:
    """Scores on the test split of nearest neighbours and of a linear layer on frozen features.

    Returns: ``knn`` and ``linear``, each as :mod:`eo_contrast.evaluate.land_cover` scores the task;
        linear with its ``weight_decay``, chosen on validation.
    """
    train, val = (
        Labelled(embed(labelled.splits[split].places.tolist()), labelled.targets(split))
        for split in ("train", "val")
    )
    test = embed(labelled.splits["test"].places.tolist())
    classes = len(labelled.classes)
    linear = linear_probe(train, val, classes=classes)
    scores = multi_label_scores if labelled.task == "multi-label" else single_label_scores
    true = labelled.targets("test")
    return {
        "knn": scores(knn_predict(train, test, classes=classes), true),
        "linear": scores(linear(test), true) | {"weight_decay": linear.weight_decay},
    }


def _of_images(
    name: Baseline,
    source: PlaceSource,
    product: str,
    train: Sequence[int],
    size: int | None,
    seed: int,
) -> Callable[[Tensor, Tensor], Tensor]:
    if name == "statistics":
        return image_statistics
    if name == "imagenet-lite0":
        bands = source.layers[product].bands
        if product != RGB or bands != ("red", "green", "blue"):
            raise InputError(
                f"imagenet-lite0: sees red, green and blue of pictures (rgb), not {product} "
                f"{' '.join(bands)}"
            )
        return _lite0(imagenet_lite0())
    order = epoch_order(seed, 0, len(train))[:FILTER_IMAGES]
    chosen = [train[int(position)] for position in order]
    images = filled(*middles(source, product, chosen, size))
    filters = draw_filters(images, seed=seed, whiten_images=name == "coates-ng")
    return lambda values, valid: random_convolutions(filled(values, valid), filters)


def _lite0(net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda values, valid: lite0_features(net, filled(values, valid))
