"""Rows of all processes come in the order of ranks, and gradients go back."""

from __future__ import annotations

import torch
from two_processes import in_two_processes, share

from eo_contrast.training.gather import gathered


def rows(count):
    return torch.arange(count * 3, dtype=torch.float64).reshape(count, 3)


def gather_everything(rank):
    vectors = share(rows(4), rank).clone().requires_grad_()
    whole = gathered(vectors)
    # Each process asks for another gradient of the same rows.
    (whole * rows(4) * (rank + 1)).sum().backward()
    return {
        "rows": whole.detach(),
        "gradient": vectors.grad,
        "ids": gathered(share(torch.tensor([7, 3, 5, 1]), rank)),
        "truths": gathered(share(torch.tensor([True, False, False, True]), rank)),
        "turned": gathered(share(rows(4).T.contiguous().T, rank)),
    }


def test_every_process_has_all_rows_and_the_sum_of_gradients(tmp_path):
    for rank, found in enumerate(in_two_processes(gather_everything, tmp_path)):
        assert torch.equal(found["rows"], rows(4))
        assert torch.equal(found["turned"], rows(4))
        assert found["ids"].tolist() == [7, 3, 5, 1]
        assert found["truths"].tolist() == [True, False, False, True]
        assert torch.equal(found["gradient"], share(rows(4), rank) * (1 + 2))


def test_one_process_has_its_rows():
    own = rows(2)
    assert gathered(own) is own
