"""One step over a view graph: encode each view once, gather, sum the spaces.

Every process computes the loss of the whole batch from vectors gathered with gradient; the mean
of the processes' gradients is then that of one process with the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eo_contrast.pretrain.graph import OF_BANKS, Graph
from eo_contrast.pretrain.memory import Bank, Queue, follow, momentum_at, new_bank, new_queue
from eo_contrast.pretrain.nets import GraphNets
from eo_contrast.pretrain.spaces import Remembered, Seen, after_step, chance, space_loss
from eo_contrast.training.determinism import generator_for
from eo_contrast.training.gather import gathered


@dataclass
class Memory:
    """What steps leave for later ones.

    Attributes:
        queues: by space.
        banks: by space and view.
        normalisers: by space and (anchor, positive).
    """

    queues: dict[str, Queue] = field(default_factory=dict)
    banks: dict[str, dict[str, Bank]] = field(default_factory=dict)
    normalisers: dict[str, dict[tuple[str, str], Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class ViewBatch:
    """The views of one process's places at one step.

    Attributes:
        images: by view whose pixels are its own, (n, bands, H, W) as its encoder eats them.
        places: (n,) numbers.
        drawn: by view, (n,) which of its place's images it is.
        products: by view.
        classes: (n,) whole numbers; None: the data has no labels.
    """

    images: Mapping[str, Tensor]
    places: Tensor
    drawn: Mapping[str, Tensor]
    products: Mapping[str, str]
    classes: Tensor | None = None


def new_memory(graph: Graph, places: int, seed: int, device: torch.device) -> Memory:
    """Random queues and banks, as the published codes begin.

    Args:
        places: how many the data has: rows of a bank.
    """
    memory = Memory()
    for name, space in graph.spaces.items():
        width = graph.projectors[graph.projector_of(name)].out
        if space.queue is not None:
            queue = new_queue(space.queue, width, generator_for(seed, "queue", name))
            memory.queues[name] = Queue(queue.keys.to(device))
        if space.objective in OF_BANKS:
            views = dict.fromkeys(view for pair in space.pairs for view in pair)
            memory.banks[name] = {}
            for view in views:
                bank = new_bank(places, width, generator_for(seed, "bank", name, view))
                memory.banks[name][view] = Bank(bank.vectors.to(device))
            memory.normalisers[name] = {}
    return memory


def features_of(
    nets: GraphNets, graph: Graph, images: Mapping[str, Tensor], chunk: int | None = None
) -> dict[str, Tensor]:
    """Each view encoded once; the momentum encoder's without gradient.

    Args:
        chunk: encode so many rows at a time and without gradient; norms then see a chunk each.
    """
    features = {}
    for view in graph.views:
        own = images[graph.pixels_of(view)]
        trunks, sensor = nets.seer(graph.views[view].encoder), graph.sensor_of(view)
        learns = graph.views[view].encoder == "online" and chunk is None
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            parts = [trunks.encode(sensor, part) for part in torch.split(own, chunk or len(own))]
            features[view] = torch.cat(parts) if len(parts) > 1 else parts[0]
    return features


def space_inputs(
    nets: GraphNets, graph: Graph, name: str, features: Mapping[str, Tensor], batch: ViewBatch
) -> Seen:
    """What a space sees of the whole batch: its views projected, predicted, gathered."""
    space, projector = graph.spaces[name], graph.projector_of(name)
    vectors, anchors = {}, {}
    wanted = set(space.pairs_of_views)
    # In the graph's order: norms count their batches in it.
    for view in (view for view in graph.views if view in wanted):
        trunks, sensor = nets.seer(graph.views[view].encoder), graph.sensor_of(view)
        learns = graph.views[view].encoder == "online"
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            projected = trunks.project(projector, sensor, features[view])
        vectors[view] = gathered(_wide(projected))
        if view in space.anchors:
            anchors[view] = vectors[view]
            if name in nets.predictors:
                anchors[view] = gathered(_wide(nets.predictors[name](projected)))
    return Seen(
        vectors=vectors,
        anchors=anchors,
        places=gathered(batch.places),
        images={view: gathered(batch.drawn[graph.pixels_of(view)]) for view in vectors},
        products={view: batch.products[graph.pixels_of(view)] for view in vectors},
        classes=None if batch.classes is None else gathered(batch.classes),
    )


@dataclass(frozen=True)
class Losses:
    """What a step's spaces gave.

    Attributes:
        total: what the gradient is of.
        by_space: each space's own, neither weighted nor divided.
        seen: by space, for looking at and for the memory.
        false_negatives: by space with a queue, the share of its keys that are of an anchor's own
            place.
    """

    total: Tensor
    by_space: Mapping[str, Tensor]
    seen: Mapping[str, Seen]
    false_negatives: Mapping[str, Tensor]


def losses_of(
    nets: GraphNets,
    graph: Graph,
    memory: Memory,
    features: Mapping[str, Tensor],
    batch: ViewBatch,
    *,
    draw_key: tuple[int, int],
) -> Losses:
    """The spaces' losses over the whole batch.

    Args:
        draw_key: seed and step, of the negatives drawn from banks.
    """
    by_space, seen, terms = {}, {}, []
    for name, space in graph.spaces.items():
        own = space_inputs(nets, graph, name, features, batch)
        loss = space_loss(space, own, remembered(nets, memory, name, own, space.bank, draw_key))
        by_space[name], seen[name] = loss, own
        term = space.weight * loss
        if graph.divide_by_chance:
            width = next(iter(own.vectors.values())).shape[1]
            term = term / (chance(space, len(own.places), width) or 1.0)
        terms.append(term)
    false = {
        name: (queue.ids[None] == seen[name].places[:, None]).float().mean()
        for name, queue in memory.queues.items()
    }
    return Losses(torch.stack(terms).sum(), by_space, seen, false)


def remembered(
    nets: GraphNets,
    memory: Memory,
    name: str,
    seen: Seen,
    bank: int | None,
    draw_key: tuple[int, int],
) -> Remembered:
    """A space's share of memory and of learned constants, with this step's draw from its banks."""
    drawn = None
    if bank is not None:
        seed, step = draw_key
        rows = len(next(iter(memory.banks[name].values())).vectors)
        generator = generator_for(seed, "negatives", name, step)
        drawn = torch.randint(rows, (len(seen.places), bank), generator=generator)
        drawn = drawn.to(seen.places.device)
    return Remembered(
        queue=memory.queues.get(name),
        banks=memory.banks.get(name),
        normalisers=memory.normalisers.get(name),
        drawn=drawn,
        log_scale=nets.log_scales.get(name),
        prototypes=nets.prototypes.get(name),
    )


def backward(
    nets: GraphNets,
    graph: Graph,
    memory: Memory,
    batch: ViewBatch,
    *,
    fabric: Fabric,
    draw_key: tuple[int, int],
    chunk: int | None = None,
    share: float = 1.0,
) -> Losses:
    """Losses, and their gradient added to the parameters.

    Args:
        chunk: encode so many rows at a time, twice: once for the vectors, and, when their gradient
            is known, once more for the trunk's (Gao et al. 2021, GradCache). Memory then does not
            grow with the batch; batch norm sees chunks.
        share: factor on the gradient, for the mean over several batches.
    """
    with fabric.autocast():
        features = features_of(nets, graph, batch.images, chunk)
        if chunk is not None:
            features = {
                view: kept.detach().requires_grad_(graph.views[view].encoder == "online")
                for view, kept in features.items()
            }
        losses = losses_of(nets, graph, memory, features, batch, draw_key=draw_key)
    torch.autograd.backward(losses.total * share)
    if chunk is not None:
        _backward_of_chunks(nets, graph, batch.images, features, fabric=fabric, chunk=chunk)
    for name, space in graph.spaces.items():
        own = losses.seen[name]
        after_step(space, own, remembered(nets, memory, name, own, None, draw_key))
    return losses


def _backward_of_chunks(
    nets: GraphNets,
    graph: Graph,
    images: Mapping[str, Tensor],
    features: Mapping[str, Tensor],
    *,
    fabric: Fabric,
    chunk: int,
) -> None:
    for view, kept in features.items():
        own, gradient = images[graph.pixels_of(view)], kept.grad
        if gradient is None:
            continue
        with _statistics_kept(nets.online):
            for part, of_part in zip(
                torch.split(own, chunk), torch.split(gradient, chunk), strict=True
            ):
                with fabric.autocast():
                    again = nets.online.encode(graph.sensor_of(view), part)
                torch.autograd.backward(again, of_part)


@contextmanager
def _statistics_kept(net: nn.Module) -> Iterator[None]:
    """Within the block norms use the batch, but do not count it: it was counted once."""
    norms = [
        module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    before = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    for norm, kept in zip(norms, before, strict=True):
        norm.running_mean, norm.running_var, norm.num_batches_tracked = (
            None if value is None else value.clone() for value in kept
        )
    try:
        yield
    finally:
        for norm, kept in zip(norms, before, strict=True):
            norm.running_mean, norm.running_var, norm.num_batches_tracked = kept


def move_slow(nets: GraphNets, graph: Graph, step: int, steps: int) -> None:
    """Let the slow trunks and projectors follow the online ones."""
    if nets.slow is None:
        return
    config = graph.momentum
    momentum = config.base
    if config.schedule == "cosine":
        momentum = momentum_at(min(step, steps), steps, config.base)
    follow(nets.slow, nets.online, momentum)


def pieces(batch: ViewBatch, count: int) -> Iterator[ViewBatch]:
    """The batch in ``count`` parts, for gradient accumulation."""
    size = len(batch.places) // count
    for start in range(0, size * count, size):
        part = slice(start, start + size)
        yield ViewBatch(
            images={view: own[part] for view, own in batch.images.items()},
            places=batch.places[part],
            drawn={view: own[part] for view, own in batch.drawn.items()},
            products=batch.products,
            classes=None if batch.classes is None else batch.classes[part],
        )


def _wide(vectors: Tensor) -> Tensor:
    """float32 at least: a temperature of .07 makes of bfloat16's steps differences of .06."""
    return vectors.to(torch.promote_types(vectors.dtype, torch.float32))
