"""Whole training steps beside lightly's on the same encoder, batch and machine.

``python tests/pretrain/lightly_study.py [--side 64] [--batch 128] [--rounds 5]``, with lightly
installed, which nothing else needs. Both train ResNet-18 on the same random pictures: ours from a
pack, lightly's from PIL images in memory by torch's data loader, once for each number of workers,
of which the best counts. Reading, augmentation with SimCLR's choices, both passes, loss and
optimiser are all in. Turns are taken, each in a process of its own: ours sets how the C library
keeps memory, by which a neighbour would gain. Medians are told, as images (views) a second.
"""

from __future__ import annotations

import copy
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import timm
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead, SimCLRProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms import MoCoV2Transform, SimCLRTransform
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from eo_contrast.bench.random_pack import write_random_pack
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.config import find_config, load_config
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.run import _built, batches_of, material_of, resolved
from eo_contrast.pretrain.trainer import Course, pretraining_step
from eo_contrast.training.loop import launch
from eo_contrast.training.run_folder import RunOptions

PLACES, QUEUE, ENDLESS, WORKERS = 1024, 1024, 1_000_000, (0, 1)
WARM_UP, COUNTED = 2, 4


def ours(method: str, pack: Path, side: int, batch: int) -> Callable[[], object]:
    """One step of a shipped method, with its published augmentation, from the pack."""
    values = [f"data.size={side}", f"data.batch_size={batch}", "data.crop=null",
              "encoder.name=resnet18"]  # fmt: skip
    if method == "moco_v2":
        values += [f"graph.spaces.instance.queue={QUEUE}"]
    config = load_config(PretrainConfig, find_config(method, "configs/pretrain"), values)
    config = resolved(config, pack)
    fabric = launch("cpu", "32-true")
    material = material_of(config, pack)
    training = _built(config, material, fabric, RunOptions(device="cpu", quiet=True))
    course = Course(steps_per_epoch=100, steps=ENDLESS, last_step=ENDLESS)
    batches = batches_of(config, material, fabric, 0, ENDLESS)
    return lambda: pretraining_step(training, next(batches), fabric, course)


class Pictures(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Two views of each random picture."""

    def __init__(self, transform: Callable[..., list[torch.Tensor]], side: int) -> None:
        draws = np.random.default_rng(0)
        shape = (PLACES, side, side, 3)
        self._images = [
            Image.fromarray(each) for each in draws.integers(0, 255, shape, dtype=np.uint8)
        ]
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        one, other = self._transform(self._images[number])
        return one, other


class Encoder(nn.Module):
    """The same trunk as ours, and lightly's head."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.trunk = timm.create_model("resnet18", num_classes=0)
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(images))


def lightlys(method: str, side: int, batch: int, workers: int) -> Callable[[], object]:
    """One step as lightly's own examples write it."""
    moco = method == "moco_v2"
    transform = (MoCoV2Transform if moco else SimCLRTransform)(input_size=side)
    loader = DataLoader(
        Pictures(transform, side), batch, shuffle=True, drop_last=True, num_workers=workers
    )
    batches: Iterator[list[torch.Tensor]] = itertools.chain.from_iterable(itertools.repeat(loader))
    head = (MoCoProjectionHead if moco else SimCLRProjectionHead)(512, 512, 128)
    online = Encoder(head).to(memory_format=torch.channels_last)
    slow = copy.deepcopy(online)
    deactivate_requires_grad(slow)
    loss_of = NTXentLoss(0.1, memory_bank_size=(QUEUE, 128) if moco else 0)
    optimizer = torch.optim.SGD(online.parameters(), lr=0.06, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        one, other = (each.contiguous(memory_format=torch.channels_last) for each in next(batches))
        if moco:
            update_momentum(online, slow, 0.999)
            with torch.no_grad():
                key = slow(other)
            loss = loss_of(online(one), key)
        else:
            loss = loss_of(online(one), online(other))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


@click.command()
@click.option("--side", default=64)
@click.option("--batch", default=128)
@click.option("--rounds", default=5)
@click.option("--method", "methods", multiple=True, default=("simclr", "moco_v2"))
@click.option("--turn", help="This one alone, of ours or a number of workers: seconds a step.")
def main(side: int, batch: int, rounds: int, methods: tuple[str, ...], turn: str | None) -> None:
    for method in methods:
        if turn is not None:
            click.echo(json.dumps(seconds_a_step(turn, method, side, batch)))
            continue
        told = rates(method, side, batch, rounds)
        click.echo(json.dumps({"method": method, "side": side, "batch": batch} | told))


def rates(method: str, side: int, batch: int, rounds: int) -> dict[str, float]:
    """Images a second of each, and ours over the best of the others."""
    names = {"ours": "ours"} | {str(each): f"lightly, {each} workers" for each in WORKERS}
    taken: dict[str, list[float]] = {name: [] for name in names.values()}
    for _ in range(rounds):
        for turn, name in names.items():
            words = ["--side", side, "--batch", batch, "--method", method, "--turn", turn]
            command = [sys.executable, __file__, *map(str, words)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            taken[name].append(json.loads(done.stdout))
    told = {name: round(2 * batch / statistics.median(own), 1) for name, own in taken.items()}
    best = max(rate for name, rate in told.items() if name != "ours")
    return told | {"ratio": round(told["ours"] / best, 2)}


def seconds_a_step(turn: str, method: str, side: int, batch: int) -> float:
    """Mean of some steps, after those that use up what a loader has read ahead."""
    if turn != "ours":
        return timed(lightlys(method, side, batch, int(turn)))
    with tempfile.TemporaryDirectory() as name:
        layer = Layer("rgb", "rgb.npy", ("red", "green", "blue"), 1, STORAGE["rgb"])
        write_random_pack(Path(name), [layer], places=PLACES, side=side)
        return timed(ours(method, Path(name), side, batch))


def timed(step: Callable[[], object]) -> float:
    """Seconds a step."""
    for _ in range(WARM_UP + 2 * max(WORKERS)):
        step()
    start = time.perf_counter()
    for _ in range(COUNTED):
        step()
    return (time.perf_counter() - start) / COUNTED


if __name__ == "__main__":
    main()
