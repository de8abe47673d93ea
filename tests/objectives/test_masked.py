"""Patches hold every pixel once; a mask removes the same share of each image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.objectives import masked


def drawn(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LAYOUTS = ("row_column_channel", "channel_row_column")


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(LAYOUTS),
)
def test_patches_make_the_image_again(channels, patch, rows, columns, layout):
    images = drawn(rows * columns, 2, channels, rows * patch, columns * patch)
    patches = masked.patchify(images, patch, layout=layout)
    assert patches.shape == (2, rows * columns, channels * patch**2)
    again = masked.unpatchify(patches, patch, rows=rows, layout=layout)
    assert torch.equal(again, images)


def test_patches_are_numbered_row_by_row():
    images = torch.arange(24.0).reshape(1, 1, 4, 6)
    patches = masked.patchify(images, 2)
    assert patches[0, 1].tolist() == [2, 3, 8, 9]
    assert patches[0, 3].tolist() == [12, 13, 18, 19]


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 20), st.integers(1, 19), st.integers(0, 10**6))
def test_kept_tokens_return_to_their_places(number, kept, seed):
    kept = min(kept, number - 1)
    found = masked.masking(drawn(seed, 3, number), 1 - (kept + 0.5) / number)
    assert found.kept.shape == (3, kept)
    assert found.removed.sum(1).tolist() == [number - kept] * 3
    tokens, filler = drawn(seed, 3, number, 4), torch.full((4,), -1.0, dtype=torch.float64)
    whole = masked.filled_tokens(masked.kept_tokens(tokens, found), filler, found)
    assert torch.equal(whole, torch.where(found.removed[..., None], filler, tokens))


def test_equal_noise_keeps_the_first_patches():
    found = masked.masking(torch.zeros(1, 8), 0.75)
    assert found.kept.tolist() == [[0, 1]]


def test_predicting_zeros_costs_about_1_where_patches_are_standardised():
    patches = drawn(0, 4, 9, 48) * 30 + 500
    removed = masked.masking(drawn(1, 4, 9), 0.5).removed
    loss = masked.masked_reconstruction(patches * 0, patches, removed, standardised=True)
    assert loss == pytest.approx(47 / 48)


def test_kept_patches_cost_nothing():
    patches, prediction = drawn(0, 2, 4, 6), drawn(1, 2, 4, 6).requires_grad_()
    removed = torch.tensor([[True, False, False, False], [False, False, True, True]])
    loss = masked.masked_reconstruction(prediction, patches, removed)
    wanted = (prediction - patches)[removed].square().mean()
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    assert not prediction.grad[~removed].any()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: masked.patchify(torch.zeros(1, 1, 6, 8), 4), "4 px do not tile images of 6 x 8"),
        (lambda: masked.unpatchify(torch.zeros(1, 6, 4), 2), "6 patches of 4 values: not 2 x 2"),
        (lambda: masked.unpatchify(torch.zeros(1, 4, 5), 2), "4 patches of 5 values"),
        (lambda: masked.masking(torch.zeros(1, 4), 0.8), "ratio 0.8 keeps 0 of 4"),
        (lambda: masked.masking(torch.zeros(1, 4), 0), "ratio 0 keeps 4 of 4"),
        (
            lambda: masked.masked_reconstruction(
                torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), torch.zeros(1, 2) > 0
            ),
            "no patch is removed",
        ),
    ],
)
def test_what_cannot_be_masked_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
