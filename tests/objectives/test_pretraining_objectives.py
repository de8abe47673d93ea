"""What holds of the objectives whatever the vectors: scale, order, chance, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from eo_contrast.objectives import contrastive, metric, non_contrastive


def vectors(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


PAIRED = {
    "nt_xent": lambda a, b: contrastive.nt_xent(a, b, temperature=0.2),
    "in_batch": lambda a, b: contrastive.in_batch_info_nce(a, b, temperature=0.2),
    "clip": lambda a, b: contrastive.clip(a, b, torch.tensor(math.log(10.0))),
    "supervised": lambda a, b: contrastive.supervised(torch.stack([a, b], 1), temperature=0.2),
    "byol": lambda a, b: non_contrastive.regression(a, b).mean(),
    "barlow": non_contrastive.barlow_twins,
    "vicreg": non_contrastive.vicreg,
}
OF_DIRECTIONS = ("nt_xent", "in_batch", "clip", "supervised", "byol")


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(3, 9), st.sampled_from(sorted(PAIRED)))
def test_the_order_of_places_does_not_matter(seed, count, name):
    one, other = vectors(seed, count, 6), vectors(seed + 1, count, 6)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(PAIRED[name](one[order], other[order]), PAIRED[name](one, other))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.sampled_from(OF_DIRECTIONS))
def test_only_directions_of_vectors_matter(seed, scale, name):
    one, other = vectors(seed, 5, 6), vectors(seed + 1, 5, 6)
    torch.testing.assert_close(PAIRED[name](scale * one, other), PAIRED[name](one, other))


def test_vectors_that_say_nothing_give_chance():
    same = torch.ones(8, 4, dtype=torch.float64)
    assert contrastive.nt_xent(same, same, temperature=0.1) == pytest.approx(math.log(15))
    assert contrastive.in_batch_info_nce(same, same, temperature=0.5) == pytest.approx(math.log(8))
    queue = F.normalize(torch.ones(31, 4, dtype=torch.float64), dim=1)
    loss = contrastive.info_nce(same, same, queue, temperature=0.07)
    assert loss == pytest.approx(math.log(32))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_negatives_of_all_are_negatives_of_each(seed, count):
    query, key, queue = (
        vectors(seed, count, 5),
        vectors(seed + 1, count, 5),
        vectors(seed + 2, 7, 5),
    )
    shared = contrastive.info_nce(query, key, queue, temperature=0.3)
    own = contrastive.info_nce(query, key, None, queue.expand(count, 7, 5), temperature=0.3)
    torch.testing.assert_close(shared, own)


def test_info_nce_over_the_batch_s_other_vectors_is_nt_xent():
    one, other = vectors(0, 5, 6), vectors(1, 5, 6)
    both = F.normalize(torch.cat([one, other]), dim=1)
    partner = both.roll(5, 0)
    rest = torch.stack(
        [both[[k for k in range(10) if k not in (n, (n + 5) % 10)]] for n in range(10)]
    )
    loss = contrastive.info_nce(both, partner, None, rest, temperature=0.1)
    torch.testing.assert_close(loss, contrastive.nt_xent(one, other, temperature=0.1))


def test_decorrelated_equal_views_cost_nothing():
    hadamard = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    assert non_contrastive.barlow_twins(hadamard, hadamard) < 1e-9
    assert non_contrastive.vicreg(hadamard, hadamard) < 1e-9
    collapsed = torch.ones(4, 3, dtype=torch.float64)
    assert non_contrastive.vicreg(collapsed, collapsed) == pytest.approx(25 * 0.99)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(2, 5))
def test_assignments_share_the_samples_among_the_prototypes(seed, samples, prototypes):
    scores = torch.tanh(vectors(seed, samples, prototypes))
    shares = non_contrastive.sinkhorn(scores, eps=0.5, rounds=200)
    torch.testing.assert_close(shares.sum(1), torch.ones(samples, dtype=torch.float64))
    even = torch.full((prototypes,), samples / prototypes, dtype=torch.float64)
    torch.testing.assert_close(shares.sum(0), even, rtol=1e-4, atol=1e-4)


def test_a_slow_lifted_structure_agrees():
    points, labels = vectors(3, 6, 4), torch.tensor([0, 0, 1, 1, 1, 2])
    total, pairs = 0.0, 0
    for i in range(6):
        for j in range(i + 1, 6):
            if labels[i] != labels[j]:
                continue
            near = sum(
                math.exp(1 - float((points[k] - points[n]).norm()))
                for k in (i, j)
                for n in range(6)
                if labels[n] != labels[k]
            )
            d = float((points[i] - points[j]).norm())
            total += max(0.0, math.log(near) + d) ** 2
            pairs += 1
    assert metric.lifted_structure(points, labels) == pytest.approx(total / pairs / 2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda a: contrastive.nt_xent(a[:1], a[:1], temperature=1), "1 places"),
        (lambda a: contrastive.nt_xent(a, a[:2], temperature=1), "shapes"),
        (lambda a: contrastive.info_nce(a, a, temperature=1), "no negatives"),
        (lambda a: contrastive.supervised(a[:, None], temperature=1), "no positive"),
        (lambda a: non_contrastive.barlow_twins(a[:1], a[:1]), "N > 1"),
        (lambda a: non_contrastive.decur((a, a), (a, a), common=5), "common 5: give 1 to 4"),
        (lambda a: non_contrastive.swapped_prediction([a], a), "another is needed"),
        (lambda a: metric.lifted_structure(a, torch.arange(3)), "a pair of one label"),
    ],
)
def test_what_cannot_be_told_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call(vectors(0, 3, 5))


def test_half_precision_is_computed_wide():
    one, other = vectors(0, 16, 8).bfloat16(), vectors(1, 16, 8).bfloat16()
    loss = contrastive.nt_xent(one, other, temperature=0.1)
    assert loss.dtype == torch.float32
