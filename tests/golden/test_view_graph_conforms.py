"""Shipped graphs, run by the engine, against the official codes' numbers, several steps on."""

from __future__ import annotations

import pytest
import torch
import yaml
from conformance import assert_conforms
from lightning_fabric import Fabric
from tiny_encoders import assert_state, fill, mlp, normed_mlp, tiny_encoder
from torch import nn

from eo_contrast.config import find_config
from eo_contrast.pretrain.engine import Memory, ViewBatch, backward, move_slow
from eo_contrast.pretrain.graph import Graph
from eo_contrast.pretrain.memory import Bank, Queue
from eo_contrast.pretrain.nets import GraphNets, Trunks
from eo_contrast.pretrain.spaces import Remembered, Seen, after_step, space_loss

FABRIC = Fabric(accelerator="cpu", devices=1)


def shipped_graph(name: str, **of_spaces: object) -> Graph:
    """A shipped method's graph; sizes of memory and heads are the reference's."""
    graph = yaml.safe_load(find_config(name, "configs/pretrain").read_text())["graph"]
    for space in graph["spaces"].values():
        space.update(of_spaces)
    for projector in graph.get("projectors", {}).values():
        projector["out"] = 3 if name.startswith("seco") else 4
    return Graph.model_validate(graph)


def batch_of(graph: Graph, images: dict[str, torch.Tensor], places: torch.Tensor) -> ViewBatch:
    return ViewBatch(
        images=images,
        places=places,
        drawn={view: torch.zeros(len(places), dtype=torch.long) for view in images},
        products=dict.fromkeys(images, "rgb"),
    )


def step_of(graph: Graph, nets: GraphNets, memory: Memory, batch: ViewBatch, number: int):
    """Momentum, forward, memory, backward: what the trainer does before the optimiser."""
    if graph.momentum.moves == "before":
        move_slow(nets, graph, number, 3)
    return backward(nets, graph, memory, batch, fabric=FABRIC, draw_key=(0, number))


def sgd(nets: GraphNets, weight_decay: float = 1e-4) -> torch.optim.SGD:
    learning = [parameter for _, parameter in nets.learning()]
    return torch.optim.SGD(learning, lr=0.1, momentum=0.9, weight_decay=weight_decay)


@pytest.mark.parametrize("case", ["moco_v1", "moco_v2"])
def test_moco(pretraining, case):
    data = pretraining(case)
    graph = shipped_graph(case, queue=12)
    graph = graph.model_copy(update={"momentum": graph.momentum.model_copy(update={"base": 0.9})})
    widths = (6, 4) if case == "moco_v1" else (6, 6, 4)
    trunks = Trunks({"all": tiny_encoder()}, {"default": mlp(*widths)})
    start = data.under("init_q_")
    fill(trunks.trunks["all"], start)
    head = trunks.projectors["default"]
    fill(head, _head(start, case))
    nets = GraphNets(trunks, slow=True)
    memory = Memory(queues={"instance": Queue(data["queue_init"].T.contiguous())})
    optimizer = sgd(nets)
    for step in range(4):
        images = {"query": data[f"step{step}_xq"], "key": data[f"step{step}_xk"]}
        optimizer.zero_grad()
        losses = step_of(graph, nets, memory, batch_of(graph, images, torch.arange(4)), step)
        assert_conforms(losses.total, data[f"step{step}_loss"], "loss")
        assert_conforms(memory.queues["instance"].keys.T, data[f"step{step}_queue"], "queue")
        optimizer.step()
        after, keys = data.under(f"step{step}_q_after_"), data.under(f"step{step}_k_")
        assert_state(nets.online.trunks["all"], after, "query")
        assert_state(nets.online.projectors["default"], _head(after, case), "query's head")
        assert_state(nets.slow.trunks["all"], keys, "key")
        assert_state(nets.slow.projectors["default"], _head(keys, case), "key's head")


def test_seco(pretraining):
    data = pretraining("seco")
    graph = shipped_graph("seco", queue=12)
    graph = graph.model_copy(update={"momentum": graph.momentum.model_copy(update={"base": 0.9})})
    names = ("all", "season", "synthetic")
    trunks = Trunks({"all": tiny_encoder(names=("0", "1"))}, {name: mlp(6, 6, 3) for name in names})
    fill(trunks.trunks["all"], data.under("init_encq_"))
    for number, name in enumerate(names):
        fill(trunks.projectors[name], data.under(f"init_headq_{number}_"))
    nets = GraphNets(trunks, slow=True)
    queues = data["queue_init"]
    memory = Memory(queues={name: Queue(queues[n].T.contiguous()) for n, name in enumerate(names)})
    optimizer = sgd(nets)
    for step in range(3):
        start = f"step{step}_"
        images = {"query": data[f"{start}xq"]}
        images |= {f"key_{name}": data[f"{start}xk"][n] for n, name in enumerate(names)}
        optimizer.zero_grad()
        losses = step_of(graph, nets, memory, batch_of(graph, images, torch.arange(4)), step)
        assert_conforms(losses.total, data[f"{start}loss"], "loss")
        assert_conforms(torch.stack(list(losses.by_space.values())), data[f"{start}losses"], "own")
        for number, name in enumerate(names):
            queue = memory.queues[name]
            assert_conforms(queue.keys.T, data[f"{start}queue"][number], f"queue {name}")
            assert queue.place == int(data[f"{start}ptr"][number])
        optimizer.step()
        assert_state(nets.online.trunks["all"], data.under(f"{start}encq_after_"), "query")
        assert_state(nets.slow.trunks["all"], data.under(f"{start}enck_"), "key")
        for number, name in enumerate(names):
            own, slow = nets.online.projectors[name], nets.slow.projectors[name]
            assert_state(own, data.under(f"{start}headq_after_{number}_"), "query's head")
            assert_state(slow, data.under(f"{start}headk_{number}_"), "key's head")


def _head(state: dict[str, torch.Tensor], case: str) -> dict[str, torch.Tensor]:
    """The head's own, its layers numbered as in a plain sequence."""
    own = {name.removeprefix("fc_"): v for name, v in state.items() if name.startswith("fc_")}
    return own if case == "moco_v2" else {f"0_{name}": value for name, value in own.items()}


def test_moco_v3(pretraining):
    data = pretraining("moco_v3")
    # The reference's temperature, and its weight of twice that.
    graph = shipped_graph("moco_v3", temperature=0.2, weight=0.4)
    trunks = Trunks({"all": tiny_encoder()}, {"default": normed_mlp(6, 7, 4, last=True)})
    predictor = normed_mlp(4, 7, 4, last=False)
    start = data.under("init_base_encoder_")
    fill(trunks.trunks["all"], start)
    fill(trunks.projectors["default"], data.under("init_base_encoder_fc_"))
    fill(predictor, data.under("init_predictor_"))
    nets = GraphNets(trunks, slow=True, predictors={"instance": predictor})
    fill(nets.slow.trunks["all"], data.under("init_momentum_encoder_"))
    fill(nets.slow.projectors["default"], data.under("init_momentum_encoder_fc_"))
    optimizer = sgd(nets, weight_decay=1e-6)
    for step in range(3):
        images = {"a": data[f"step{step}_x1"], "b": data[f"step{step}_x2"]}
        optimizer.zero_grad()
        losses = step_of(graph, nets, Memory(), batch_of(graph, images, torch.arange(5)), step)
        assert_conforms(losses.total, data[f"step{step}_loss"], "loss")
        optimizer.step()
        for net, name in ((nets.online, "base"), (nets.slow, "momentum")):
            after = data.under(f"step{step}_after_{name}_encoder_")
            assert_state(net.trunks["all"], after, name)
            head = data.under(f"step{step}_after_{name}_encoder_fc_")
            assert_state(net.projectors["default"], head, f"{name} head")
        assert_state(predictor, data.under(f"step{step}_after_predictor_"), "predictor")


@pytest.mark.parametrize("method", ["cmc_core", "cmc_full"])
@pytest.mark.parametrize("objective", ["noise_contrastive", "bank_softmax"])
def test_cmc_of_three_views(pretraining, method, objective):
    kind = {"noise_contrastive": "nce", "bank_softmax": "softmax"}[objective]
    data = pretraining(f"cmc_three_view_{kind}")
    space = shipped_graph(method, objective=objective, bank=5).spaces["bands"]
    views = ("visible", "infrared", "short_wave")
    banks = {view: Bank(data[f"memory{n}_init"]) for n, view in enumerate(views)}
    normalisers: dict[tuple[str, str], torch.Tensor] = {}
    for step in range(2):
        rows, places = data[f"step{step}_idx"], data[f"step{step}_y"]
        vectors = {v: data[f"step{step}_h{n}"].requires_grad_() for n, v in enumerate(views)}
        seen = Seen(vectors, vectors, places, {}, {})
        kept = Remembered(banks=banks, normalisers=normalisers, drawn=rows[:, 1:])
        loss = space_loss(space, seen, kept)
        which = method.removeprefix("cmc_")
        assert_conforms(loss, data[f"step{step}_{which}_loss"], "loss")
        loss.backward()
        after_step(space, seen, kept)
        for n, view in enumerate(views):
            wanted = data[f"step{step}_{which}_grad_h{n}"]
            assert_conforms(vectors[view].grad, wanted, f"gradient of {view}")
            assert_conforms(banks[view].vectors, data[f"step{step}_memory{n}"], f"bank of {view}")


def test_instance_discrimination(pretraining):
    data = pretraining("instdisc")
    space = shipped_graph("instdisc", bank=5).spaces["instance"]
    bank = Bank(data["memory_init"])
    normalisers: dict[tuple[str, str], torch.Tensor] = {}
    for step in range(3):
        vectors = {"image": data[f"step{step}_h"].requires_grad_()}
        seen = Seen(vectors, vectors, data[f"step{step}_y"], {}, {})
        drawn = data[f"step{step}_idx"][:, 1:]
        kept = Remembered(banks={"image": bank}, normalisers=normalisers, drawn=drawn)
        loss = space_loss(space, seen, kept)
        loss.backward()
        after_step(space, seen, kept)
        assert_conforms(loss, data[f"step{step}_loss"], "loss")
        assert_conforms(vectors["image"].grad, data[f"step{step}_grad_h"], "gradient")
        assert_conforms(bank.vectors, data[f"step{step}_memory"], "bank")


def test_decur(pretraining):
    data = pretraining("decur")
    raw = yaml.safe_load(find_config("decur", "configs/pretrain").read_text())["graph"]
    raw["spaces"]["common"]["features"], raw["spaces"]["own"]["features"] = [0, 4], [4, 6]
    # The published thirds are written to eight digits.
    raw["spaces"]["s1"]["weight"] = raw["spaces"]["s2"]["weight"] = 1 / 3
    raw["spaces"]["common"]["weight"] = raw["spaces"]["own"]["weight"] = 1 / 6
    graph = Graph.model_validate(raw)
    nets = GraphNets(Trunks({"all": nn.Identity()}, {"default": nn.Identity()}), slow=False)
    names = {"radar_a": "z1_1", "radar_b": "z1_2", "optical_a": "z2_1", "optical_b": "z2_2"}
    images = {view: data[key].requires_grad_() for view, key in names.items()}
    losses = step_of(graph, nets, Memory(), batch_of(graph, images, torch.arange(8)), 0)
    assert_conforms(losses.total, data["total"], "loss")
    for view, key in names.items():
        assert_conforms(images[view].grad, data[f"grad_{key}"], f"gradient of {view}")
