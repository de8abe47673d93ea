"""Queues, banks and slow encoders against the official code, several steps on."""

from __future__ import annotations

import copy

import pytest
import torch
from conformance import assert_conforms
from tiny_encoders import mlp, tiny_encoder
from torch import nn
from torch.nn import functional as F

from eo_contrast.objectives.contrastive import (
    info_nce,
    logits_of_positive,
    noise_contrastive,
    normalised_scores,
)
from eo_contrast.pretrain.memory import Bank, Queue, follow, momentum_at


def named(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name.replace(".", "_"): value for name, value in net.state_dict().items()}


@pytest.mark.parametrize(("case", "temperature"), [("moco_v1", 0.07), ("moco_v2", 0.2)])
def test_four_steps_of_moco(pretraining, case, temperature):
    data = pretraining(case)
    query = tiny_encoder(mlp(6, 6, 4) if case == "moco_v2" else nn.Linear(6, 4))
    for name, value in named(query).items():
        value.copy_(data[f"init_q_{name}"])
    key = copy.deepcopy(query).requires_grad_(False)
    queue = Queue(data["queue_init"].T.contiguous())
    optimizer = torch.optim.SGD(query.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for step in range(4):
        start = f"step{step}_"
        anchors = query(data[f"{start}xq"])
        follow(key, query, 0.9)
        positives = key(data[f"{start}xk"])
        logits = logits_of_positive(anchors, positives, queue.keys) / temperature
        assert_conforms(logits, data[f"{start}logits"], "logits")
        loss = info_nce(anchors, positives, queue.keys, temperature=temperature)
        assert_conforms(loss, data[f"{start}loss"], "loss")
        queue.push(F.normalize(positives, dim=1))
        assert_conforms(queue.keys.T, data[f"{start}queue"], "queue")
        assert queue.place == int(data[f"{start}ptr"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name, value in named(key).items():
            assert_conforms(value.double(), data[f"{start}k_{name}"], f"key's {name}")
        for name, value in named(query).items():
            assert_conforms(value.double(), data[f"{start}q_after_{name}"], f"query's {name}")


@pytest.mark.parametrize("kind", ["nce", "softmax"])
def test_three_steps_of_cmc_with_two_banks(pretraining, kind):
    data = pretraining(f"cmc_two_view_{kind}")
    banks = {view: Bank(data[f"memory_{view}_init"]) for view in ("l", "ab")}
    size, temperature = int(data["n_data"]), data["T"].item()
    for step in range(3):
        rows, own = data[f"step{step}_idx"], data[f"step{step}_y"]
        for view, other in (("l", "ab"), ("ab", "l")):
            vectors = data[f"step{step}_h_{view}"]
            # An anchor meets the bank of the other view; Z is kept with the anchor's own.
            there = banks[other].vectors[rows]
            if kind == "nce":
                scores, banks[view].normaliser = normalised_scores(
                    vectors,
                    there,
                    temperature=temperature,
                    normaliser=banks[view].normaliser,
                    data_size=size,
                )
                loss = noise_contrastive(scores, data_size=size)
            else:
                dots = torch.einsum("nd,nkd->nk", F.normalize(vectors, dim=1), there)
                loss = F.cross_entropy(dots / temperature, torch.zeros(4, dtype=torch.long))
            assert_conforms(loss, data[f"step{step}_loss_{view}"], f"loss of {view}")
        for view, bank in banks.items():
            bank.update(own, F.normalize(data[f"step{step}_h_{view}"], dim=1))
            assert_conforms(bank.vectors, data[f"step{step}_memory_{view}"], f"bank {view}")


@pytest.mark.parametrize("base", [0.99, 0.996])
def test_momentum_rises_along_a_cosine(pretraining, base):
    data = pretraining("byol")
    steps = int(data["ema_max_steps"])
    found = [momentum_at(int(step), steps, base) for step in data["ema_steps"]]
    torch.testing.assert_close(
        torch.tensor(found, dtype=torch.float64),
        data[f"tau_base{base}"].double(),
        rtol=1e-7,
        atol=0,
    )


def test_a_target_follows_after_the_step(pretraining):
    data = pretraining("byol")
    slow, quick = nn.Linear(1, 5, bias=False).double(), nn.Linear(1, 5, bias=False).double()
    slow.weight.data.copy_(data["ema_target_init"][:, None])
    for step in range(4):
        quick.weight.data.copy_(data["ema_online_after_step"][step][:, None])
        follow(slow, quick, momentum_at(step, 4, 0.99))
        wanted = data["ema_target_after_step"][step][:, None]
        torch.testing.assert_close(slow.weight.data, wanted, rtol=1e-7, atol=1e-9)
