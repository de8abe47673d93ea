"""What every training loop here needs: devices, processes, gradients, signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eo_contrast.memory import keep_freed_memory
from eo_contrast.training.device import resolve_device


def launch(device: str, precision: str) -> Fabric:
    """A Fabric on one device, or on one a process where torchrun started several.

    Args:
        device: auto, cpu, cuda or mps.
        precision: 32-true, bf16-mixed, or auto: bf16-mixed on a GPU that has it.

    Raises:
        InputError: the device is not there.
    """
    accelerator = resolve_device(device)
    if accelerator == "cpu":
        keep_freed_memory()
    if precision == "auto":
        has_bf16 = accelerator == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bf16-mixed" if has_bf16 else "32-true"
    processes = process_count()
    nodes = processes // int(os.environ.get("LOCAL_WORLD_SIZE", str(processes)))
    fabric = Fabric(
        accelerator=accelerator,
        devices=max(processes // nodes, 1),
        num_nodes=nodes,
        strategy="ddp" if processes > 1 else "auto",
        precision=cast(Any, precision),
    )
    fabric.launch()
    return fabric


def process_count() -> int:
    """How many processes torchrun, or whoever started this one, has started together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def part(fabric: Fabric) -> None:
    """End the connection of a run's processes, when all of them have come here.

    Left to the interpreter's end, its threads are now and then ended while they run, and a process
    aborts with its work done.
    """
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()


def average_gradients(fabric: Fabric, nets: Iterable[nn.Module]) -> None:
    """Replace each gradient by its mean over all processes.

    A translator runs its nets several times a step and freezes some in between, which
    DistributedDataParallel's hooks do not follow; one flat exchange after the backward pass
    does, and gives the gradient of the whole batch.
    """
    if fabric.world_size == 1:
        return
    gradients = [p.grad for net in nets for p in net.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    mean = cast(Tensor, fabric.all_reduce(flat, reduce_op="mean"))
    parts = torch.split(mean, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def average_values(fabric: Fabric, values: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars averaged over all processes, as plain numbers."""
    stacked = torch.stack([value.detach().float() for value in values.values()])
    if fabric.world_size > 1:
        stacked = cast(Tensor, fabric.all_reduce(stacked, reduce_op="mean"))
    return dict(zip(values, stacked.tolist(), strict=True))


@contextmanager
def frozen(*nets: nn.Module) -> Iterator[None]:
    """Within the block, gradients pass through ``nets`` but none is kept for them."""
    for net in nets:
        net.requires_grad_(False)
    try:
        yield
    finally:
        for net in nets:
            net.requires_grad_(True)


@dataclass
class StopSignal:
    """Whether SIGTERM or Ctrl-C arrived since training began."""

    received: bool = False

    def anywhere(self, fabric: Fabric) -> bool:
        """True on every process when any one of them was told to stop."""
        if fabric.world_size == 1:
            return self.received
        told = torch.tensor(float(self.received), device=fabric.device)
        return bool(cast(Tensor, fabric.all_reduce(told, reduce_op="sum")) > 0)


@contextmanager
def stop_signal() -> Iterator[StopSignal]:
    """Collect SIGTERM and SIGINT, so that the step in progress ends and is saved."""
    stop = StopSignal()

    def remember(_number: int, _frame: FrameType | None) -> None:
        stop.received = True

    before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
