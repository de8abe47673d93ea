"""LARS against the classes of Barlow Twins and MoCo v3."""

from __future__ import annotations

import pytest
import torch
from conformance import assert_conforms

from eo_contrast.training.lars import Lars


@pytest.mark.parametrize("code", ["barlow", "mocov3"])
def test_three_steps(pretraining, code):
    data = pretraining("lars")
    weight, bias = (torch.nn.Parameter(data[f"{name}_init"].clone()) for name in ("w", "b"))
    optimizer = Lars(
        [weight, bias],
        lr=data["lr"].item(),
        weight_decay=data["weight_decay"].item(),
        momentum=data["momentum"].item(),
        trust=data["eta"].item(),
    )
    for step in range(3):
        weight.grad, bias.grad = (data[f"step{step}_grad{number}"] for number in (0, 1))
        optimizer.step()
        assert_conforms(weight, data[f"{code}_step{step}_w"], "weight")
        assert_conforms(bias, data[f"{code}_step{step}_b"], "bias")


def test_a_closure_gives_the_loss_and_its_gradient():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = Lars([weight], lr=1.0)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return float(loss)

    assert optimizer.step(closure) == 4
    assert (weight < 1).all()
