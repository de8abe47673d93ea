"""The loop of pretraining: views, spaces, gradients; watched, saved, resumed exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from eo_contrast.errors import Interrupted, WorldError
from eo_contrast.nets.synced_norm import synced
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.engine import (
    Losses,
    Memory,
    ViewBatch,
    backward,
    move_slow,
    new_memory,
    pieces,
)
from eo_contrast.pretrain.memory import Bank, Queue
from eo_contrast.pretrain.nets import GraphNets
from eo_contrast.pretrain.observe import faults_of, observed
from eo_contrast.pretrain.optimizers import build_optimizer, set_rates
from eo_contrast.progress import progress
from eo_contrast.training.checkpoint import CHECKPOINT_FILE, save_checkpoint
from eo_contrast.training.log import MeanOfInterval, RunLog
from eo_contrast.training.loop import average_gradients, stop_signal


@dataclass
class Pretraining:
    """Everything that decides the next step, and what does the work."""

    config: PretrainConfig
    nets: GraphNets
    memory: Memory
    optimizer: torch.optim.Optimizer
    step: int = 0
    interval: MeanOfInterval = field(default_factory=MeanOfInterval)

    def state(self, metrics_bytes: int) -> dict[str, Any]:
        """For the checkpoint."""
        return {
            "step": self.step,
            "nets": {"graph": self.nets.state_dict()},
            "optimizer": self.optimizer.state_dict(),
            "memory": memory_state(self.memory),
            "interval": self.interval.state,
            "metrics_bytes": metrics_bytes,
            "config": self.config.model_dump(mode="json"),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.step = state["step"]
        self.interval = MeanOfInterval(state["interval"])
        self.nets.load_state_dict(state["nets"]["graph"])
        self.optimizer.load_state_dict(state["optimizer"])
        restore_memory(self.memory, state["memory"])


@dataclass(frozen=True)
class Course:
    """How long a run is.

    Attributes:
        steps_per_epoch: >= 1.
        steps: of the whole run, which the schedules are laid over.
        last_step: where this run stops.
    """

    steps_per_epoch: int
    steps: int
    last_step: int


def start_pretraining(config: PretrainConfig, nets: GraphNets, places: int) -> Pretraining:
    """A run at its first step, with nets that are where they will be trained.

    Args:
        places: how many the data has.
    """
    device = next(nets.parameters()).device
    memory = new_memory(config.graph, places, config.seed, device)
    optimizer = build_optimizer(nets.learning(), config.optimizer, config.data.batch_size)
    return Pretraining(config, nets, memory, optimizer)


def placed(
    nets: GraphNets, device: torch.device, *, channels_last: bool, processes: int
) -> GraphNets:
    """The nets on their device, in the layout of the images, with norms over all processes."""
    if processes > 1:
        nets = synced(nets)
    nets.to(device)
    if channels_last:
        nets.to(memory_format=torch.channels_last)
    return nets.train()


def pretraining_step(
    training: Pretraining, batch: ViewBatch, fabric: Fabric, course: Course
) -> Losses:
    """One step: gradients of all parts, their mean over processes, an update.

    Args:
        batch: this process's share.

    Returns: the losses of the last part.
    """
    config, nets, graph = training.config, training.nets, training.config.graph
    factor = config.schedule.factor_at(
        training.step / course.steps_per_epoch, course.steps / course.steps_per_epoch
    )
    set_rates(training.optimizer, factor)
    training.optimizer.zero_grad(set_to_none=True)
    if graph.momentum.moves == "before":
        move_slow(nets, graph, training.step, course.steps)
    nets.normalise_prototypes()
    parts = config.data.accumulate
    for number, piece in enumerate(pieces(batch, parts)):
        losses = backward(
            nets,
            graph,
            training.memory,
            piece,
            fabric=fabric,
            draw_key=(config.seed, training.step * parts + number),
            chunk=config.data.chunk,
            share=1 / parts,
        )
    for name, rows in nets.prototypes.items():
        if training.step < graph.spaces[name].frozen_steps:
            rows.grad = None
    average_gradients(fabric, [nets])
    if config.optimizer.clip_norm is not None:
        nn.utils.clip_grad_norm_(nets.parameters(), config.optimizer.clip_norm)
    training.optimizer.step()
    if graph.momentum.moves == "after":
        move_slow(nets, graph, training.step, course.steps)
    training.step += 1
    return losses


def pretrain_loop(
    training: Pretraining,
    views: Callable[[int, int], Iterator[ViewBatch]],
    *,
    fabric: Fabric,
    run: Path,
    course: Course,
    log: RunLog,
    look: Callable[[Pretraining, int], None],
    say: Callable[[str], None],
    quiet: bool = False,
) -> dict[str, float]:
    """Train up to ``course.last_step``; the last interval's means are returned.

    Args:
        views: batches of steps from .. to, of this process.
        look: called every ``watch.every`` epochs and at the end.

    Raises:
        Interrupted: a signal asked to stop; the step was finished and saved.
        WorldError: a loss is no longer finite; the last checkpoint is from before.
    """
    config = training.config
    means: dict[str, float] = {}
    announced: set[str] = set()
    clock = time.monotonic()
    title = config.method or "pretrain"
    with (
        stop_signal() as stop,
        progress(title, course.last_step, done=training.step, quiet=quiet) as advance,
    ):
        for batch in views(training.step, course.last_step):
            losses = pretraining_step(training, batch, fabric, course)
            training.interval.add(_finite(losses, training.step, run))
            step = training.step
            if step % config.log_every == 0 or step == course.last_step:
                facts = observed(config.graph, losses)
                means = training.interval.take() | facts | _state_of(training)
                log.metrics(step, "train", means)
                now = time.monotonic()
                log.timings(step, {"seconds": now - clock})
                clock = now
                advance(step, f"loss {means['loss']:.3f}")
                if step >= course.steps_per_epoch and fabric.is_global_zero:
                    _announce(facts, config, announced, say)
            if step % (config.watch.every * course.steps_per_epoch) == 0 or (
                step == course.last_step
            ):
                look(training, step)
            ending = stop.anywhere(fabric)
            if ending or step % config.save_every == 0 or step == course.last_step:
                if fabric.is_global_zero:
                    save_checkpoint(run / CHECKPOINT_FILE, training.state(log.flushed_bytes()))
                fabric.barrier()
            if ending and step < course.last_step:
                raise Interrupted(
                    f"{run}: stopped after step {step} of {course.last_step}, state saved; "
                    "the same command with --resume goes on"
                )
    return means


def _announce(
    facts: Mapping[str, float],
    config: PretrainConfig,
    announced: set[str],
    say: Callable[[str], None],
) -> None:
    """Say what is wrong when it begins, not at every row."""
    faults = faults_of(facts, config.graph)
    for name in sorted(faults.keys() - announced):
        say(f"warning: {faults[name]}")
    announced.clear()
    announced.update(faults)


def memory_state(memory: Memory) -> dict[str, Any]:
    """Queues, banks and normalisers as tensors and plain values."""
    return {
        "queues": {
            name: {"keys": queue.keys, "place": queue.place, "ids": queue.ids}
            for name, queue in memory.queues.items()
        },
        "banks": {
            name: {view: bank.vectors for view, bank in banks.items()}
            for name, banks in memory.banks.items()
        },
        "normalisers": {
            name: [[*pair, value] for pair, value in found.items()]
            for name, found in memory.normalisers.items()
        },
    }


def restore_memory(memory: Memory, state: Mapping[str, Any]) -> None:
    """Put back what :func:`memory_state` gave."""
    for name, queue in state["queues"].items():
        device = memory.queues[name].keys.device
        memory.queues[name] = Queue(
            queue["keys"].to(device), queue["place"], queue["ids"].to(device)
        )
    for name, banks in state["banks"].items():
        for view, vectors in banks.items():
            device = memory.banks[name][view].vectors.device
            memory.banks[name][view] = Bank(vectors.to(device))
    for name, found in state["normalisers"].items():
        memory.normalisers[name] = {(one, other): value for one, other, value in found}


def _state_of(training: Pretraining) -> dict[str, float]:
    return {"lr": training.optimizer.param_groups[0]["lr"]}


def _finite(losses: Losses, step: int, run: Path) -> dict[str, float]:
    names = ["loss", *(f"loss/{name}" for name in losses.by_space)]
    found = torch.stack([losses.total, *losses.by_space.values()]).detach().float().tolist()
    values = dict(zip(names, found, strict=True))
    for name, value in values.items():
        if value != value or abs(value) == float("inf"):
            raise WorldError(
                f"{run}: {name} is {value} at step {step}; the last checkpoint is from before: "
                "lower optimizer.lr, or use precision 32-true, and --resume"
            )
    return values
