"""Votes of nearest neighbours."""

from __future__ import annotations

import math

import pytest
import torch

from eo_contrast.evaluate import neighbours
from eo_contrast.evaluate.neighbours import nearest_neighbours, neighbour_votes

AXES = torch.eye(3)


def test_one_neighbour_gives_its_class_the_weight_of_its_cosine():
    scores = nearest_neighbours(
        torch.tensor([[5.0, 0.0, 0.0]]), AXES, torch.tensor([2, 0, 1]), classes=3, neighbours=1
    )
    assert scores.tolist() == [[0.0, 0.0, pytest.approx(math.exp(1 / 0.07), rel=1e-5)]]


def test_a_vector_is_no_neighbour_of_its_own():
    scores = nearest_neighbours(
        AXES, AXES, torch.tensor([0, 1, 2]), classes=3, neighbours=2, bank_is_queries=True
    )
    assert scores.diagonal().tolist() == [0.0, 0.0, 0.0]


def test_of_more_neighbours_than_there_are_all_vote():
    scores = nearest_neighbours(AXES, AXES, torch.tensor([0, 1, 1]), classes=2, neighbours=20)
    assert (scores > 0).all()


def test_a_neighbour_of_several_classes_votes_for_each():
    votes = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 0]])
    scores = neighbour_votes(AXES[:1], AXES, votes, neighbours=1)
    assert scores[0, 0] == scores[0, 1] > 0
    assert scores[0, 2] == 0


def test_queries_are_scored_the_same_in_parts(monkeypatch):
    vectors = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 3
    whole = nearest_neighbours(vectors, vectors, labels, classes=3, bank_is_queries=True)
    monkeypatch.setattr(neighbours, "ROWS_AT_ONCE", 7)
    parts = nearest_neighbours(vectors, vectors, labels, classes=3, bank_is_queries=True)
    torch.testing.assert_close(parts, whole)
