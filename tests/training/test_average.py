"""A moving average of weights."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.training.average import follow


def net_of(value: float) -> torch.nn.Module:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        net[0].weight.fill_(value)
        net[1].running_mean.fill_(value)
        net[1].num_batches_tracked.fill_(int(value))
    return net


def test_the_first_steps_are_followed_closely():
    averaged, net = net_of(0), net_of(10)
    follow(averaged, net, 0.999, 0)
    assert averaged[0].weight.tolist() == [[9.0, 9.0]] * 2  # d is 1 / 10
    assert averaged[1].running_mean.tolist() == [9.0, 9.0]
    assert int(averaged[1].num_batches_tracked) == 10


def test_later_it_moves_by_the_decay():
    averaged, net = net_of(0), net_of(10)
    follow(averaged, net, 0.9, 10_000)
    assert averaged[0].weight[0, 0].item() == pytest.approx(1.0)
    assert net[0].weight[0, 0].item() == 10.0
