"""Intermediate numbers of the official code: logits, normalisers, single terms, single pairs."""

from __future__ import annotations

import pytest
import torch
from conformance import assert_conforms
from torch.nn import functional as F

from eo_contrast.objectives import contrastive, non_contrastive
from eo_contrast.pretrain.memory import Bank


def cosines_without_diagonal(vectors):
    """(2N, 2N - 1) with the partner first; the others in the order of the batch."""
    unit = F.normalize(vectors, dim=1)
    count = len(unit)
    partner = (torch.arange(count) + count // 2) % count
    every = torch.arange(count).expand(count, -1)
    others = every[(every != every.T) & (every != partner[:, None])].view(count, -1)
    return contrastive.logits_of_positive(unit, unit[partner], None, unit[others])


@pytest.mark.parametrize("number", range(5))
def test_simclr_s_logits(pretraining, number):
    data = pretraining("ntxent")
    logits = cosines_without_diagonal(torch.cat([data["z1"], data["z2"]]))
    logits = logits / data["taus"][number]
    wanted = data["logits_sthalles"][number]
    assert_conforms(logits[:, 0], wanted[:, 0], "of the positive")
    # That code orders the negatives otherwise.
    assert_conforms(logits[:, 1:].sort(1).values, wanted[:, 1:].sort(1).values, "of the others")
    target = torch.zeros(len(logits), dtype=torch.long)
    assert_conforms(F.cross_entropy(logits, target), data["loss_sthalles"][number], "loss")


@pytest.mark.parametrize("number", range(2))
def test_each_anchor_of_the_dual_encoder_loss(pretraining, number):
    data = pretraining("s1s2_dual_ntxent")
    logits = cosines_without_diagonal(torch.cat([data["f_s1"], data["f_s2"]]))
    logits = logits / data["taus"][number]
    wanted = data["logits"][number]
    assert_conforms(logits.sort(1).values, wanted.sort(1).values, "logits")
    target = torch.zeros(len(logits), dtype=torch.long)
    each = F.cross_entropy(logits, target, reduction="none")
    assert_conforms(each, data["per_anchor"][number], "of each anchor")


def test_swav_s_prototypes_move_along_the_sphere(pretraining):
    data = pretraining("swav")
    assert_conforms(F.normalize(data["prototypes_init"], dim=1), data["prototypes_normalized"])
    prototypes = data["prototypes_init"].requires_grad_()
    crops = [data[f"h{number}"] for number in range(3)]
    loss = non_contrastive.swapped_prediction(crops, prototypes)
    (found,) = torch.autograd.grad(loss, prototypes)
    # The official gradient is behind the normalisation: it lacks the projection and the length.
    unit, official = data["prototypes_normalized"], data["grad_prototypes"]
    along = (official * unit).sum(1, keepdim=True) * unit
    length = data["prototypes_init"].norm(dim=1, keepdim=True)
    assert_conforms(found, (official - along) / length, "gradient")


def test_the_terms_of_decur(pretraining):
    data = pretraining("decur")
    first, second = (data["z1_1"], data["z1_2"]), (data["z2_1"], data["z2_2"])
    for number, views in enumerate((first, second), start=1):
        loss = non_contrastive.barlow_twins(*views)
        assert_conforms(loss, data[f"loss{number}"], f"sensor {number}")
    common = int(data["dim_common"])
    parts = (slice(None, common), 1.0), (slice(common, None), 0.0)
    found = []
    for columns, diagonal in parts:
        views = first[0][:, columns], second[0][:, columns]
        own = torch.diagonal(non_contrastive.cross_correlation(*views))
        on = (own - diagonal).square().sum()
        both = non_contrastive.barlow_twins(*views, diagonal=diagonal)
        found += [both, on, (both - on) / non_contrastive.BARLOW_LAMBDA]
    terms = data["cross_terms"]
    assert_conforms(torch.stack(found), terms, "terms across sensors")
    assert_conforms((found[0] + found[3]) / 2, data["loss12"], "across sensors")


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("view", ["l", "ab"])
def test_cmc_s_softmax_of_two_views(pretraining, step, view):
    data = pretraining("cmc_two_view_softmax")
    other = {"l": "ab", "ab": "l"}[view]
    before = f"memory_{other}_init" if step == 0 else f"step{step - 1}_memory_{other}"
    vectors = data[f"step{step}_h_{view}"].requires_grad_()
    rows = data[before][data[f"step{step}_idx"]]
    logits = contrastive.logits_of_positive(vectors, vectors, None, rows)[:, 1:] / data["T"]
    assert_conforms(logits, data[f"step{step}_out_{view}"], "logits")
    loss = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    loss.backward()
    assert_conforms(vectors.grad, data[f"step{step}_grad_h_{view}"], "gradient")


def test_each_pair_of_three_views_has_its_own_normalisers(pretraining):
    data = pretraining("cmc_three_view_nce")
    banks = [Bank(data[f"memory{view}_init"]) for view in range(3)]
    kept = {}
    for step in range(2):
        start = f"step{step}_"
        for pair in ((0, 1), (0, 2), (1, 2)):
            for anchor, other in (pair, pair[::-1]):
                scores, kept[anchor, other] = contrastive.normalised_scores(
                    data[f"{start}h{anchor}"],
                    banks[other].vectors[data[f"{start}idx"]],
                    temperature=data["T"].item(),
                    normaliser=kept.get((anchor, other)),
                    data_size=int(data["n_data"]),
                )
                loss = contrastive.noise_contrastive(scores, data_size=int(data["n_data"]))
                name = f"{pair[0]}{pair[1]}"
                assert_conforms(loss, data[f"{start}loss_{name}_anchor{anchor}"], f"loss {name}")
            constants = torch.stack([kept[pair], kept[pair[::-1]]])
            assert_conforms(constants, data[f"{start}Z_{name}"], f"Z of {name}")
        for view, bank in enumerate(banks):
            bank.update(data[f"{start}y"], F.normalize(data[f"{start}h{view}"], dim=1))


def test_the_scores_of_instance_discrimination(pretraining):
    data = pretraining("instdisc")
    bank = Bank(data["memory_init"])
    for step in range(3):
        start = f"step{step}_"
        scores, bank.normaliser = contrastive.normalised_scores(
            data[f"{start}h"],
            bank.vectors[data[f"{start}idx"]],
            temperature=data["T"].item(),
            normaliser=bank.normaliser,
            data_size=int(data["n_data"]),
        )
        assert_conforms(scores, data[f"{start}out"], "scores")
        assert_conforms(bank.normaliser, data[f"{start}Z"], "Z")
        bank.update(data[f"{start}y"], F.normalize(data[f"{start}h"], dim=1))
