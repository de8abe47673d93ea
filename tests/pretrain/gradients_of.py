"""Loss and gradient of one step of several methods, of all processes together, in float64.

``python gradients_of.py PACK OUT METHOD...``, alone or under torchrun: OUT gets by method the
losses and the gradients that an optimiser would see.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from small_run import small

from eo_contrast.pretrain import run as runs
from eo_contrast.pretrain.engine import ViewBatch, backward, new_memory
from eo_contrast.pretrain.nets import build_nets
from eo_contrast.pretrain.trainer import placed
from eo_contrast.training.loop import average_gradients, launch, part


def main(pack: Path, out: Path, methods: list[str]) -> None:
    fabric = launch("cpu", "32-true")
    found = {}
    for method in methods:
        config = runs.resolved(small(method, channels_last=False), pack)
        material = runs.material_of(config, pack)
        nets = build_nets(config.graph, config.encoder, material.sensors, config.seed).double()
        nets = placed(nets, fabric.device, channels_last=False, processes=fabric.world_size)
        memory = in_float64(new_memory(config.graph, 20, config.seed, fabric.device))
        batch = in_float64_batch(next(runs.batches_of(config, material, fabric, 0, 1)))
        losses = backward(nets, config.graph, memory, batch, fabric=fabric, draw_key=(0, 0))
        average_gradients(fabric, [nets])
        found[method] = {
            "losses": torch.stack(list(losses.by_space.values())).detach(),
            "gradients": {name: p.grad for name, p in nets.learning() if p.grad is not None},
            "queues": {name: queue.keys for name, queue in memory.queues.items()},
            "norms": {n: b for n, b in nets.named_buffers() if b.is_floating_point()},
        }
    if fabric.is_global_zero:
        torch.save(found, out)
    part(fabric)


def in_float64(memory):
    for queue in memory.queues.values():
        queue.keys = queue.keys.double()
    for banks in memory.banks.values():
        for bank in banks.values():
            bank.vectors = bank.vectors.double()
    return memory


def in_float64_batch(batch: ViewBatch) -> ViewBatch:
    return replace(batch, images={name: own.double() for name, own in batch.images.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
