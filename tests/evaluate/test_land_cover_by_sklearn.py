"""Land-cover scores are scikit-learn's on random cases: absent classes and ties included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from eo_contrast.evaluate.drawn_scores import confusion_draws, draw_places
from eo_contrast.evaluate.intervals import of_single_labels
from eo_contrast.evaluate.land_cover import (
    average_precision_by_class,
    confusion,
    f1_by_class,
    iou_by_class,
    mean_over,
    multi_label_scores,
    single_label_scores,
)

CASES = settings(max_examples=60, deadline=None)


@st.composite
def single_labels(draw) -> tuple[np.ndarray, np.ndarray, int]:
    """Probabilities, some of them tied, and classes, of which the truth may lack some."""
    classes, count = draw(st.integers(2, 6)), draw(st.integers(2, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    kept = draw(st.integers(1, classes))
    true = generator.integers(0, kept, count)
    steps = draw(st.sampled_from([2, 5, 1000]))
    scores = generator.integers(0, steps, (count, classes)) + 0.5
    return scores / scores.sum(1, keepdims=True), true, classes


@st.composite
def several_labels(draw) -> tuple[np.ndarray, np.ndarray]:
    """Scores, some of them tied, and truth; of the classes some may have no place."""
    classes, count = draw(st.integers(2, 5)), draw(st.integers(2, 30))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    true = (generator.random((count, classes)) < draw(st.sampled_from([0.1, 0.5]))).astype(int)
    true[0, 0] = 1
    steps = draw(st.sampled_from([2, 8, 1000]))
    return (generator.integers(0, steps, (count, classes)) / steps).astype(np.float32), true


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's of absent classes and undefined ratios
        yield


@given(case=single_labels())
@CASES
def test_scores_of_one_label_a_place(case):
    probabilities, true, classes = case
    said = torch.from_numpy(probabilities).argmax(1).numpy()
    found = single_label_scores(torch.from_numpy(probabilities), torch.from_numpy(true))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, said))
    assert found["micro_f1"] == pytest.approx(metrics.f1_score(true, said, average="micro"))
    # Both are over the classes that truth or prediction has.
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(true, said, average="macro"))
    present = sorted(set(true.tolist()))
    assert found["average_accuracy"] == pytest.approx(
        metrics.recall_score(true, said, average="macro", labels=present)
    )
    kappa = metrics.cohen_kappa_score(true, said)
    assert found["kappa"] == pytest.approx(kappa, nan_ok=True)
    loss = metrics.log_loss(true, probabilities, labels=list(range(classes)))
    assert found["nll"] == pytest.approx(loss, rel=1e-6)


@given(case=single_labels())
@CASES
def test_scores_by_class_of_a_confusion_matrix(case):
    probabilities, true, classes = case
    said = torch.from_numpy(probabilities).argmax(1)
    matrix = confusion(said, torch.from_numpy(true), classes)
    labels = list(range(classes))
    wanted = metrics.confusion_matrix(true, said.numpy(), labels=labels)
    np.testing.assert_array_equal(matrix.numpy(), wanted)
    for ours, theirs in ((f1_by_class, metrics.f1_score), (iou_by_class, metrics.jaccard_score)):
        own = ours(matrix)
        by_class = theirs(true, said.numpy(), labels=labels, average=None, zero_division=0)
        np.testing.assert_allclose(own.nan_to_num(0.0).numpy(), by_class, atol=1e-12)
        assert mean_over(own, matrix, "all") == pytest.approx(by_class.mean())
        seen = sorted(set(true.tolist()) | set(said.tolist()))
        assert mean_over(own, matrix, "seen") == pytest.approx(by_class[seen].mean())
        assert mean_over(own, matrix, "true") == pytest.approx(
            by_class[sorted(set(true.tolist()))].mean()
        )


@given(case=single_labels())
@CASES
def test_means_of_a_benchmark_are_the_same_scores(case):
    probabilities, true, classes = case
    said = torch.from_numpy(probabilities).argmax(1)
    places = of_single_labels(said, torch.from_numpy(true), classes)
    found = confusion_draws([places], draw_places(len(true), 1, draws=2))
    assert found["accuracy"].mean == pytest.approx(metrics.accuracy_score(true, said))
    assert found["macro_f1"].mean == pytest.approx(metrics.f1_score(true, said, average="macro"))
    assert found["mean_iou"].mean == pytest.approx(
        metrics.jaccard_score(true, said, average="macro")
    )


@given(case=several_labels())
@CASES
def test_scores_of_several_labels_a_place(case):
    scores, true = case
    found = multi_label_scores(torch.from_numpy(scores), torch.from_numpy(true))
    given_labels = (scores >= 0.5).astype(int)
    present = np.flatnonzero(true.any(0))
    # torchmetrics computes average precision in float32.
    micro = metrics.average_precision_score(true, scores, average="micro")
    assert found["micro_map"] == pytest.approx(micro, abs=1e-5)
    macro = metrics.average_precision_score(true[:, present], scores[:, present], average="macro")
    assert found["macro_map"] == pytest.approx(macro, abs=1e-5)
    for average in ("micro", "macro"):
        wanted = metrics.f1_score(true, given_labels, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(wanted)
    assert found["accuracy"] == pytest.approx((true == given_labels).mean())
    recall = metrics.recall_score(true, given_labels, average=None, zero_division=0)
    assert found["average_accuracy"] == pytest.approx(recall[present].mean())


@given(case=several_labels())
@CASES
def test_average_precision_by_class(case):
    scores, true = case
    found = average_precision_by_class(torch.from_numpy(scores), torch.from_numpy(true))
    for number in range(true.shape[1]):
        if not true[:, number].any():
            assert torch.isnan(found[number])
            continue
        wanted = metrics.average_precision_score(true[:, number], scores[:, number])
        assert float(found[number]) == pytest.approx(wanted, abs=1e-5)
