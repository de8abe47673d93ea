"""What a land-cover net says of whole splits, on one process or shared by several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.evaluate.calibration import Reliability, reliability
from eo_contrast.evaluate.intervals import PlaceConfusions
from eo_contrast.evaluate.land_cover import BINS, confusion, confusion_scores
from eo_contrast.landcover.batches import (
    Images,
    Material,
    Window,
    images_of,
    middle,
    read,
    read_labels,
    whole_place,
    windows_over,
)
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.labels import Split
from eo_contrast.landcover.nets import LandCoverNet, PixelClassifier, PlaceClassifier
from eo_contrast.landcover.predictions import PixelPredictions, PlacePredictions, Predictions
from eo_contrast.landcover.probabilities import (
    pixel_probabilities,
    place_probabilities,
    probabilities,
)
from eo_contrast.training.gather import gathered

BATCH = 64
PIXELS = 2**24
"""Of whole places, that are mapped together; most of a batch where places are large."""
SHOWN, SHOWN_SIDE = 6, 256
"""Places whose maps are kept to be looked at, and most pixels a side of each."""


@torch.no_grad()
def split_scores(
    net: LandCoverNet,
    material: Material,
    split: Split,
    fabric: Fabric,
    *,
    features: Tensor | None = None,
    upright: bool = False,
) -> dict[str, float]:
    """Scores of a split, the same on every process; each looks at its share of the places.

    The net is put in evaluation mode and left there.

    Args:
        features: of the split's places, upright, where they are known already.
        upright: images are seen once, whatever the net's head says of turns.
    """
    net.eval()
    turns = net.turns and not upright
    if isinstance(net, PixelClassifier):
        return confusion_scores(_pixel_confusion(net, material, split, fabric, turns))
    return _of_places(net, material, split, fabric, turns, features).scores()


@torch.no_grad()
def split_predictions(
    net: LandCoverNet, material: Material, split: Split, fabric: Fabric
) -> Predictions:
    """All that the scores of a split are made of, the same on every process.

    The net is put in evaluation mode and left there.
    """
    net.eval()
    if isinstance(net, PixelClassifier):
        return _of_pixels(net, material, split, fabric)
    return _of_places(net, material, split, fabric, net.turns)


@torch.no_grad()
def split_features(
    net: PlaceClassifier, material: Material, split: Split, fabric: Fabric
) -> Tensor:
    """Frozen features (N, D) of a split's places, float32 on the device, in its order."""
    net.eval()
    return _by_place(net.features, material, split, fabric).to(fabric.device)


def _of_places(
    net: PlaceClassifier,
    material: Material,
    split: Split,
    fabric: Fabric,
    turns: bool,
    features: Tensor | None = None,
) -> PlacePredictions:
    several = material.labelled.task == "multi-label"
    if features is None:
        say = partial(place_probabilities, net, turns=turns, several=several)
        found = _by_place(say, material, split, fabric)
    else:
        found = probabilities(net.classify(features), several=several).cpu()
    return PlacePredictions(found, material.labelled.targets(split))


def _by_place(
    compute: Callable[[Images], Tensor], material: Material, split: Split, fabric: Fabric
) -> Tensor:
    """A row for each of a split's places, of the middle square: float32 (N, ...) on the CPU."""
    places = material.labelled.splits[split].places
    rows = []
    own = _share_of(len(places), fabric)
    for first in range(0, len(own), BATCH):
        numbers = places[own[first : first + BATCH]].tolist()
        images = images_of(material, read(material, numbers, middle(material)), fabric.device)
        with fabric.autocast():
            rows.append(compute(images).float())
    return _in_order(torch.cat(rows), len(places), fabric).cpu()


def _share_of(count: int, fabric: Fabric) -> NDArray[np.int64]:
    """Every so many of the numbers below ``count``; the last one fills the shares to one length."""
    ranks = fabric.world_size
    numbers = np.arange(fabric.global_rank, -(-count // ranks) * ranks, ranks)
    return np.minimum(numbers, count - 1)


def _in_order(rows: Tensor, count: int, fabric: Fabric) -> Tensor:
    """The rows of all processes' shares, as one process would have them."""
    together = gathered(rows).view(fabric.world_size, len(rows), *rows.shape[1:])
    return together.transpose(0, 1).reshape(-1, *rows.shape[1:])[:count]


def _pixel_confusion(
    net: PixelClassifier, material: Material, split: Split, fabric: Fabric, turns: bool
) -> Tensor:
    """Of every labelled pixel of every place, each seen once."""
    places, classes = material.labelled.splits[split].places, len(material.labelled.classes)
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for own in _batches_of_share(len(places), material, fabric):
        numbers = places[own].tolist()
        predicted, _ = _class_maps(net, material, numbers, fabric, turns)
        matrix += confusion(predicted, _true_maps(material, numbers), classes, ignore=IGNORED)
    return gathered(matrix[None].to(fabric.device)).sum(0).cpu()


def _of_pixels(
    net: PixelClassifier, material: Material, split: Split, fabric: Fabric
) -> PixelPredictions:
    places, classes = material.labelled.splits[split].places, len(material.labelled.classes)
    cells = [torch.zeros(0, 3, dtype=torch.int64)]
    sums = torch.zeros(3, BINS, dtype=torch.float64)
    for own in _batches_of_share(len(places), material, fabric):
        numbers = places[own].tolist()
        predicted, confidence = _class_maps(net, material, numbers, fabric, net.turns)
        true = _true_maps(material, numbers)
        counted = true != IGNORED
        sums += reliability(confidence[counted], (predicted == true)[counted]).sums
        cells.append(_cells(own, predicted, true, classes))
    shown = np.unique(np.linspace(0, len(places) - 1, SHOWN).round().astype(np.int64))
    numbers = places[shown].tolist()
    predicted, _ = _class_maps(net, material, numbers, fabric, net.turns)
    return PixelPredictions(
        confusions=PlaceConfusions(len(places), classes, _of_all(torch.cat(cells), fabric)),
        reliability=Reliability(gathered(sums[None].to(fabric.device)).sum(0).cpu()),
        shown=tuple(shown.tolist()),
        true=_centre(_true_maps(material, numbers)).to(torch.uint8),
        predicted=_centre(predicted).to(torch.uint8),
    )


def _batches_of_share(count: int, material: Material, fabric: Fabric) -> list[NDArray[np.int64]]:
    """This process's share of the numbers below ``count``, a batch at a time.

    Not filled up to one length: a pixel must not count twice.
    """
    own = np.arange(fabric.global_rank, count, fabric.world_size)
    batch = max(min(BATCH, PIXELS // material.source.size**2), 1)
    return [own[first : first + batch] for first in range(0, len(own), batch)]


def _class_maps(
    net: PixelClassifier, material: Material, places: Sequence[int], fabric: Fabric, turns: bool
) -> tuple[Tensor, Tensor]:
    """Predicted classes (N, S, S) of whole places, and their probabilities, on the CPU."""
    side, seen = material.source.size, material.seen
    predicted = torch.zeros(len(places), side, side, dtype=torch.int64)
    confidence = torch.zeros(len(places), side, side)
    windows = windows_over(side, seen)
    for top, rows in windows:
        for left, columns in windows:
            window = Window(top, left, seen)
            images = images_of(material, read(material, places, window), fabric.device)
            with fabric.autocast():
                found = pixel_probabilities(net, images, seen, turns=turns)
            where = (slice(None), _moved(rows, top), _moved(columns, left))
            highest, number = found.max(dim=1)
            predicted[where] = number.cpu()[:, rows, columns]
            confidence[where] = highest.cpu()[:, rows, columns]
    return predicted, confidence


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _true_maps(material: Material, places: Sequence[int]) -> Tensor:
    """True classes (N, S, S) of whole places."""
    labels = read_labels(material, places, whole_place(material))
    if labels is None:
        raise ValueError("classes are of places, not of pixels")
    return labels.long()


def _cells(rows: NDArray[np.int64], predicted: Tensor, true: Tensor, classes: int) -> Tensor:
    """The cells that are not 0 of each place's confusion matrix: row, cell, how many."""
    found = []
    for row, said, is_true in zip(rows.tolist(), predicted, true, strict=True):
        matrix = confusion(said, is_true, classes, ignore=IGNORED).flatten()
        cell = torch.nonzero(matrix).flatten()
        found.append(torch.stack([torch.full_like(cell, row), cell, matrix[cell]], dim=1))
    return torch.cat(found)


def _of_all(cells: Tensor, fabric: Fabric) -> Tensor:
    """The cells of all processes, by place, whatever their shares."""
    if fabric.world_size == 1:
        return cells
    longest = int(gathered(torch.tensor([len(cells)], device=fabric.device)).max())
    filled = torch.zeros(longest, 3, dtype=torch.int64)
    filled[: len(cells)] = cells
    every = gathered(filled.to(fabric.device)).cpu()
    every = every[every[:, 2] > 0]
    return every[torch.argsort(every[:, 0], stable=True)]


def _centre(maps: Tensor) -> Tensor:
    """The middle of maps that are larger than is shown."""
    side = min(maps.shape[-1], SHOWN_SIDE)
    first = (maps.shape[-1] - side) // 2
    return maps[:, first : first + side, first : first + side]
