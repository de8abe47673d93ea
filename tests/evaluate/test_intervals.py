"""How far scores would move with other test places."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from eo_contrast.evaluate.intervals import (
    LEAST_DRAWS,
    MOST_DRAWS,
    PlaceConfusions,
    confusion_intervals,
    multi_label_intervals,
    of_single_labels,
)
from eo_contrast.evaluate.land_cover import confusion, confusion_scores, multi_label_scores


def places(count: int = 400, classes: int = 5, right: float = 0.8, seed: int = 0):
    """Predicted and true classes of places; a share of them agree."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.randint(classes, (count,), generator=generator)
    other = torch.randint(classes, (count,), generator=generator)
    agree = torch.rand(count, generator=generator) < right
    return torch.where(agree, true, other), true


def test_the_matrix_of_all_places_is_the_confusion_matrix():
    predicted, true = places()
    assert torch.equal(of_single_labels(predicted, true, 5).matrix, confusion(predicted, true, 5))


def test_an_interval_of_accuracy_is_as_wide_as_binomial_doubt():
    predicted, true = places(2000)
    low, high = confusion_intervals(of_single_labels(predicted, true, 5)).of["accuracy"]
    share = float((true == predicted).double().mean())
    deviation = math.sqrt(share * (1 - share) / 2000)
    assert low == pytest.approx(share - 1.96 * deviation, abs=0.3 * deviation)
    assert high == pytest.approx(share + 1.96 * deviation, abs=0.3 * deviation)


def test_every_score_of_the_matrix_has_an_interval_that_holds_it():
    confusions = of_single_labels(*places(), 5)
    found = confusion_intervals(confusions).of
    for name, score in confusion_scores(confusions.matrix).items():
        assert found[name][0] < score < found[name][1], name


def test_the_same_predictions_give_the_same_interval():
    confusions = of_single_labels(*places(), 5)
    assert confusion_intervals(confusions) == confusion_intervals(confusions)


def test_places_are_drawn_and_never_their_pixels():
    """Two places of a thousand pixels each, one all right and one all wrong: 0, a half or 1."""
    cells = torch.tensor([[0, 0, 1000], [1, 1, 1000]])
    confusions = PlaceConfusions(2, 2, cells)
    shares = {
        float(drawn.trace() / drawn.sum())
        for drawn in (confusions.drawn(np.random.default_rng(seed)) for seed in range(40))
    }
    assert shares == {0.0, 0.5, 1.0}
    assert confusion_intervals(confusions).of["accuracy"] == (0.0, 1.0)


def test_scores_of_several_labels_lie_in_their_intervals():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(60, 4, generator=generator)
    true = (torch.rand(60, 4, generator=generator) < scores).long()
    found = multi_label_intervals(scores, true)
    assert LEAST_DRAWS <= found.draws <= MOST_DRAWS
    for name, score in multi_label_scores(scores, true).items():
        assert found.of[name][0] < score < found.of[name][1], name


def test_many_numbers_are_drawn_less_often():
    predicted, true = places(1_000_000)
    assert confusion_intervals(of_single_labels(predicted, true, 5)).draws == LEAST_DRAWS
