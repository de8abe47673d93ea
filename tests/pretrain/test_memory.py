"""Queues and banks keep what came last, whatever came before."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.pretrain.memory import Bank, Queue, new_bank, new_queue


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.lists(st.integers(1, 9), max_size=8))
def test_a_queue_holds_the_latest_keys(size, pushes):
    queue, seen = Queue(torch.full((size, 1), -1.0)), [-1.0] * size
    number = 0
    for count in pushes:
        if count > size:
            with pytest.raises(ValueError, match=f"{count} keys do not fit a queue of {size}"):
                queue.push(torch.zeros(count, 1))
            continue
        keys = torch.arange(number, number + count, dtype=torch.float32)[:, None]
        queue.push(keys)
        seen += keys[:, 0].tolist()
        number += count
    assert sorted(queue.keys[:, 0].tolist()) == sorted(seen[-size:])
    oldest = queue.keys.roll(-queue.place, 0)[:, 0].tolist()
    assert oldest == seen[-size:]


def test_a_push_leaves_what_the_graph_holds():
    queue = Queue(torch.zeros(4, 2))
    before = queue.keys
    queue.push(torch.ones(3, 2, requires_grad=True))
    assert before.sum() == 0
    assert queue.keys.sum() == 6 and not queue.keys.requires_grad


def test_a_bank_refuses_a_place_twice_and_ends_at_length_1():
    bank = Bank(torch.eye(3), momentum=0.5)
    with pytest.raises(ValueError, match="twice in the batch"):
        bank.update(torch.tensor([0, 0]), torch.eye(3)[:2])
    bank.update(torch.tensor([0]), torch.tensor([[0.0, 1.0, 0.0]]))
    torch.testing.assert_close(bank.vectors[0], torch.tensor([0.5**0.5, 0.5**0.5, 0]))
    torch.testing.assert_close(bank.vectors[1:], torch.eye(3)[1:])


def test_a_seed_decides_how_they_begin():
    first, other = (new_queue(5, 3, torch.Generator().manual_seed(1)) for _ in range(2))
    torch.testing.assert_close(first.keys, other.keys)
    torch.testing.assert_close(first.keys.norm(dim=1), torch.ones(5))
    assert new_bank(50, 3, torch.Generator().manual_seed(1)).vectors.abs().max() <= 1
