"""Alignment, uniformity, rank, spread and nearest neighbours against the official code."""

from __future__ import annotations

import math

import pytest
import torch
from conformance import assert_conforms

from eo_contrast.evaluate.neighbours import nearest_neighbours
from eo_contrast.pretrain import monitor


def test_alignment_uniformity_rank_and_spread(pretraining):
    data = pretraining("monitoring")
    one, other = data["z1"], data["z2"]
    assert_conforms(monitor.alignment(one, other), data["align_alpha2"], "alpha 2")
    assert_conforms(monitor.alignment(one, other, power=1), data["align_alpha1"], "alpha 1")
    assert_conforms(monitor.uniformity(one), data["uniform_t2_z1"], "z1")
    assert_conforms(monitor.uniformity(other), data["uniform_t2_z2"], "z2")
    assert_conforms(monitor.rank_me(data["rank_Z"]), data["rankme_eps1e7"], "rank")
    spread = data["std_per_dim_normalized"].mean().item()
    assert monitor.deviation(one) == pytest.approx(spread, rel=1e-9)


@pytest.mark.parametrize("neighbours", [1, 5, 20])
def test_nearest_neighbours(pretraining, neighbours):
    data = pretraining("knn")
    scores = nearest_neighbours(
        data["query"],
        data["bank"],
        data["bank_labels"],
        classes=int(data["num_classes"]),
        neighbours=neighbours,
        temperature=data["T"].item(),
    )
    assert_conforms(scores, data[f"scores_k{neighbours}"], "scores")
    assert torch.equal(scores.argmax(1), data[f"pred_order_k{neighbours}"][:, 0])


def test_collapse_and_chance_are_what_they_are_said_to_be():
    collapsed = torch.ones(64, 8)
    assert monitor.uniformity(collapsed) == pytest.approx(0, abs=1e-6)
    assert monitor.deviation(collapsed) == pytest.approx(0, abs=1e-6)
    assert monitor.rank_me(collapsed) == pytest.approx(1, abs=0.01)
    whole = torch.eye(8).repeat(4, 1)
    assert monitor.rank_me(whole) == pytest.approx(8, rel=1e-4)
    assert monitor.information_bound(0.0, 16) == monitor.chance(16) == math.log(16)
