"""Scores of drawn places are those of the places drawn; intervals hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.evaluate.drawn_scores import (
    Draws,
    confusion_draws,
    difference,
    draw_places,
    multi_label_draws,
    scores_of_matrices,
)
from eo_contrast.evaluate.intervals import of_single_labels
from eo_contrast.evaluate.land_cover import confusion, confusion_scores, multi_label_scores

SCORES = ("accuracy", "average_accuracy", "macro_f1", "mean_iou", "kappa")


def labels(count: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    true = generator.integers(0, classes, count)
    said = np.where(generator.random(count) < 0.6, true, generator.integers(0, classes, count))
    return torch.from_numpy(said), torch.from_numpy(true)


@given(seed=st.integers(0, 999), classes=st.integers(2, 6), count=st.integers(5, 40))
@settings(max_examples=30, deadline=None)
def test_a_draws_score_is_that_of_its_places(seed, classes, count):
    said, true = labels(count, classes, seed)
    draws = draw_places(count, 1, draws=3, seed=seed)
    found = confusion_draws([of_single_labels(said, true, classes)], draws)
    for number, often in enumerate(draws.often):
        chosen = torch.from_numpy(np.repeat(np.arange(count), often))
        wanted = confusion_scores(confusion(said[chosen], true[chosen], classes))
        for name in SCORES:
            assert found[name].draws[number] == pytest.approx(wanted[name], nan_ok=True)


def test_the_mean_is_over_seeds_and_all_places():
    cases = [labels(50, 4, seed) for seed in range(3)]
    draws = draw_places(50, 3, draws=10)
    found = confusion_draws([of_single_labels(*case, 4) for case in cases], draws)
    wanted = [confusion_scores(confusion(*case, 4)) for case in cases]
    for name in SCORES:
        assert found[name].mean == pytest.approx(np.mean([each[name] for each in wanted]))


def test_seeds_are_drawn_with_the_places():
    """Of two seeds, one all right and one all wrong, draws lie at 0, a half and 1."""
    true = torch.arange(20) % 2
    cases = [of_single_labels(said, true, 2) for said in (true, 1 - true)]
    found = confusion_draws(cases, draw_places(20, 2, draws=400))["accuracy"]
    assert found.mean == 0.5
    assert set(found.draws.tolist()) == {0.0, 0.5, 1.0}
    assert (found.low, found.high) == (0.0, 1.0)


def test_an_interval_is_as_wide_as_the_binomial_one():
    said, true = labels(700, 10, 0)
    found = confusion_draws([of_single_labels(said, true, 10)], draw_places(700, 1, draws=4000))
    share = found["accuracy"].mean
    deviation = (share * (1 - share) / 700) ** 0.5
    assert found["accuracy"].high - found["accuracy"].low == pytest.approx(
        2 * 1.96 * deviation, rel=0.07
    )


def test_a_paired_difference_is_narrower_than_two_intervals():
    said, true = labels(400, 5, 1)
    better = said.clone()
    better[:40] = true[:40]
    draws = draw_places(400, 1)
    one, other = (
        confusion_draws([of_single_labels(each, true, 5)], draws)["accuracy"]
        for each in (better, said)
    )
    apart = difference(one, other)
    assert apart.mean == pytest.approx(one.mean - other.mean)
    assert apart.low >= 0
    assert apart.high - apart.low < (one.high - one.low) / 2


def test_several_labels_are_drawn_by_place():
    generator = torch.Generator().manual_seed(0)
    scores, true = torch.rand(30, 4, generator=generator), torch.arange(120).reshape(30, 4) % 3 == 0
    often = np.zeros((1, 30), np.int64)
    often[0, :10] = 3
    found = multi_label_draws([(scores, true.long())], Draws(often, np.zeros((1, 1), np.int64)))
    chosen = torch.arange(10).repeat_interleave(3)
    wanted = multi_label_scores(scores[chosen], true[chosen])
    for name, own in found.items():
        assert own.draws[0] == pytest.approx(wanted[name])


def test_a_class_in_neither_truth_nor_prediction_is_left_out():
    matrix = np.array([[[3.0, 1, 0], [2, 4, 0], [0, 0, 0]]])
    found = scores_of_matrices(matrix)
    wanted = confusion_scores(torch.tensor(matrix[0]).long())
    for name in SCORES:
        assert found[name][0] == pytest.approx(wanted[name])
