"""Convolutions to and from few bands give what the library's own give, in every layout."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from eo_contrast.nets.few_bands import FEW, ConvFromFew, ConvToFew

KERNEL = st.integers(1, 7)
SIZES = {
    "batch": st.integers(1, 3),
    "few": st.integers(1, FEW + 1),
    "many": st.integers(1, 8),
    "kernel": KERNEL,
    "more": st.tuples(st.integers(0, 5), st.integers(0, 5)),
}


def gradients(conv, x):
    """Output, and the gradients of input, weight and bias under a fixed random gradient."""
    x = x.detach().requires_grad_()
    output = conv(x)
    draws = torch.Generator().manual_seed(1)
    output.backward(torch.randn(output.shape, generator=draws, dtype=output.dtype))
    return output.detach(), x.grad, conv.weight.grad, conv.bias.grad


def pair_of(kind, into, out, kernel, dtype=torch.float64):
    torch.manual_seed(0)
    ours = kind(into, out, kernel).to(dtype)
    library = nn.Conv2d(into, out, kernel).to(dtype)
    library.load_state_dict(ours.state_dict())
    return ours, library


@settings(deadline=None, max_examples=40)
@given(**SIZES, kind=st.sampled_from([ConvToFew, ConvFromFew]), layout=st.booleans())
def test_output_and_gradients_are_the_librarys(batch, few, many, kernel, more, kind, layout):
    into, out = (many, few) if kind is ConvToFew else (few, many)
    ours, library = pair_of(kind, into, out, kernel)
    x = torch.randn(batch, into, kernel + more[0], kernel + more[1], dtype=torch.float64)
    if layout:
        x = x.to(memory_format=torch.channels_last)
    for mine, theirs in zip(gradients(ours, x), gradients(library, x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kind", [ConvToFew, ConvFromFew])
def test_a_channels_last_gradient_does_no_harm(kind):
    into, out = (8, 3) if kind is ConvToFew else (3, 8)
    ours, library = pair_of(kind, into, out, 7)
    x = torch.randn(1, into, 12, 12, dtype=torch.float64)
    gradient = torch.randn(1, out, 6, 6, dtype=torch.float64).to(memory_format=torch.channels_last)
    for conv in (ours, library):
        y = x.clone().requires_grad_()
        conv(y).backward(gradient)
        conv.of_input = y.grad
    torch.testing.assert_close(ours.of_input, library.of_input, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.weight.grad, library.weight.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [ConvToFew, ConvFromFew])
def test_frozen_weights_get_no_gradient_and_the_input_still_does(kind):
    ours, _ = pair_of(kind, 3, 3, 5)
    ours.requires_grad_(False)
    x = torch.randn(1, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    ours(x).sum().backward()
    assert ours.weight.grad is None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [ConvToFew, ConvFromFew])
def test_under_autocast_the_library_computes(kind):
    into, out = (16, 3) if kind is ConvToFew else (3, 16)
    ours, library = pair_of(kind, into, out, 7, torch.float32)
    x = torch.randn(1, into, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        of_ours, of_library = gradients(ours, x), gradients(library, x)
    for mine, theirs in zip(of_ours, of_library, strict=True):
        assert torch.equal(mine, theirs)


def test_the_columns_are_used_where_the_inputs_gradient_is_asked_for():
    ours, _ = pair_of(ConvFromFew, 3, 8, 7)
    x = torch.randn(1, 3, 12, 12, dtype=torch.float64)
    assert "ConvFromFew" in type(ours(x.requires_grad_()).grad_fn).__name__


def test_hardly_an_operation_is_added():
    ours, library = pair_of(ConvToFew, 8, 3, 7, torch.float32)
    x = torch.randn(1, 8, 70, 70, requires_grad=True)
    counts = []
    for conv in (ours, library):
        with FlopCounterMode(display=False) as counter:
            conv(x).sum().backward()
        counts.append(counter.get_total_flops())
    # The columns beyond the edge: a little more, and proof that the library's kernel was not used.
    assert counts[1] < counts[0] <= 1.1 * counts[1]
