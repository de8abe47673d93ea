"""How much each class counts in the loss."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.errors import InputError
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.labels import LabelledPlaces


def class_weights(
    chosen: Literal["balanced"] | Mapping[str, float] | None, labelled: LabelledPlaces
) -> Tensor | None:
    """float32 (C,) in the order of the classes; None: all count alike.

    Balanced is what there is of all classes over (number of classes * what there is of one), as
    scikit-learn has it: in places, or in pixels where those have classes. Of several labels a
    place it is places without the class over places with it, and so are the weights of presence
    alone. A class that training lacks has the weight 1.

    Raises: InputError: a name that is no class.
    """
    if chosen is None:
        return None
    if chosen == "balanced":
        return torch.from_numpy(_balanced(labelled).astype(np.float32))
    for name in chosen:
        if name not in labelled.classes:
            near = difflib.get_close_matches(name, labelled.classes, 1)
            raise InputError(
                f"loss.class_weights: there is no class '{name}'"
                + (f", but '{near[0]}'" if near else "")
                + f"; classes are {', '.join(labelled.classes)}"
            )
    return torch.tensor([float(chosen.get(name, 1.0)) for name in labelled.classes])


def _balanced(labelled: LabelledPlaces) -> NDArray[np.float64]:
    train = labelled.splits["train"]
    own = train.presence.sum(0).astype(np.float64)
    if labelled.maps is not None:
        counts = np.zeros(IGNORED + 1, np.int64)
        for place in train.places.tolist():
            counts += np.bincount(labelled.maps.whole(place).ravel(), minlength=IGNORED + 1)
        own = counts[: len(labelled.classes)].astype(np.float64)
    several = labelled.task == "multi-label"
    others = len(train.places) - own if several else own.sum() / len(own)
    return np.where(own > 0, others / np.maximum(own, 1), 1.0)
