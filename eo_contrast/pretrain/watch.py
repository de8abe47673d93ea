"""Looks at the encoder while it trains: nearest neighbours of labelled places, and its rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eo_contrast.data.order import epoch_order
from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.evaluate.neighbours import nearest_neighbours
from eo_contrast.pretrain.config import PretrainConfig, PretrainWatch
from eo_contrast.pretrain.monitor import rank_me
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders
from eo_contrast.training.features import place_features

VALIDATION = "val"


@dataclass(frozen=True)
class Watched:
    """Places that a look embeds.

    Attributes:
        bank: numbers of places that are neighbours.
        queries: of places that are asked for; of the bank itself where there is no validation
            split, and then a place is no neighbour of its own.
        classes: by place of the source, -1 where it has no label; None: no labels.
    """

    source: PlaceSource
    bank: NDArray[np.int64]
    queries: NDArray[np.int64]
    classes: NDArray[np.int64] | None


def watched_places(
    config: PretrainConfig,
    source: PlaceSource,
    places: NDArray[np.int64],
    classes: NDArray[np.int64] | None,
) -> Watched:
    """A fixed sample of the training places, and of the validation split; never of a test split."""
    most = config.watch.places
    bank = _sample(places, most, config.seed)
    products = [sensor.product for sensor in config.graph.sensors.values()]
    held_out = np.array(
        [
            number
            for number, split in enumerate(source.splits)
            if split == VALIDATION and all(source.dates(number, product) for product in products)
        ],
        dtype=np.int64,
    )
    queries = _sample(held_out, most, config.seed) if len(held_out) else bank
    return Watched(source, bank, queries, classes)


def look_at(
    net: SensorEncoders, card: EncoderCard, watched: Watched, config: PretrainWatch
) -> dict[str, float]:
    """``rank`` (RankMe of the trunk's features) and, with labels, ``knn`` (accuracy, 0..1).

    With several sensors also ``rank/SENSOR`` and ``knn/SENSOR`` of each alone.
    """
    names = tuple(card.sensors)
    found: dict[str, float] = {}
    bank = {name: _features(net, card, watched, watched.bank, name) for name in names}
    queries = bank
    if watched.queries is not watched.bank:
        queries = {name: _features(net, card, watched, watched.queries, name) for name in names}
    choices: dict[str, Sequence[str]] = {"": names}
    if len(names) > 1:
        choices |= {f"/{name}": (name,) for name in names}
    for suffix, chosen in choices.items():
        ours = torch.cat([bank[name] for name in chosen], dim=1)
        theirs = torch.cat([queries[name] for name in chosen], dim=1)
        found[f"rank{suffix}"] = float(rank_me(ours))
        accuracy = _accuracy(ours, theirs, watched, config)
        if accuracy is not None:
            found[f"knn{suffix}"] = accuracy
    return found


def _features(
    net: SensorEncoders, card: EncoderCard, watched: Watched, places: NDArray[np.int64], name: str
) -> torch.Tensor:
    return place_features(net, card, watched.source, places.tolist(), sensors=[name])


def _accuracy(
    bank: torch.Tensor, queries: torch.Tensor, watched: Watched, config: PretrainWatch
) -> float | None:
    """Share of labelled queries whose neighbours vote for their class; None: no labels."""
    if watched.classes is None:
        return None
    of_bank, of_queries = watched.classes[watched.bank], watched.classes[watched.queries]
    known, asked = of_bank >= 0, of_queries >= 0
    if not known.any() or not asked.any():
        return None
    scores = nearest_neighbours(
        queries[asked],
        bank[known],
        torch.from_numpy(of_bank[known]),
        classes=int(watched.classes.max()) + 1,
        neighbours=config.neighbours,
        temperature=config.temperature,
        bank_is_queries=watched.queries is watched.bank,
    )
    return float((scores.argmax(1) == torch.from_numpy(of_queries[asked])).float().mean())


def _sample(places: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    if len(places) <= most:
        return places
    return np.sort(places[epoch_order(seed, 0, len(places))[:most]])
