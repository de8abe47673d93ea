"""What a run is told of its spaces: chance, collapse, spread, in numbers and in words."""

from __future__ import annotations

import math

import pytest
import torch

from eo_contrast.pretrain.engine import Losses
from eo_contrast.pretrain.graph import Graph
from eo_contrast.pretrain.observe import faults_of, observed, warnings_of
from eo_contrast.pretrain.spaces import Remembered, Seen, chance, space_loss

GRAPH = Graph.model_validate(
    {
        "views": {"a": {"augment": "full"}, "b": {"augment": "full"}},
        "spaces": {"instance": {"objective": "nt_xent", "pairs": [["a", "b"]]}},
    }
)
SPACE = GRAPH.spaces["instance"]


def facts_of(one: torch.Tensor, other: torch.Tensor) -> dict[str, float]:
    vectors = {"a": one, "b": other}
    seen = Seen(vectors, vectors, torch.arange(len(one)), {}, {})
    loss = space_loss(SPACE, seen, Remembered())
    return observed(GRAPH, Losses(loss, {"instance": loss}, {"instance": seen}, {}))


def vectors(count: int = 64, width: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_a_point_is_collapsed_and_no_better_than_a_guess():
    facts = facts_of(torch.ones(64, 32), torch.ones(64, 32))
    assert facts["over_chance/instance"] == pytest.approx(1)
    assert facts["spread/instance"] == pytest.approx(0, abs=1e-6)
    assert facts["uniformity/instance"] == pytest.approx(0, abs=1e-5)
    (line,) = warnings_of(facts, GRAPH)
    assert line.startswith("space instance: collapsed, all vectors are nearly one point")


def test_vectors_all_over_the_sphere_that_agree_are_well():
    facts = facts_of(vectors(), vectors())
    assert facts["found/instance"] == 1
    assert facts["positive/instance"] == pytest.approx(1)
    assert facts["alignment/instance"] == pytest.approx(0, abs=1e-6)
    assert 0.95 < facts["spread/instance"] < 1.05
    assert facts["uniformity/instance"] < -2
    assert warnings_of(facts, GRAPH) == []


def test_positives_that_are_others_are_worse_than_a_guess():
    facts = facts_of(vectors(), vectors().roll(1, 0))
    assert list(faults_of(facts, GRAPH)) == ["worse/instance"]


def test_the_bound_on_information_is_chance_less_loss():
    facts = facts_of(vectors(), vectors())
    guess = chance(SPACE, 64, 32)
    assert guess == pytest.approx(math.log(127))
    assert facts["bound/instance"] == pytest.approx(guess * (1 - facts["over_chance/instance"]))
