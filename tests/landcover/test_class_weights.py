"""How much each class counts, against scikit-learn's rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from sources import coloured, mapped

from eo_contrast.landcover.class_weights import class_weights
from eo_contrast.landcover.labels import LabelConfig, LabelledPlaces, SplitPlaces, labelled_places


def places(presence: list[list[int]], task: str = "classification") -> LabelledPlaces:
    own = SplitPlaces(np.arange(len(presence)), np.array(presence, bool))
    names = tuple("abcdef"[: own.presence.shape[1]])
    return LabelledPlaces(task, names, {"train": own, "val": own, "test": own})


def test_nothing_chosen_is_no_weight():
    assert class_weights(None, places([[1, 0], [0, 1]])) is None


def test_balanced_is_scikit_learns():
    labels = [0, 0, 0, 0, 1, 2, 2]
    ours = class_weights("balanced", places(np.eye(3, dtype=int)[labels].tolist()))
    other = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(ours, other, rtol=1e-6)


def test_balanced_pixels_are_counted_on_the_maps_of_training_alone():
    source = mapped()
    source.arrays["label"][:, :, :3] = 65535
    labelled = labelled_places(source, "segmentation", LabelConfig(), products=["s2-l2a"], side=16)
    ours = class_weights("balanced", labelled)
    train = labelled.splits["train"].places
    codes = source.arrays["label"][train][source.arrays["label"][train] != 65535]
    other = compute_class_weight("balanced", classes=np.array([1, 10]), y=codes)
    np.testing.assert_allclose(ours, other, rtol=1e-6)


def test_of_several_labels_it_is_absence_over_presence():
    labelled = places([[1, 1], [1, 0], [0, 0], [1, 0]], "multi-label")
    assert torch.equal(class_weights("balanced", labelled), torch.tensor([1 / 3, 3.0]))


def test_a_class_that_training_lacks_counts_one():
    assert torch.equal(
        class_weights("balanced", places([[1, 0], [1, 0]])), torch.tensor([0.5, 1.0])
    )


def test_weights_by_name_leave_the_others_at_one():
    labelled = labelled_places(
        coloured(), "classification", LabelConfig(), products=["rgb"], side=16
    )
    assert torch.equal(class_weights({"town": 2.5}, labelled), torch.tensor([1.0, 2.5]))
    several = replace(labelled, task="multi-label")
    assert torch.equal(class_weights({"field": 0.0}, several), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("chosen", ["balanced", {"a": 2.0}])
def test_weights_are_single_precision(chosen):
    assert class_weights(chosen, places([[1, 0], [0, 1]])).dtype == torch.float32
