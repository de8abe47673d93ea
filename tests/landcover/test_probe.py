"""Probes of frozen features: the minimum of their objective, chosen on validation alone."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.landcover.probe import (
    GRADIENT_TOLERANCE,
    WEIGHT_DECAYS,
    Labelled,
    knn_predict,
    linear_probe,
    objective,
    standardiser,
)

CLASSES, WIDTH = 3, 5


def clusters(count: int, seed: int, spread: float = 0.3) -> Labelled:
    """Places around one centre a class."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(CLASSES, (count,), generator=generator)
    noise = torch.randn(count, WIDTH, generator=generator)
    return Labelled(10 + centres[targets] + spread * noise, targets)


def test_clusters_apart_are_told_apart():
    train, validation, test = (clusters(count, seed) for count, seed in ((90, 1), (30, 2), (60, 3)))
    probe = linear_probe(train, validation, classes=CLASSES)
    assert (probe(test.features).argmax(1) == test.targets).float().mean() > 0.95
    votes = knn_predict(train, test.features, classes=CLASSES)
    assert (votes.argmax(1) == test.targets).float().mean() > 0.95
    torch.testing.assert_close(votes.sum(1), torch.ones(60, dtype=votes.dtype))


def test_the_fit_ends_where_the_gradient_is_nought():
    probe = linear_probe(clusters(90, 1), clusters(30, 2), classes=CLASSES, decays=[0.01])
    assert probe.gradient <= 2 * GRADIENT_TOLERANCE


def test_without_features_the_bias_is_the_logarithm_of_the_shares():
    targets = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    train = Labelled(torch.zeros(100, 2), targets)
    shares = linear_probe(train, train, classes=CLASSES, decays=[0.1])(torch.zeros(1, 2))
    torch.testing.assert_close(
        shares[0], torch.tensor([0.6, 0.3, 0.1], dtype=shares.dtype), rtol=0, atol=1e-4
    )


def test_of_decays_with_one_score_the_surest_on_validation_is_taken():
    train, validation = clusters(90, 1, 0.01), clusters(30, 2, 0.01)
    probe = linear_probe(train, validation, classes=CLASSES)
    equal = [decay for decay in WEIGHT_DECAYS if probe.validation[decay] == 1]
    assert probe.validation[probe.weight_decay] == 1
    assert probe.weight_decay < max(equal)
    chosen = -probe(validation.features).log()[torch.arange(30), validation.targets].mean()
    strong = linear_probe(train, validation, classes=CLASSES, decays=[max(equal)])
    assert chosen < -strong(validation.features).log()[torch.arange(30), validation.targets].mean()


def test_scale_and_shift_of_features_do_not_matter():
    train, validation, test = (clusters(count, seed) for count, seed in ((90, 1), (30, 2), (60, 3)))
    scale = torch.tensor([1.0, 10, 100, 1000, 1e4])
    moved = [Labelled(part.features * scale - 7, part.targets) for part in (train, validation)]
    one = linear_probe(train, validation, classes=CLASSES)(test.features)
    other = linear_probe(*moved, classes=CLASSES)(test.features * scale - 7)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def test_a_constant_feature_counts_for_nothing():
    features = torch.cat([torch.randn(50, 2), torch.full((50, 1), 3.0)], dim=1)
    assert (standardiser(features)(features)[:, 2] == 0).all()


def test_several_labels_are_each_by_itself():
    train, validation = clusters(90, 1), clusters(40, 2)
    several = [
        Labelled(part.features, torch.stack([part.targets == 0, part.targets > 0], 1).long())
        for part in (train, validation)
    ]
    probe = linear_probe(*several, classes=2)
    found = probe(validation.features) > 0.5
    assert (found == several[1].targets.bool()).float().mean() > 0.95


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_objective_is_mean_cross_entropy_and_decay(multi_label):
    layer = torch.randn(CLASSES, 3, dtype=torch.float64)
    features = torch.randn(4, 2, dtype=torch.float64)
    targets = torch.tensor([0, 1, 2, 1])
    logits = features @ layer[:, :2].T + layer[:, 2]
    if multi_label:
        targets = torch.nn.functional.one_hot(targets, CLASSES)
        share = logits.sigmoid()
        own = torch.where(targets.bool(), share, 1 - share)
        wanted = -own.log().sum(1).mean()
    else:
        wanted = -logits.log_softmax(1)[torch.arange(4), targets].mean()
    wanted = wanted + 0.05 * layer[:, :2].square().sum()
    torch.testing.assert_close(objective(layer, features, targets, 0.1), wanted)


def test_no_layer_near_by_is_better():
    train = clusters(90, 1)
    probe = linear_probe(train, clusters(30, 2), classes=CLASSES, decays=[0.01])
    layer = torch.cat([probe.weights, probe.bias[:, None]], dim=1)
    seen = probe.standardise(train.features)
    least = objective(layer, seen, train.targets, 0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        moved = layer + 0.01 * torch.randn(layer.shape, generator=generator, dtype=layer.dtype)
        assert objective(moved, seen, train.targets, 0.01) > least


def test_a_strong_decay_makes_weights_small():
    train = clusters(90, 1)
    strong, weak = (
        linear_probe(train, train, classes=CLASSES, decays=[decay]).weights.norm()
        for decay in (10.0, 1e-3)
    )
    assert strong < 0.1 * weak


def test_two_fits_are_equal_to_the_bit():
    train, validation = clusters(90, 1), clusters(30, 2)
    one, other = (linear_probe(train, validation, classes=CLASSES) for _ in range(2))
    assert torch.equal(one.weights, other.weights)


def test_a_neighbour_of_several_labels_votes_for_each():
    train = Labelled(torch.eye(3), torch.tensor([[1, 1], [0, 1], [0, 0]]))
    shares = knn_predict(train, torch.eye(3)[:1], classes=2, neighbours=1)
    assert shares.tolist() == [[1.0, 1.0]]


def test_features_are_standardised_by_the_training_places():
    standardise = standardiser(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert standardise(torch.tensor([[4.0, 9.0]])).tolist() == [[2.0, 0.0]]
