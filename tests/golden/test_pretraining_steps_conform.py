"""Steps of MoCo and SeCo out of the plain functions: logits, gradients and states of each step."""

from __future__ import annotations

import copy

import pytest
import torch
from conformance import assert_conforms
from tiny_encoders import (
    assert_gradients,
    assert_state,
    fill,
    mlp,
    normed_mlp,
    sgd,
    tiny_encoder,
)
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.objectives.contrastive import in_batch_info_nce, info_nce, logits_of_positive
from eo_contrast.pretrain.config import PretrainSchedule
from eo_contrast.pretrain.memory import Bank, Queue, follow, momentum_at


@pytest.mark.parametrize(
    ("case", "head", "temperature"), [("moco_v1", (6, 4), 0.07), ("moco_v2", (6, 6, 4), 0.2)]
)
def test_gradients_of_four_steps_of_moco(pretraining, case, head, temperature):
    data = pretraining(case)
    query = tiny_encoder(mlp(*head) if len(head) > 2 else nn.Linear(*head))
    fill(query, data.under("init_q_"))
    key = copy.deepcopy(query).requires_grad_(False)
    queue = Queue(data["queue_init"].T.contiguous())
    optimizer = sgd(query)
    for step in range(4):
        start = f"step{step}_"
        follow(key, query, 0.9)
        keys = key(data[f"{start}xk"])
        optimizer.zero_grad()
        anchors = query(data[f"{start}xq"])
        info_nce(anchors, keys, queue.keys, temperature=temperature).backward()
        assert_gradients(query, data.under(f"{start}grad_"))
        queue.push(F.normalize(keys, dim=1))
        optimizer.step()


def test_three_steps_of_moco_v3(pretraining):
    data = pretraining("moco_v3")
    base, slow = (tiny_encoder(normed_mlp(6, 7, 4, last=True)) for _ in range(2))
    predictor = normed_mlp(4, 7, 4, last=False)
    nets = {"base_encoder_": base, "momentum_encoder_": slow, "predictor_": predictor}
    for name, net in nets.items():
        fill(net, data.under(f"init_{name}"))
    slow.requires_grad_(False)
    optimizer = sgd(base, predictor, weight_decay=1e-6)
    for step in range(3):
        start = f"step{step}_"
        views = data[f"{start}x1"], data[f"{start}x2"]
        momentum = momentum_at(step, 3, 0.99)
        assert momentum == pytest.approx(data[f"{start}m"].item(), rel=1e-12)
        queries = [predictor(base(view)) for view in views]
        follow(slow, base, momentum)
        keys = [slow(view) for view in views]
        loss = in_batch_info_nce(queries[0], keys[1], temperature=0.2)
        loss = loss + in_batch_info_nce(queries[1], keys[0], temperature=0.2)
        assert_conforms(loss, data[f"{start}loss"], "loss")
        optimizer.zero_grad()
        loss.backward()
        assert_gradients(base, data.under(f"{start}grad_base_encoder_"))
        assert_gradients(predictor, data.under(f"{start}grad_predictor_"))
        optimizer.step()
        for name, net in nets.items():
            assert_state(net, data.under(f"{start}after_{name}"), name)


@pytest.mark.parametrize(("case", "spaces"), [("seco", 3), ("moco_v2_seco_single_space", 1)])
def test_three_steps_of_seco(pretraining, case, spaces):
    data = pretraining(case)
    encoder = tiny_encoder(names=("0", "1"))
    heads = nn.ModuleList(mlp(6, 6, 3) for _ in range(spaces))
    fill(encoder, data.under("init_encq_"))
    fill(heads, data.under("init_headq_"))
    slow, slow_heads = (copy.deepcopy(net).requires_grad_(False) for net in (encoder, heads))
    queues = [Queue(keys.T.contiguous()) for keys in data["queue_init"]]
    optimizer = sgd(encoder, heads)
    for step in range(3):
        start = f"step{step}_"
        features = encoder(data[f"{start}xq"])
        follow(slow, encoder, 0.9)
        follow(slow_heads, heads, 0.9)
        # Each batch of keys by itself: batch norm is over one.
        key_features = [slow(keys) for keys in data[f"{start}xk"]]
        losses = []
        for space, queue in enumerate(queues):
            keys = [slow_heads[space](each) for each in key_features]
            negatives = torch.cat([queue.keys, *off_space(keys, space)])
            logits = logits_of_positive(heads[space](features), keys[space], negatives) / 0.07
            assert_conforms(logits, data[f"{start}logits{space}"], f"logits {space}")
            losses.append(F.cross_entropy(logits, torch.zeros(4, dtype=torch.long)))
            queue.push(F.normalize(keys[space], dim=1))
            assert_conforms(queue.keys.T, data[f"{start}queue"][space], f"queue {space}")
            assert queue.place == int(data[f"{start}ptr"][space])
        assert_conforms(torch.stack(losses), data[f"{start}losses"], "losses")
        assert_conforms(sum(losses), data[f"{start}loss"], "loss")
        optimizer.zero_grad()
        sum(losses).backward()
        assert_gradients(encoder, data.under(f"{start}grad_encq_"))
        assert_gradients(heads, data.under(f"{start}grad_headq_"))
        optimizer.step()
        for net, name in (
            (slow, "enck_"),
            (slow_heads, "headk_"),
            (encoder, "encq_after_"),
            (heads, "headq_after_"),
        ):
            assert_state(net, data.under(f"{start}{name}"), name)


def off_space(keys: list[Tensor], space: int) -> list[Tensor]:
    """The other keys, which spaces 1 and 2 have as negatives."""
    if space == 0:
        return []
    return [F.normalize(key, dim=1) for number, key in enumerate(keys) if number != space]


def test_the_softmax_over_a_whole_bank(pretraining):
    data = pretraining("instdisc")
    bank = Bank(data["memory_init"])
    for step in range(3):
        start = f"step{step}_"
        vectors, own = data[f"{start}h"].requires_grad_(), data[f"{start}y"]
        logits = F.normalize(vectors, dim=1) @ bank.vectors.T / data["T"]
        assert_conforms(logits, data[f"{start}full_logits"], "logits")
        loss = F.cross_entropy(logits, own)
        assert_conforms(loss, data[f"{start}full_loss"], "loss")
        loss.backward()
        assert_conforms(vectors.grad, data[f"{start}full_grad_h"], "gradient")
        bank.update(own, F.normalize(vectors, dim=1))
        assert_conforms(bank.vectors, data[f"{start}full_memory"], "bank")


def test_byol_s_learning_rate(pretraining):
    data = pretraining("byol")
    # Positions are steps here; the rate at the top is .2 times 4096 / 256.
    schedule = PretrainSchedule(epochs=1000, warmup=100, kind="cosine")
    rates = [3.2 * schedule.factor_at(step, 1000) for step in data["lr_steps"].tolist()]
    wanted = data["lr_base0.2_bs4096_warm100_total1000"]
    torch.testing.assert_close(torch.tensor(rates, dtype=torch.float64), wanted, rtol=1e-7, atol=0)
