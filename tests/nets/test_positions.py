"""Positions of patches: symmetric, farther is less, any number of heads."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.nets.positions import alibi, bias_between, sine_positions


def test_distances_are_in_patches_and_the_first_head_falls_fastest():
    bias = alibi(8, 3)[0]
    assert bias.shape == (8, 9, 9)
    assert torch.equal(bias, bias.mT)
    # From the upper left to the lower right corner: 2 rows and 2 columns.
    torch.testing.assert_close(bias[:, 0, 8], -(8**0.5) * 0.5 ** torch.arange(1, 9).double())


@pytest.mark.parametrize(
    ("heads", "powers"),
    [(1, [8]), (2, [4, 8]), (3, [4, 8, 2]), (6, [2, 4, 6, 8, 1, 3]), (12, [*range(1, 9), 0.5])],
)
def test_slopes_of_heads_that_are_no_power_of_two(heads, powers):
    slopes = -alibi(heads, 2)[0, :, 0, 1]
    assert len(slopes) == heads
    assert slopes[: len(powers)].tolist() == pytest.approx([2.0**-p for p in powers])


def test_a_bias_between_some_patches_is_that_of_their_numbers():
    bias = alibi(2, 3)[0]
    queries, keys = torch.tensor([[4, 0], [8, 1]]), torch.tensor([[1, 5, 2], [0, 8, 7]])
    some = bias_between(bias, queries, keys)
    assert some.shape == (2, 2, 2, 3)
    for image, head, query, key in torch.cartesian_prod(*(torch.arange(n) for n in some.shape)):
        wanted = bias[head, queries[image, query], keys[image, key]]
        assert some[image, head, query, key] == wanted


def test_half_the_width_tells_columns_and_half_rows():
    positions = sine_positions(8, 3)
    assert positions.shape == (9, 8)
    grid = positions.reshape(3, 3, 8)
    assert torch.equal(grid[0, :, :4], grid[2, :, :4])
    assert torch.equal(grid[:, 0, 4:], grid[:, 2, 4:])
    assert len(positions.unique(dim=0)) == 9


def test_a_class_token_has_no_position():
    whole = sine_positions(8, 3, first_empty=True)
    assert not whole[0].any()
    assert torch.equal(whole[1:], sine_positions(8, 3))


def test_a_width_without_two_axes_is_refused():
    with pytest.raises(ValueError, match="width 6: positions on two axes need a multiple of 4"):
        sine_positions(6, 3)
