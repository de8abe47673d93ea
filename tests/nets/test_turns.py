"""The eight turns and mirrors of a square."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.nets.turns import TURNS, mean_over_turns

SQUARE = torch.arange(9.0).view(1, 1, 3, 3)


def test_the_eight_are_different():
    assert len({tuple(turn.of(SQUARE).flatten().tolist()) for turn in TURNS}) == 8


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_is_undone(turn):
    assert torch.equal(turn.undone(turn.of(SQUARE)), SQUARE)


def test_what_a_corner_gives_is_the_mean_of_four_corners():
    # Each corner comes to the top left in two of the eight.
    found = mean_over_turns(lambda images: images["a"][:, 0, 0, 0], {"a": SQUARE})
    assert found.tolist() == [(0 + 2 + 6 + 8) / 4]


def test_maps_are_turned_back():
    found = mean_over_turns(lambda images: images["a"] * 2, {"a": SQUARE}, maps=True)
    assert torch.equal(found, SQUARE * 2)


def test_sensors_are_turned_together():
    images = {"a": SQUARE, "b": -SQUARE}
    found = mean_over_turns(lambda seen: (seen["a"] + seen["b"]).abs().sum((1, 2, 3)), images)
    assert found.tolist() == [0.0]


def test_the_mean_does_not_change_when_the_images_are_turned():
    torch.manual_seed(0)
    net = torch.nn.Conv2d(2, 4, 3).double()
    image = torch.randn(2, 2, 5, 5, dtype=torch.float64)

    def compute(images):
        return net(images["a"]).relu().mean((2, 3))

    with torch.no_grad():
        upright = mean_over_turns(compute, {"a": image})
        for turn in TURNS:
            torch.testing.assert_close(mean_over_turns(compute, {"a": turn.of(image)}), upright)
