"""What an encoder's frozen features tell of the classes of places, for the studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from eo_contrast.data.place_sources import open_places
from eo_contrast.landcover.probe import Labelled, knn_predict, linear_probe
from eo_contrast.training.encoder_card import SensorEncoders, load_encoder
from eo_contrast.training.features import place_features

SPLITS = ("train", "val", "test")


def probed(
    run: Path, pack: Path, sensors: Sequence[str] | None = None, **how: Any
) -> dict[str, float]:
    """Accuracy of kNN and of a linear probe on the test split, and on validation, per cent.

    Args:
        sensors: whose features are taken; None: all of the encoder's, side by side.
        how: ``untrained``, of :func:`labelled`; ``size``, ``maps`` and ``turns`` of
            :func:`eo_contrast.training.features.place_features`.
    """
    parts, classes = labelled(run, pack, sensors, **how)
    test, val = parts["test"], parts["val"]
    probe = linear_probe(parts["train"], val, classes=classes)

    def votes(seen: Labelled) -> float:
        return _accuracy(knn_predict(parts["train"], seen.features, classes=classes), seen.targets)

    return {
        "linear": _accuracy(probe(test.features), test.targets),
        "knn": votes(test),
        "val_linear": _accuracy(probe(val.features), val.targets),
        "val_knn": votes(val),
        "weight_decay": probe.weight_decay,
    }


def labelled(
    run: Path,
    pack: Path,
    sensors: Sequence[str] | None = None,
    *,
    untrained: bool = False,
    **how: Any,
) -> tuple[dict[str, Labelled], int]:
    """Features of a run's encoder and classes, by split; and how many classes there are.

    Args:
        untrained: of an encoder of the same kind at its first weights.
    """
    net, card = load_encoder(run)
    if untrained:
        net = SensorEncoders(card).eval()
    source = open_places(pack)
    names = sorted(set(source.labels))
    parts = {}
    for split in SPLITS:
        places = [number for number, own in enumerate(source.splits) if own == split]
        targets = torch.tensor([names.index(source.labels[number]) for number in places])
        features = place_features(net, card, source, places, sensors=sensors, **how)
        parts[split] = Labelled(features, targets)
    return parts, len(names)


def _accuracy(scores: torch.Tensor, targets: torch.Tensor) -> float:
    return 100 * float((scores.argmax(1) == targets).double().mean())
