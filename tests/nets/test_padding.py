"""Padding equals the library's in value, gradient and second derivative, and keeps nothing."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from eo_contrast.nets.padding import reflect, replicate

KINDS = [(reflect, "reflect"), (replicate, "replicate")]


@pytest.mark.parametrize(("pad", "mode"), KINDS)
@pytest.mark.parametrize("width", [0, 1, 3])
def test_value_and_gradient_are_the_librarys(pad, mode, width):
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 6, 5, generator=draws, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(True), x.clone().requires_grad_(True)
    padded, wanted = pad(ours, width), F.pad(theirs, (width,) * 4, mode=mode)
    assert torch.equal(padded, wanted)
    cotangent = torch.randn(wanted.shape, generator=draws, dtype=torch.float64)
    padded.backward(cotangent)
    wanted.backward(cotangent)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("pad", "mode"), KINDS)
def test_gradient_can_be_differentiated_again(pad, mode):
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: pad(x, 1).pow(3), (x,))


@pytest.mark.parametrize(("pad", "mode"), KINDS)
def test_no_tensor_is_kept_for_the_backward_pass(pad, mode):
    kept = []
    x = torch.randn(1, 2, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        pad(x, 1)
    assert kept == []
