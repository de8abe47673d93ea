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

from eo_contrast.objectives.masked import Masking
from eo_contrast.pretrain.graph import OF_BANKS, OF_PIXELS, Graph
from eo_contrast.pretrain.masks import part_of
from eo_contrast.pretrain.memory import Bank, Queue, follow, momentum_at, new_bank, new_queue
from eo_contrast.pretrain.nets import GraphNets
from eo_contrast.pretrain.reconstruction import reconstruction_error
from eo_contrast.pretrain.spaces import Remembered, Seen, after_step, chance, space_loss
from eo_contrast.training.determinism import generator_for
from eo_contrast.training.gather import gathered, processes


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
        masks: by masked view whose pixels are its own, which of its patches are seen.
    """

    images: Mapping[str, Tensor]
    places: Tensor
    drawn: Mapping[str, Tensor]
    products: Mapping[str, str]
    classes: Tensor | None = None
    masks: Mapping[str, Masking] = field(default_factory=dict)


def new_memory(graph: Graph, places: int, seed: int, device: torch.device) -> Memory:
    """Random queues and banks, as the published codes begin.

    Args:
        places: how many the data has: rows of a bank.
    """
    memory = Memory()
    for name in graph.projecting:
        space = graph.spaces[name]
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
    nets: GraphNets, graph: Graph, batch: ViewBatch, chunk: int | None = None
) -> dict[str, Tensor]:
    """Each view encoded once, masked ones to tokens; the momentum encoder's without gradient.

    Args:
        chunk: encode so many rows at a time and without gradient; norms then see a chunk each.
    """
    features = {}
    for view in graph.views:
        trunks, sensor = nets.seer(graph.views[view].encoder), graph.sensor_of(view)
        learns = graph.views[view].encoder == "online" and chunk is None
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            parts = [
                trunks.encode(sensor, images, kept)
                for images, kept in _shown(batch, graph.pixels_of(view), chunk)
            ]
            features[view] = torch.cat(parts) if len(parts) > 1 else parts[0]
    return features


def _shown(
    batch: ViewBatch, pixels: str, chunk: int | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images of a view, ``chunk`` rows at a time, and their patches that are seen; None: all."""
    images, masked = batch.images[pixels], batch.masks.get(pixels)
    rows = chunk or len(images)
    parts = torch.split(images, rows)
    kept = [None] * len(parts) if masked is None else torch.split(masked.kept, rows)
    yield from zip(parts, kept, strict=True)


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
            pooled = trunks.pool(sensor, features[view])
            projected = trunks.project(projector, sensor, pooled)
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
        seen: by space whose views are projected, for looking at and for the memory.
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
    chunk: int | None = None,
) -> Losses:
    """The spaces' losses over the whole batch.

    Args:
        draw_key: seed and step, of the negatives drawn from banks.
        chunk: rows that are put back at a time; None: all.
    """
    by_space, seen, terms = {}, {}, []
    for name, space in graph.spaces.items():
        if space.objective in OF_PIXELS:
            by_space[name] = _reconstruction(nets, graph, name, features, batch, chunk)
            width = 0
        else:
            own = space_inputs(nets, graph, name, features, batch)
            kept = remembered(nets, memory, name, own, space.bank, draw_key)
            by_space[name], seen[name] = space_loss(space, own, kept), own
            width = next(iter(own.vectors.values())).shape[1]
        term = space.weight * by_space[name]
        if graph.divide_by_chance:
            places = len(batch.places) * processes()
            term = term / (chance(space, places, width) or 1.0)
        terms.append(term)
    false = {
        name: (queue.ids[None] == seen[name].places[:, None]).float().mean()
        for name, queue in memory.queues.items()
    }
    return Losses(torch.stack(terms).sum(), by_space, seen, false)


def _reconstruction(
    nets: GraphNets,
    graph: Graph,
    name: str,
    features: Mapping[str, Tensor],
    batch: ViewBatch,
    chunk: int | None,
) -> Tensor:
    """What it costs to put a space's views back, the mean over the whole batch.

    Every process has as many patches removed as any other, so the mean of their means is it.
    """
    views = graph.spaces[name].views
    shown = [graph.pixels_of(view) for view in views]
    own = reconstruction_error(
        nets.reconstructor(name),
        [nets.online.trunk(graph.sensor_of(view)).patch_tokens(features[view]) for view in views],
        [batch.images[pixels] for pixels in shown],
        [batch.masks[pixels] for pixels in shown],
        chunk=chunk,
    )
    return gathered(own[None]).mean()


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
        features = features_of(nets, graph, batch, chunk)
        if chunk is not None:
            features = {
                view: kept.detach().requires_grad_(graph.views[view].encoder == "online")
                for view, kept in features.items()
            }
        losses = losses_of(nets, graph, memory, features, batch, draw_key=draw_key, chunk=chunk)
    torch.autograd.backward(losses.total * share)
    if chunk is not None:
        _backward_of_chunks(nets, graph, batch, features, fabric=fabric, chunk=chunk)
    for name, own in losses.seen.items():
        after_step(graph.spaces[name], own, remembered(nets, memory, name, own, None, draw_key))
    return losses


def _backward_of_chunks(
    nets: GraphNets,
    graph: Graph,
    batch: ViewBatch,
    features: Mapping[str, Tensor],
    *,
    fabric: Fabric,
    chunk: int,
) -> None:
    for view, kept in features.items():
        if kept.grad is None:
            continue
        parts = _shown(batch, graph.pixels_of(view), chunk)
        with _statistics_kept(nets.online):
            for (images, seen), of_part in zip(parts, torch.split(kept.grad, chunk), strict=True):
                with fabric.autocast():
                    again = nets.online.encode(graph.sensor_of(view), images, seen)
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
            masks={view: part_of(own, part) for view, own in batch.masks.items()},
        )


def _wide(vectors: Tensor) -> Tensor:
    """float32 at least: a temperature of .07 makes of bfloat16's steps differences of .06."""
    return vectors.to(torch.promote_types(vectors.dtype, torch.float32))
