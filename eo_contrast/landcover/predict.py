"""What a land-cover net says of whole splits, on one process or shared by several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.evaluate.land_cover import (
    confusion,
    confusion_scores,
    multi_label_scores,
    single_label_scores,
)
from eo_contrast.landcover.batches import (
    Images,
    Material,
    Window,
    images_of,
    middle,
    read,
    read_labels,
    windows_over,
)
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.labels import Split
from eo_contrast.landcover.nets import LandCoverNet, PixelClassifier, PlaceClassifier
from eo_contrast.training.gather import gathered

BATCH = 64


@torch.no_grad()
def split_scores(
    net: LandCoverNet,
    material: Material,
    split: Split,
    fabric: Fabric,
    *,
    features: Tensor | None = None,
) -> dict[str, float]:
    """Scores of a split, the same on every process; each looks at its share of the places.

    The net is put in evaluation mode and left there.

    Args:
        features: of the split's places, where they are known already.
    """
    net.eval()
    labelled = material.labelled
    if isinstance(net, PixelClassifier):
        return confusion_scores(_pixel_confusion(net, material, split, fabric))
    if features is None:
        logits = _by_place(net, material, split, fabric)
    else:
        logits = net.head(features).float().cpu()
    true = labelled.targets(split)
    if labelled.task == "multi-label":
        return multi_label_scores(logits.sigmoid(), true)
    return single_label_scores(logits.softmax(1), true)


@torch.no_grad()
def split_features(
    net: PlaceClassifier, material: Material, split: Split, fabric: Fabric
) -> Tensor:
    """Frozen features (N, D) of a split's places, float32 on the device, in its order."""
    net.eval()
    return _by_place(net.features, material, split, fabric).to(fabric.device)


def pixel_logits(net: PixelClassifier, images: Images, side: int) -> Tensor:
    """Logits (N, classes, side, side): of places that were enlarged, at their own size again."""
    logits: Tensor = net(images)
    if logits.shape[-1] == side:
        return logits
    return F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)


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
    net: PixelClassifier, material: Material, split: Split, fabric: Fabric
) -> Tensor:
    """Of every labelled pixel of every place, each seen once."""
    places = material.labelled.splits[split].places
    classes, side = len(material.labelled.classes), material.seen
    windows = windows_over(material.source.size, side)
    # Not filled up to one length: a pixel must not count twice.
    own = np.arange(fabric.global_rank, len(places), fabric.world_size)
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for first in range(0, len(own), BATCH):
        numbers = places[own[first : first + BATCH]].tolist()
        for top, rows in windows:
            for left, columns in windows:
                window = Window(top, left, side)
                images = images_of(material, read(material, numbers, window), fabric.device)
                with fabric.autocast():
                    logits = pixel_logits(net, images, side)
                labels = read_labels(material, numbers, window)
                if labels is None:
                    raise ValueError("classes are of places, not of pixels")
                predicted = logits.argmax(1).cpu()[:, rows, columns]
                matrix += confusion(
                    predicted, labels.long()[:, rows, columns], classes, ignore=IGNORED
                )
    return gathered(matrix[None].to(fabric.device)).sum(0).cpu()
