"""Heads behind a trunk: which layers they have, and how they begin."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, sampled_from
from torch import nn

from eo_contrast.errors import InputError
from eo_contrast.nets.projectors import (
    Norm,
    ProjectorConfig,
    build_projector,
    first_layers,
    width_after,
)


def kinds(head: nn.Sequential) -> list[str]:
    return [type(module).__name__ for module in head]


def test_the_default_is_the_head_of_moco_v2() -> None:
    head = build_projector(ProjectorConfig(), 512, seed=0)
    assert kinds(head) == ["Linear", "ReLU", "Linear"]
    assert [tuple(each.weight.shape) for each in head if isinstance(each, nn.Linear)] == [
        (512, 512),
        (128, 512),
    ]


def test_without_hidden_layers_it_is_one_linear_layer() -> None:
    assert kinds(build_projector(ProjectorConfig(hidden=()), 8, seed=0)) == ["Linear"]


def test_norms_stand_before_relu_and_at_the_end() -> None:
    config = ProjectorConfig(hidden=(6, "in"), out=4, norm=True, norm_last="affine")
    assert kinds(build_projector(config, 8, seed=0)) == [
        *("Linear", "BatchNorm1d", "ReLU"),
        *("Linear", "BatchNorm1d", "ReLU"),
        *("Linear", "BatchNorm1d"),
    ]


def test_the_width_of_the_input_can_be_a_hidden_one() -> None:
    head = build_projector(ProjectorConfig(hidden=(6, "in")), 8, seed=0)
    assert [each.out_features for each in head if isinstance(each, nn.Linear)] == [6, 8, 128]


@pytest.mark.parametrize(("norm_last", "affine"), [("affine", True), ("plain", False)])
def test_the_last_norm_has_scale_and_shift_or_neither(norm_last: Norm, affine: bool) -> None:
    head = build_projector(ProjectorConfig(norm_last=norm_last), 8, seed=0)
    assert isinstance(head[-1], nn.BatchNorm1d)
    assert head[-1].affine is affine


def test_biases_can_be_left_out() -> None:
    config = ProjectorConfig(bias_hidden=False, bias_last=False)
    head = build_projector(config, 8, seed=0)
    assert all(each.bias is None for each in head if isinstance(each, nn.Linear))


@given(
    hidden=lists(integers(1, 5) | sampled_from(["in"]), max_size=3),
    norm=booleans(),
    norm_last=sampled_from(["none", "affine", "plain"]),
)
def test_it_goes_from_the_trunks_width_to_its_own(
    hidden: list[int], norm: bool, norm_last: Norm
) -> None:
    config = ProjectorConfig(hidden=tuple(hidden), out=3, norm=norm, norm_last=norm_last)
    head = build_projector(config, 4, seed=0)
    assert head(torch.randn(5, 4)).shape == (5, 3)
    assert width_after(head, 4) == 3


def test_a_seed_decides_the_weights_and_torchs_state_does_not() -> None:
    torch.manual_seed(1)
    first = build_projector(ProjectorConfig(), 8, seed=5)
    torch.manual_seed(2)
    second = build_projector(ProjectorConfig(), 8, seed=5)
    assert all(
        torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items()
    )


def test_the_first_layer_of_three_ends_with_its_relu() -> None:
    config = ProjectorConfig(hidden=("in", "in"), norm=True, norm_last="affine")
    head = build_projector(config, 8, seed=0)
    assert kinds(first_layers(head, 1)) == ["Linear", "BatchNorm1d", "ReLU"]
    assert width_after(first_layers(head, 1), 8) == 8


@pytest.mark.parametrize(("count", "modules"), [(0, 0), (1, 2), (2, 3)])
def test_layers_are_kept_from_the_first(count: int, modules: int) -> None:
    head = build_projector(ProjectorConfig(), 8, seed=0)
    assert list(first_layers(head, count)) == list(head)[:modules]


def test_no_layers_leave_the_width_as_it_was() -> None:
    assert width_after(nn.Sequential(), 8) == 8


@pytest.mark.parametrize("count", [-1, 3])
def test_more_layers_than_there_are_cannot_be_kept(count: int) -> None:
    with pytest.raises(InputError, match=f"{count} layers of a projector: it has 2; give 0 to 2"):
        first_layers(build_projector(ProjectorConfig(), 8, seed=0), count)
