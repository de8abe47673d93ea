"""Metric losses over all pairs of a batch, against slow loops; what they refuse."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.objectives import metric

LABELS = [0, 1, 1, 0, 2, 2, 1]


def vectors(seed, count=7):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64) / 2


def distance(points, i, j):
    return float((points[i] - points[j]).norm())


def mean_of_costly(costs):
    costly = [cost for cost in costs if cost > 0]
    return sum(costly) / max(len(costly), 1)


def slow_margin(points, near, far):
    pairs = list(itertools.permutations(range(len(LABELS)), 2))
    like = [distance(points, *p) - near for p in pairs if LABELS[p[0]] == LABELS[p[1]]]
    unlike = [far - distance(points, *p) for p in pairs if LABELS[p[0]] != LABELS[p[1]]]
    return mean_of_costly(like) + mean_of_costly(unlike)


def slow_triplets(points, margin):
    return mean_of_costly(
        distance(points, a, p) - distance(points, a, n) + margin
        for a, p, n in itertools.permutations(range(len(LABELS)), 3)
        if LABELS[a] == LABELS[p] != LABELS[n]
    )


def slow_lifted(points, margin):
    total = 0.0
    for a in range(len(LABELS)):
        others = [k for k in range(len(LABELS)) if k != a]
        like = [distance(points, a, k) for k in others if LABELS[k] == LABELS[a]]
        unlike = [margin - distance(points, a, k) for k in others if LABELS[k] != LABELS[a]]
        total += max(0.0, math.log(sum(map(math.exp, like)) * sum(map(math.exp, unlike))))
    return total / len(LABELS)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.floats(0, 0.5), st.floats(0.5, 2))
def test_the_margin_of_pairs_is_the_slow_loop_s(seed, near, far):
    points = vectors(seed)
    found = metric.margin_of_pairs(points, torch.tensor(LABELS), near=near, far=far)
    assert float(found) == pytest.approx(slow_margin(points, near, far))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.floats(0.01, 2))
def test_triplets_are_the_slow_loop_s(seed, margin):
    points = vectors(seed)
    found = metric.triplets_of_batch(points, torch.tensor(LABELS), margin=margin)
    assert float(found) == pytest.approx(slow_triplets(points, margin))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.floats(0.01, 2))
def test_generalised_lifted_structure_is_the_slow_loop_s(seed, margin):
    points = vectors(seed)
    found = metric.generalised_lifted_structure(points, torch.tensor(LABELS), margin=margin)
    assert float(found) == pytest.approx(slow_lifted(points, margin))


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_no_triplet_costs_nothing(labels):
    points = vectors(0, 4).requires_grad_()
    loss = metric.triplets_of_batch(points, torch.tensor(labels), margin=1.0)
    loss.backward()
    assert loss == 0 and not points.grad.any()


def test_equal_vectors_have_a_finite_gradient():
    points, labels = torch.ones(4, 3, requires_grad=True), torch.tensor([0, 0, 1, 1])
    for loss_of in (metric.margin_of_pairs, metric.generalised_lifted_structure):
        loss_of(points, labels).backward()
        assert points.grad.isfinite().all()


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 0, 1]])
def test_an_anchor_without_like_or_unlike_vectors_is_refused(labels):
    with pytest.raises(ValueError, match="each vector needs another of its label"):
        metric.generalised_lifted_structure(vectors(0, 3), torch.tensor(labels))
