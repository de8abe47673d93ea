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
