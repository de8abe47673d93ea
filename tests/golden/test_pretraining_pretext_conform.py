"""Pretext tasks, and metric losses over all pairs of a batch, against the official code."""

from __future__ import annotations

import torch
from conformance import assert_conforms

from eo_contrast.objectives import contrastive, metric, pretext


def test_turns_are_counter_clockwise(pretraining):
    data = pretraining("pretext")
    image = data["rot_in"].permute(2, 0, 1)
    for quarters in range(4):
        found = pretext.turned(image, quarters).permute(1, 2, 0)
        assert torch.equal(found, data[f"rot_{90 * quarters}"])


def test_neighbours_are_numbered_row_by_row(pretraining):
    data = pretraining("pretext")
    assert torch.equal(torch.tensor(pretext.NEIGHBOURS), data["rel_offsets_row_col"])
    assert torch.equal(pretext.opposite(torch.arange(8)), data["rel_opposite"])
    grid = data["rel_label_grid"]
    for label, (row, column) in enumerate(pretext.NEIGHBOURS):
        assert grid[1 + row, 1 + column] == label


def test_the_permutations_of_the_greedy_rule(pretraining):
    data = pretraining("pretext")
    found = pretext.permutation_set(64)
    assert torch.equal(found, data["jigsaw_greedy64_from_identity"])
    distances = hamming(found)
    assert distances.min() == data["jigsaw_greedy64_hamming_min"]
    assert distances.double().mean() == data["jigsaw_greedy64_hamming_mean"]


def test_a_thousand_permutations_are_no_worse_than_those_published(pretraining):
    data = pretraining("pretext")
    found = pretext.permutation_set(int(data["jigsaw_unique"]))
    assert len(found.unique(dim=0)) == len(found)
    assert hamming(found).double().mean() >= data["jigsaw_hamming_mean"]


def hamming(permutations):
    """Distances of all pairs."""
    first, second = torch.triu_indices(len(permutations), len(permutations), offset=1)
    return (permutations[first] != permutations[second]).sum(1)


def check(pretraining, loss_of, name):
    data = pretraining("metric_losses")
    vectors = data["emb"].requires_grad_()
    loss = loss_of(vectors, data["labels"])
    assert_conforms(loss, data[f"{name}_loss"], name)
    loss.backward()
    assert_conforms(vectors.grad, data[f"{name}_grad"], f"gradient of {name}")


def test_the_margin_of_all_pairs(pretraining):
    check(pretraining, metric.margin_of_pairs, "contrastive_pml")


def test_all_triplets(pretraining):
    def loss(vectors, labels):
        return metric.triplets_of_batch(vectors, labels, margin=0.2)

    check(pretraining, loss, "triplet_pml_all_m0.2")


def test_lifted_structure(pretraining):
    check(pretraining, metric.lifted_structure, "lifted_pml")


def test_generalised_lifted_structure(pretraining):
    check(pretraining, metric.generalised_lifted_structure, "lifted_generalized_pml")


def test_supervised_contrast_of_one_view(pretraining):
    def loss(vectors, labels):
        # Without the factor tau / tau_0.
        views = vectors[:, None]
        return contrastive.supervised(views, labels, temperature=0.1, base_temperature=0.1)

    check(pretraining, loss, "supcon_pml_t0.1")
