"""Frozen features of a benchmark's contender, and what they say of the test places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.contenders import Contender
from eo_contrast.landcover.features import Baseline, Embed, baseline_embed, encoder_embed
from eo_contrast.landcover.labels import LabelledPlaces, Split
from eo_contrast.landcover.nets import build_land_cover
from eo_contrast.landcover.predictions import PlacePredictions
from eo_contrast.landcover.probe import Labelled, knn_predict, linear_probe
from eo_contrast.landcover.start import Start, starting_encoder
from eo_contrast.training.encoder_card import SensorEncoders
from eo_contrast.training.land_cover_card import LandCoverCard


@dataclass(frozen=True)
class Frozen:
    """Features of the places of every split, (N, D), in the order of their labels."""

    features: Mapping[Split, Tensor]
    rows: Mapping[int, int]
    """Of training places: the row of a place's number."""

    @staticmethod
    def of(
        contender: Contender,
        config: FinetuneConfig,
        source: PlaceSource,
        labelled: LabelledPlaces,
        *,
        where: str,
    ) -> Frozen:
        """Embed all labelled places once.

        Args:
            config: with the seed that random encoders and filters are drawn by.
            labelled: all of it, not a share.
        """
        embed = _embed(contender, config, source, labelled, where)
        places = {split: own.places.tolist() for split, own in labelled.splits.items()}
        return Frozen(
            {split: embed(own) for split, own in places.items()},
            {number: row for row, number in enumerate(places["train"])},
        )


def frozen_predictions(
    frozen: Frozen, labelled: LabelledPlaces, protocol: str, *, fraction: float, seed: int
) -> PlacePredictions:
    """What nearest neighbours (``knn``) or a linear layer (``linear``) say of the test places.

    Args:
        fraction: of the training labels, drawn by ``seed``; validation is whole.

    Raises: InputError: the share leaves a class without a label.
    """
    share = labelled.share(fraction, seed=seed)
    chosen = [frozen.rows[number] for number in share.splits["train"].places.tolist()]
    train = Labelled(frozen.features["train"][chosen], share.targets("train"))
    classes, test = len(labelled.classes), frozen.features["test"]
    if protocol == "knn":
        found = knn_predict(train, test, classes=classes)
    else:
        held_out = Labelled(frozen.features["val"], labelled.targets("val"))
        found = linear_probe(train, held_out, classes=classes)(test)
    return PlacePredictions(found.float(), labelled.targets("test"))


def _embed(
    contender: Contender,
    config: FinetuneConfig,
    source: PlaceSource,
    labelled: LabelledPlaces,
    where: str,
) -> Embed:
    start = starting_encoder(contender.encoder(config.seed), config, source, where=where)
    if not contender.is_baseline:
        net = start.net or random_net(start, config, labelled.classes)
        return encoder_embed(
            net,
            start.card,
            source,
            sensors=start.sensors,
            size=config.data.size,
            maps=config.head.maps,
            turns=config.head.turns,
        )
    train = labelled.splits["train"].places.tolist()
    of_products = [
        baseline_embed(
            cast(Baseline, contender.what),
            source,
            start.card.sensors[name].product,
            train,
            size=config.data.size or start.card.size,
            turns=config.head.turns,
            seed=config.seed,
        )
        for name in start.sensors
    ]

    def embed(places: Sequence[int]) -> Tensor:
        return torch.cat([own(places) for own in of_products], dim=1)

    return embed


def random_net(start: Start, config: FinetuneConfig, classes: tuple[str, ...]) -> SensorEncoders:
    """The very weights that fine-tuning of a random encoder by this seed starts from."""
    card = LandCoverCard(
        kind="classification",
        mode="linear",
        encoder=start.card,
        sensors=start.sensors,
        size=config.data.size or start.card.size,
        head=config.head,
        classes=classes,
    )
    return build_land_cover(card, seed=config.seed).encoders
