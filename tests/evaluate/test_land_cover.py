"""Land-cover scores of whole splits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eo_contrast.evaluate.land_cover import (
    average_precision_by_class,
    calibration_error,
    confusion,
    confusion_scores,
    iou_by_class,
    mean_over,
    multi_label_scores,
    negative_log_likelihood,
    pair_calibration_error,
    single_label_scores,
)


def test_rows_of_the_confusion_matrix_are_the_truth():
    matrix = confusion(torch.tensor([1, 1, 0]), torch.tensor([0, 1, 0]), 2)
    assert matrix.tolist() == [[1, 1], [0, 1]]


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 60),
    cut=st.integers(0, 60),
    k=st.integers(2, 6),
)
def test_matrices_of_parts_add_up_to_the_whole(seed, count, cut, k):
    drawn = torch.randint(0, k, (2, count), generator=torch.Generator().manual_seed(seed))
    parts = confusion(drawn[0, :cut], drawn[1, :cut], k) + confusion(
        drawn[0, cut:], drawn[1, cut:], k
    )
    assert torch.equal(parts, confusion(drawn[0], drawn[1], k))


def test_pixels_that_are_ignored_do_not_count():
    matrix = confusion(torch.tensor([0, 1]), torch.tensor([255, 1]), 2, ignore=255)
    assert matrix.tolist() == [[0, 0], [0, 1]]


def test_average_accuracy_leaves_out_classes_that_the_truth_lacks():
    matrix = torch.tensor([[8, 0, 2], [0, 4, 0], [0, 0, 0]])
    assert confusion_scores(matrix)["average_accuracy"] == pytest.approx((0.8 + 1.0) / 2)


def test_a_class_that_is_only_predicted_lowers_mean_overlap():
    matrix = torch.tensor([[8, 0, 2], [0, 4, 0], [0, 0, 0]])
    iou = iou_by_class(matrix)
    assert mean_over(iou, matrix, "true") == pytest.approx((0.8 + 1.0) / 2)
    assert mean_over(iou, matrix, "seen") == pytest.approx((0.8 + 1.0 + 0.0) / 3)


def test_a_class_in_neither_counts_only_where_all_are_asked_for():
    matrix = torch.tensor([[8, 2, 0], [0, 4, 0], [0, 0, 0]])
    iou = iou_by_class(matrix)
    assert iou[2].isnan()
    assert mean_over(iou, matrix, "all") == pytest.approx((0.8 + 4 / 6 + 0.0) / 3)


def test_chance_agreement_has_no_kappa():
    assert confusion_scores(torch.tensor([[4, 4], [4, 4]]))["kappa"] == pytest.approx(0)


def test_accuracy_and_micro_f1_of_single_labels_are_one_number():
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    found = single_label_scores(probabilities, torch.tensor([0, 0, 1]))
    assert found["accuracy"] == found["micro_f1"] == pytest.approx(2 / 3)


def test_sure_and_right_is_calibrated():
    assert calibration_error(torch.eye(3), torch.arange(3)) == pytest.approx(0)


def test_sure_and_wrong_is_off_by_all():
    assert calibration_error(torch.eye(2), torch.tensor([1, 0])) == pytest.approx(1)


def test_the_likelihood_of_an_even_guess_is_that_of_chance():
    even = torch.full((6, 4), 0.25)
    nll = negative_log_likelihood(even, torch.tensor([0, 1, 2, 3, 0, 1]))
    assert nll == pytest.approx(math.log(4))


def test_a_probability_of_nothing_gives_a_finite_likelihood():
    assert math.isfinite(negative_log_likelihood(torch.eye(2), torch.tensor([1, 0])))


def test_average_precision_by_hand():
    scores = torch.tensor([[0.9], [0.8], [0.7], [0.6]])
    true = torch.tensor([[1], [0], [1], [0]])
    found = average_precision_by_class(scores, true)
    assert found.item() == pytest.approx((1 + 2 / 3) / 2, rel=1e-6)


def test_a_class_that_the_truth_lacks_has_no_average_precision(recwarn):
    scores, true = torch.tensor([[0.9, 0.2], [0.1, 0.3]]), torch.tensor([[1, 0], [0, 0]])
    assert average_precision_by_class(scores, true).isnan().tolist() == [False, True]
    assert multi_label_scores(scores, true)["macro_map"] == pytest.approx(1)
    assert not recwarn.list


def test_accuracy_of_several_labels_counts_pairs():
    scores, true = torch.tensor([[0.9, 0.2], [0.6, 0.7]]), torch.tensor([[1, 0], [0, 1]])
    found = multi_label_scores(scores, true)
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["average_accuracy"] == pytest.approx(1.0)


@given(seed=st.integers(0, 10**6))
def test_the_calibration_error_of_pairs_is_the_mean_gap_of_their_bins(seed):
    drawn = np.random.default_rng(seed)
    scores, true = drawn.random((30, 4)).astype(np.float32), drawn.integers(0, 2, (30, 4))
    bins, gap = (scores * 15).astype(int), 0.0
    for number in range(15):
        own = bins == number
        if own.any():
            gap += abs(scores[own].mean(dtype=float) - true[own].mean()) * own.mean()
    found = pair_calibration_error(torch.from_numpy(scores), torch.from_numpy(true))
    assert found == pytest.approx(gap, abs=1e-5)
