"""The classes of a catalogue's places, split by split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from eo_contrast.config import Config
from eo_contrast.data.place_batches import usable_places
from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.errors import InputError
from eo_contrast.landcover.fractions import label_share, shares_needed
from eo_contrast.landcover.label_maps import LABEL, MAP_SCHEMES, LabelMaps, open_label_maps
from eo_contrast.landcover.label_sets import (
    BIGEARTHNET_19,
    IGNORED,
    commonest,
    nineteen_of_names,
    shares_above,
)
from eo_contrast.training.land_cover_card import LandCoverTask

Split = Literal["train", "val", "test"]
Scheme = Literal["given", "bigearthnet-19", "dfc2020-8", "igbp-8", "igbp-10", "corine-19"]
BETWEEN_LABELS = ";"
"""As a catalogue's column ``label`` has several of them."""


class LabelConfig(Config):
    """What the classes are and where they are read."""

    scheme: Scheme = Field(
        "given",
        description="given: labels or codes as the catalogue has them; bigearthnet-19: its labels "
        "merged into 19; the others read label maps, and merge their codes",
    )
    band: str | None = Field(None, description="of the label maps; None: the only one there is")
    ignore_unknown: bool = Field(
        False, description="whether codes of maps that the scheme does not know do not count"
    )
    train: str = Field("train", description="name of the split that is learnt from")
    val: str | None = Field(
        "val", description="of the split that choices are made on; None: a part of the first"
    )
    test: str = Field("test", description="of the split that is scored once, at the end")
    held_out: float = Field(0.1, gt=0, lt=1, description="that part, where val is None")


@dataclass(frozen=True)
class SplitPlaces:
    """The places of one split.

    Attributes:
        places: (N,) numbers in the source.
        presence: (N, C), which classes each has.
    """

    places: NDArray[np.int64]
    presence: NDArray[np.bool_]

    def at(self, positions: NDArray[np.int64]) -> SplitPlaces:
        """Some of them."""
        return SplitPlaces(self.places[positions], self.presence[positions])


@dataclass(frozen=True)
class LabelledPlaces:
    """Places of each split with what they show.

    Attributes:
        classes: names, in the order of positions.
        maps: where classes are of pixels; else None.
        where: what they are of, for messages.
    """

    task: LandCoverTask
    classes: tuple[str, ...]
    splits: Mapping[Split, SplitPlaces]
    maps: LabelMaps | None = None
    where: str = "data"

    def targets(self, split: Split) -> torch.Tensor:
        """int64 (N,) positions of classes; of several labels a place (N, C) of 0 and 1."""
        presence = torch.from_numpy(self.splits[split].presence)
        return presence.long() if self.task == "multi-label" else presence.int().argmax(1)

    def digest(self, names: Sequence[str]) -> str:
        """Of which places are in which split with which labels; not of their images.

        Args:
            names: of all places of the source.
        """
        told = [
            [split, names[place], np.flatnonzero(has).tolist()]
            for split, own in sorted(self.splits.items())
            for place, has in zip(own.places.tolist(), own.presence, strict=True)
        ]
        content = json.dumps([self.task, self.classes, told]).encode()
        return hashlib.sha256(content).hexdigest()[:16]

    def share(self, fraction: float, *, seed: int) -> LabelledPlaces:
        """With a share of the training labels; validation and test stay whole.

        Raises: InputError: as :func:`eo_contrast.landcover.fractions.label_share`.
        """
        train = self.splits["train"]
        try:
            chosen = label_share(train.presence, fraction, seed=seed, classes=self.classes)
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from error
        return replace(self, splits={**self.splits, "train": train.at(chosen)})

    def unlearnt(self) -> list[str]:
        """Classes that validation or test has and no training place."""
        has = {split: own.presence.any(0) for split, own in self.splits.items()}
        lacking = (has["val"] | has["test"]) & ~has["train"]
        return [self.classes[number] for number in np.flatnonzero(lacking)]


def labelled_places(
    source: PlaceSource,
    task: LandCoverTask,
    config: LabelConfig,
    *,
    products: Sequence[str],
    side: int,
    where: str = "data",
) -> LabelledPlaces:
    """The places that have images of every product and a label.

    Args:
        products: such as ``["s1-grd", "s2-l2a"]``.
        side: of the middle square whose map gives a place's label, where labels are read off maps.
        where: what the source is of, for messages.

    Raises: InputError: a split without a labelled place, or labels that do not fit the task or the
        scheme.
    """
    by_maps = task == "segmentation" or config.scheme in MAP_SCHEMES
    if by_maps and config.scheme == "bigearthnet-19":
        raise InputError(
            "labels.scheme bigearthnet-19: merges labels of places, and segmentation needs classes "
            "of pixels; give labels.scheme=corine-19"
        )
    wanted = (*products, LABEL) if by_maps and LABEL in source.layers else tuple(products)
    names = _split_names(config)
    places = {split: _usable(source, split, name, wanted, where) for split, name in names.items()}
    maps = None
    if by_maps:
        every = np.concatenate(list(places.values()))
        maps = open_label_maps(
            source,
            config.scheme,
            config.band,
            every,
            where=where,
            ignore_unknown=config.ignore_unknown,
        )
        classes = maps.classes
        presence = {split: _on_maps(maps, task, each, side) for split, each in places.items()}
    else:
        classes, presence = _of_text(source, task, config, places, where)
    splits = {}
    for split, name in names.items():
        own = SplitPlaces(places[split], presence[split])
        splits[split] = own.at(np.flatnonzero(own.presence.any(axis=1)))
        if not len(splits[split].places):
            raise InputError(
                f"{where}: no place of the split '{name}' has a label; give a labelled catalogue, "
                "or other splits by labels.train, labels.val, labels.test"
            )
    if config.val is None:
        splits |= _held_out(splits["train"], config.held_out)
        if not len(splits["train"].places):
            raise InputError(
                f"{where}: the split '{config.train}' has too few places to hold some of them out; "
                "name a split to choose on by labels.val, or give more places"
            )
    kept = maps if task == "segmentation" else None
    return LabelledPlaces(task, classes, splits, kept, where)


def _usable(
    source: PlaceSource, split: Split, name: str, wanted: tuple[str, ...], where: str
) -> NDArray[np.int64]:
    try:
        return usable_places(source, name, wanted)
    except InputError as error:
        there = " ".join(sorted({each for each in source.splits if each})) or "none"
        raise InputError(
            f"{where}: {error}; its splits are {there}: choose by labels.{split}, or split it anew"
        ) from error


def _split_names(config: LabelConfig) -> dict[Split, str]:
    named: dict[Split, str] = {"train": config.train, "test": config.test}
    return named if config.val is None else {**named, "val": config.val}


def _held_out(train: SplitPlaces, share: float) -> dict[Split, SplitPlaces]:
    """The training places in two, by class alike: the same ones whatever else is drawn.

    At least one is held out; a class of few places may have none there.
    """
    needed = shares_needed(train.presence, seed=0)
    held = needed <= max(share, needed.min())
    return {"train": train.at(np.flatnonzero(~held)), "val": train.at(np.flatnonzero(held))}


def _of_text(
    source: PlaceSource,
    task: LandCoverTask,
    config: LabelConfig,
    places: Mapping[Split, NDArray[np.int64]],
    where: str,
) -> tuple[tuple[str, ...], dict[Split, NDArray[np.bool_]]]:
    names = {
        split: [_names(source, number, config, where) for number in numbers.tolist()]
        for split, numbers in places.items()
    }
    several = [each for own in names.values() for each in own if len(each) > 1]
    if task == "classification" and several:
        raise InputError(
            f"{where}: a place has the labels {' and '.join(several[0])}, and classification takes "
            "one a place; give task=multi-label"
        )
    found = {name for own in names.values() for each in own for name in each}
    classes = BIGEARTHNET_19 if config.scheme == "bigearthnet-19" else tuple(sorted(found))
    presence = {
        split: np.array([[name in each for name in classes] for each in own], bool).reshape(
            len(own), len(classes)
        )
        for split, own in names.items()
    }
    return classes, presence


def _names(source: PlaceSource, number: int, config: LabelConfig, where: str) -> list[str]:
    names = [name for name in source.labels[number].split(BETWEEN_LABELS) if name]
    if config.scheme != "bigearthnet-19":
        return names
    try:
        return nineteen_of_names(names)
    except KeyError as error:
        raise InputError(
            f"{where}: place {source.names[number]}: label {error} is none of BigEarthNet's; "
            "correct it in the archive and ingest again, or give labels.scheme=given"
        ) from error


def _on_maps(
    maps: LabelMaps, task: LandCoverTask, places: NDArray[np.int64], side: int
) -> NDArray[np.bool_]:
    """Which classes each place has: any pixel of, a tenth of the pixels of, or the most of."""
    count = len(maps.classes)
    presence = np.zeros((len(places), count), bool)
    for row, place in zip(presence, places.tolist(), strict=True):
        if task == "segmentation":
            row[:] = np.bincount(maps.whole(place).ravel(), minlength=IGNORED + 1)[:count] > 0
        elif task == "multi-label":
            row[:] = shares_above(maps.middle(place, side), count)
        else:
            row[:] = np.arange(count) == commonest(maps.middle(place, side))
    return presence
