"""Pretext tasks show what they say, draw nothing themselves, and refuse what cannot be."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.objectives import pretext


def drawn(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbered(height, width, count=1):
    """Images whose pixels are row times 100 plus column, of two channels, the second negative."""
    one = torch.arange(height)[:, None] * 100 + torch.arange(width)
    return torch.stack([one, -one]).expand(count, 2, height, width)


def test_turning_back_gives_the_image_again():
    images = numbered(4, 4, 3)
    turns, answers = pretext.all_turns(images)
    assert answers.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for image, answer in zip(turns, answers.tolist(), strict=True):
        assert torch.equal(pretext.turned(image, -answer), images[0])


@pytest.mark.parametrize("label", range(8))
def test_a_neighbour_lies_where_its_label_says(label):
    row, column = pretext.NEIGHBOURS[label]
    middle, neighbour = pretext.patch_and_neighbour(
        numbered(16, 18), torch.tensor([label]), patch=4, gap=1
    )
    assert middle.shape == neighbour.shape == (1, 2, 4, 4)
    assert middle[0, 0, 0, 0] == 607
    assert (neighbour - middle)[0, 0].unique().tolist() == [row * 500 + column * 5]


def test_jitter_moves_the_neighbour_alone():
    images, labels = numbered(17, 17, 2), torch.tensor([0, 7])
    jitter = torch.tensor([[1, 0], [-1, 1]])
    still = pretext.patch_and_neighbour(images, labels, patch=4, gap=2)
    moved = pretext.patch_and_neighbour(images, labels, patch=4, gap=2, jitter=jitter)
    assert torch.equal(moved[0], still[0])
    assert (moved[1] - still[1])[:, 0, 0, 0].tolist() == [100, -99]


def test_three_patches_and_two_gaps_fit_exactly():
    images, labels = numbered(14, 14, 8), torch.arange(8)
    assert len(pretext.patch_and_neighbour(images, labels, patch=4, gap=1)[1]) == 8


@pytest.mark.parametrize("label", range(8))
def test_the_opposite_label_is_the_way_back(label):
    there = pretext.NEIGHBOURS[label]
    back = pretext.NEIGHBOURS[int(pretext.opposite(torch.tensor(label)))]
    assert (there[0] + back[0], there[1] + back[1]) == (0, 0)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 3), st.integers(0, 10**6))
def test_tiles_in_order_make_the_image_again(side, seed):
    images = drawn(seed, 2, 3, 4 * side, 5 * side)
    order = torch.randperm(side**2, generator=torch.Generator().manual_seed(seed))
    found = pretext.jigsaw_tiles(images, order.expand(2, -1), tile=4)
    # A cell is 4 high and 5 wide: in the middle, rounded down, is its left part.
    cells = images.unfold(2, 4, 4).unfold(3, 5, 5)[..., :4].flatten(2, 3).transpose(1, 2)
    assert torch.equal(found, cells[:, order])
    corner = torch.tensor([0, 1]).expand(2, side**2, 2)
    found = pretext.jigsaw_tiles(images, order.expand(2, -1), tile=4, offsets=corner)
    right = images.unfold(2, 4, 4).unfold(3, 5, 5)[..., 1:].flatten(2, 3).transpose(1, 2)
    assert torch.equal(found, right[:, order])


def slow_permutation_set(count, tiles):
    """The rule as it is written, over all permutations of a few tiles."""
    every = list(itertools.permutations(range(tiles)))
    chosen = [every[0]]
    while len(chosen) < count:
        best, most = None, -1
        for one in every:
            total = sum(sum(a != b for a, b in zip(one, c, strict=True)) for c in chosen)
            if one not in chosen and total > most:
                best, most = one, total
        chosen.append(best)
    return chosen


@pytest.mark.parametrize(("count", "tiles"), [(1, 2), (2, 2), (6, 3), (24, 4), (30, 5)])
def test_the_permutation_set_is_the_rule_s(count, tiles):
    found = pretext.permutation_set(count, tiles)
    assert found.tolist() == [list(one) for one in slow_permutation_set(count, tiles)]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_shares_of_colours_sum_to_1_and_the_nearest_has_most(seed, neighbours):
    colours, centres = drawn(seed, 2, 2, 3, 4) * 200 - 100, drawn(seed + 1, 6, 2) * 200 - 100
    shares = pretext.nearest_colours(colours, centres, neighbours=neighbours)
    assert shares.shape == (2, 6, 3, 4)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 3, 4, dtype=torch.float64))
    distances = (colours[:, None] - centres[None, :, :, None, None]).square().sum(2)
    assert torch.equal(shares.argmax(1), distances.argmin(1))
    assert ((shares > 0).sum(1) <= neighbours).all()


def test_rare_colours_weigh_more_and_the_mean_weight_is_1():
    shares = torch.tensor([0.7, 0.2, 0.1, 0.0])
    weights = pretext.rebalancing(shares)
    assert weights.tolist() == sorted(weights.tolist())
    assert float((weights * shares).sum()) == pytest.approx(1)
    assert pretext.rebalancing(shares, mix=1).tolist() == pytest.approx([1] * 4)


def test_colourisation_is_a_weighted_cross_entropy():
    logits, bins = drawn(0, 2, 3, 4, 4), torch.arange(32).reshape(2, 4, 4) % 3
    target = torch.nn.functional.one_hot(bins, 3).movedim(-1, 1).double()
    weights = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    each = torch.nn.functional.cross_entropy(logits, bins, reduction="none")
    assert pretext.colourisation(logits, target) == pytest.approx(float(each.mean()))
    weighted = float((each * weights[bins]).mean())
    assert pretext.colourisation(logits, target, weights) == pytest.approx(weighted)
    assert pretext.colourisation(logits * 0, target) == pytest.approx(math.log(3))


def test_inpainting_sees_removed_pixels_alone():
    images, prediction = drawn(0, 2, 3, 4, 4), drawn(1, 2, 3, 4, 4)
    removed = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    removed[0, :, 1, 2] = True
    found = pretext.inpainting(prediction, images, removed)
    wanted = (prediction - images)[0, :, 1, 2].square().mean()
    assert found == pytest.approx(float(wanted))


def test_denoising_leaves_out_what_has_no_data():
    clean, prediction = drawn(0, 2, 3, 4, 4), drawn(1, 2, 3, 4, 4).requires_grad_()
    every = pretext.denoising(prediction, clean)
    torch.testing.assert_close(every, (prediction - clean).square().mean())
    valid = torch.ones_like(clean, dtype=torch.bool)
    valid[0, 0, 0, 0] = False
    clean[0, 0, 0, 0] = math.nan
    loss = pretext.denoising(prediction, clean, valid)
    loss.backward()
    torch.testing.assert_close(loss, (prediction - clean)[valid].square().mean())
    assert prediction.grad[0, 0, 0, 0] == 0 and prediction.grad.isfinite().all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pretext.all_turns(numbered(4, 5)), "4 x 5: must be square"),
        (
            lambda: pretext.patch_and_neighbour(
                numbered(13, 14), torch.tensor([0]), patch=4, gap=1
            ),
            "4 px do not fit images of 13 x 14",
        ),
        (
            lambda: pretext.jigsaw_tiles(numbered(6, 6), torch.arange(5)[None], tile=2),
            "5 tiles do not fill a square",
        ),
        (
            lambda: pretext.jigsaw_tiles(numbered(6, 6), torch.arange(9)[None], tile=3),
            "3 px do not fit",
        ),
        (lambda: pretext.permutation_set(7, 3), "7 permutations of 3 tiles: 1 to 6"),
        (lambda: pretext.permutation_set(0), "0 permutations of 9 tiles"),
        (lambda: pretext.permutation_set(4, 10), "10 tiles: give 2 to 9"),
        (
            lambda: pretext.inpainting(
                torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2) > 0
            ),
            "no pixel counts",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
