"""Losses of classes: against torch and segmentation-models-pytorch, and as sums of parts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segmentation_models_pytorch.losses import DiceLoss, FocalLoss
from torch.nn import functional as F

from eo_contrast.objectives.segmentation import (
    binary_focal_loss,
    dice_loss,
    dice_sums,
    focal_sums,
    shared_focal_sums,
)

IGNORED = 255


def maps(seed: int = 0, *, count: int = 3, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, 5, 6, generator=generator, dtype=torch.float64) * 2
    labels = torch.randint(0, classes, (count, 5, 6), generator=generator)
    return logits, labels.masked_fill(torch.rand(labels.shape, generator=generator) < 0.2, IGNORED)


def mean(sums: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return sums[0] / sums[1]


def test_without_gamma_it_is_cross_entropy():
    logits, labels = maps()
    torch.testing.assert_close(
        mean(focal_sums(logits, labels, ignore=IGNORED)),
        F.cross_entropy(logits, labels, ignore_index=IGNORED),
    )


def test_weights_are_torchs():
    logits, labels = maps()
    weights = torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(
        mean(focal_sums(logits, labels, weights=weights, ignore=IGNORED)),
        F.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORED),
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_is_its_equation(gamma):
    logits, labels = maps()
    there = labels != IGNORED
    told = logits.softmax(1).movedim(1, -1)[there]
    right = told[torch.arange(len(told)), labels[there]]
    by_hand = (-((1 - right) ** gamma) * right.log()).mean()
    ours = mean(focal_sums(logits, labels, gamma=gamma, ignore=IGNORED))
    torch.testing.assert_close(ours, by_hand)


def test_places_are_maps_of_one_pixel():
    logits, labels = maps()
    torch.testing.assert_close(
        focal_sums(logits[:, :, 0, 0], labels[:, 0, 0], gamma=2.0, ignore=IGNORED),
        focal_sums(logits[:, :, :1, :1], labels[:, :1, :1], gamma=2.0, ignore=IGNORED),
    )


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_several_labels_are_as_segmentation_models_has_them(gamma):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    present = (torch.rand(7, 5, generator=generator) < 0.4).double()
    other = FocalLoss("multilabel", gamma=gamma)(logits, present)
    torch.testing.assert_close(binary_focal_loss(logits, present, gamma=gamma), other)


def test_weights_of_several_labels_are_torchs_of_presence():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    present = (torch.rand(7, 3, generator=generator) < 0.4).double()
    weights = torch.tensor([3.0, 1.0, 0.25], dtype=torch.float64)
    torch.testing.assert_close(
        binary_focal_loss(logits, present, weights=weights),
        F.binary_cross_entropy_with_logits(logits, present, pos_weight=weights),
    )


def test_dice_is_as_segmentation_models_has_it():
    logits, labels = maps()
    ours = dice_loss(dice_sums(logits, labels, ignore=IGNORED))
    other = DiceLoss("multiclass", ignore_index=IGNORED)(logits, labels)
    # Theirs is a mean over all classes, with 0 for those that labels lack; here none is lacking.
    torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)


def test_dice_leaves_out_classes_that_no_label_has():
    logits, labels = maps()
    labels = labels.where(labels == IGNORED, labels % 2)
    sums = dice_sums(logits, labels, ignore=IGNORED)
    both, told, true = sums
    by_hand = (1 - 2 * both[:2] / (told[:2] + true[:2])).mean()
    torch.testing.assert_close(dice_loss(sums), by_hand)


def test_what_is_told_for_certain_costs_nothing():
    _, labels = maps()
    labels = labels.where(labels != IGNORED, 0)
    logits = 200 * F.one_hot(labels, 4).movedim(-1, 1).double()
    assert dice_loss(dice_sums(logits, labels)) < 1e-6
    assert mean(focal_sums(logits, labels, gamma=2.0)) < 1e-6


def test_nothing_that_counts_costs_nothing():
    logits, labels = maps()
    logits.requires_grad_()
    nothing = torch.full_like(labels, IGNORED)
    total, weight = focal_sums(logits, nothing, gamma=2.0, ignore=IGNORED)
    loss = total + dice_loss(dice_sums(logits, nothing, ignore=IGNORED))
    loss.backward()
    assert loss == weight == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@given(seed=st.integers(0, 999), cut=st.integers(1, 3), gamma=st.floats(0, 4))
def test_sums_of_parts_are_those_of_the_whole(seed, cut, gamma):
    logits, labels = maps(seed, count=4)
    parts = [(logits[:cut], labels[:cut]), (logits[cut:], labels[cut:])]
    torch.testing.assert_close(
        sum(dice_sums(*each, ignore=IGNORED) for each in parts),
        dice_sums(logits, labels, ignore=IGNORED),
    )
    totals = [focal_sums(*each, gamma=gamma, ignore=IGNORED) for each in parts]
    together = tuple(map(sum, zip(*totals, strict=True)))
    torch.testing.assert_close(together, focal_sums(logits, labels, gamma=gamma, ignore=IGNORED))


@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_gradients_are_right(gamma):
    logits, labels = maps(count=1)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda given: mean(focal_sums(given, labels, gamma=gamma, ignore=IGNORED)), logits
    )
    assert torch.autograd.gradcheck(
        lambda given: dice_loss(dice_sums(given, labels, ignore=IGNORED)), logits
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_plain_labels_as_shares_are_plain_labels(gamma):
    torch.manual_seed(3)
    logits, labels = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2, 0])
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    shares = torch.nn.functional.one_hot(labels, 4) * weights
    found = shared_focal_sums(logits, shares, gamma=gamma)
    torch.testing.assert_close(found, focal_sums(logits, labels, gamma=gamma, weights=weights))


@pytest.mark.parametrize("true", [0, 1])
def test_what_is_told_for_sure_has_a_finite_slope(true):
    logits = torch.tensor([[0.0, 200.0, 0.0]], requires_grad=True)
    labels = torch.tensor([true])
    shares = torch.nn.functional.one_hot(labels, 3).float()
    for total, _ in (
        focal_sums(logits, labels, gamma=0.5),
        shared_focal_sums(logits, shares, gamma=0.5),
    ):
        (slope,) = torch.autograd.grad(total, logits)
        assert slope.isfinite().all()
