"""What one translator training step costs: operations counted, seconds and memory measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.flop_counter import FlopCounterMode

from eo_contrast.data.loader import Batch
from eo_contrast.training.log import peak_rss_mib
from eo_contrast.training.loop import launch
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.recipes import RECIPES
from eo_contrast.translate.trainer import (
    Training,
    memory_layout,
    moved,
    start_training,
    training_step,
)

PEAK_CHANNELS = 256
PEAK_SIDE = 64
PEAK_SECONDS = 1.0
WARM_UP = 3


def bench_train_step(
    config: TranslatorConfig, *, size: int, device: str = "auto", repeats: int = 5
) -> dict[str, Any]:
    """Time whole steps on random images and set them beside the convolution peak.

    A step that mirrors its sources computes the keys anew, so both kinds are counted; the
    unmirrored kind is timed. The peak is taken again before every step and after the last,
    and its median told beside the steps' median: a processor's clock wanders by a tenth.

    Args:
        size: side of the images, pixels, a multiple of 4.
        repeats: steps timed, after three that fill the allocator and are not.

    Returns: ``flops`` of one step (2 a multiply-add), ``flops_mirrored`` (``None`` where the
        recipe does not mirror), ``seconds_median``, ``gflop_per_s``, ``peak_gflop_per_s``
        (one 3x3 convolution, 256 to 256 channels at 64x64, forward and backward, in the same
        precision, the best of a second), ``fraction_of_peak``, ``peak_rss_mib``.
    """
    fabric = launch(device, config.precision)
    training = start_training(config, fabric.device)
    batch = moved(_random_batch(config, size), fabric.device, config)
    layout = memory_layout(config)
    plain = _steps_that_mirror(training, size, mirrored=False, count=repeats + WARM_UP)
    for step in plain[:WARM_UP]:
        _seconds(training, batch, fabric, step)
    seconds, peaks = [], [convolution_peak(fabric, layout)]
    for step in plain[WARM_UP:]:
        seconds.append(_seconds(training, batch, fabric, step))
        peaks.append(convolution_peak(fabric, layout))
    peak = median(peaks)
    # The counter itself holds memory: it comes after the peak has been read.
    memory = peak_memory_mib(fabric)
    flops = _count(training, batch, fabric, plain[0])
    mirrored = None
    if config.loss.flip_equivariance:
        step = _steps_that_mirror(training, size, mirrored=True, count=1)[0]
        mirrored = _count(training, batch, fabric, step)
    rate = flops / median(seconds) / 1e9
    return {
        "recipe": config.recipe,
        "size": size,
        "device": fabric.device.type,
        "precision": config.precision,
        "threads": torch.get_num_threads(),
        "flops": flops,
        "flops_mirrored": mirrored,
        "seconds_median": round(median(seconds), 4),
        "gflop_per_s": round(rate, 2),
        "peak_gflop_per_s": round(peak, 2),
        "fraction_of_peak": round(rate / peak, 4),
        "peak_rss_mib": round(memory, 1),
    }


def convolution_peak(
    fabric: Fabric, layout: torch.memory_format = torch.contiguous_format
) -> float:
    """GFLOP/s of the residual blocks' convolution alone, forward and backward, best of many."""
    convolution = torch.nn.Conv2d(PEAK_CHANNELS, PEAK_CHANNELS, 3, padding=1).to(fabric.device)
    image = torch.randn(1, PEAK_CHANNELS, PEAK_SIDE, PEAK_SIDE, device=fabric.device)
    convolution.to(memory_format=layout)
    image = image.contiguous(memory_format=layout).requires_grad_(True)
    flops = 3 * 2 * PEAK_CHANNELS**2 * 9 * PEAK_SIDE**2

    def once() -> None:
        with fabric.autocast():
            output = convolution(image)
        output.backward(output.detach())

    once()
    best, end = float("inf"), time.perf_counter() + PEAK_SECONDS
    while time.perf_counter() < end:
        best = min(best, timed(once, fabric))
    return flops / best / 1e9


def _random_batch(config: TranslatorConfig, size: int) -> Batch:
    draws = torch.Generator().manual_seed(config.seed)
    count = config.data.batch_size
    source = torch.rand(count, config.generator.bands_in, size, size, generator=draws) * 2 - 1
    target = torch.rand(count, config.generator.bands_out, size, size, generator=draws) * 2 - 1
    indices = tuple((number, number) for number in range(count))
    return Batch(
        source,
        target,
        indices,
        tags=(config.discriminator.tags or ("",))[:1] * count,
    )


def _steps_that_mirror(training: Training, size: int, *, mirrored: bool, count: int) -> list[int]:
    config, found, step = training.config, list[int](), 0
    recipe = RECIPES[config.recipe]
    while len(found) < count:
        draws = recipe.draw(
            training.nets,
            (size, size),
            seed=config.seed,
            step=step,
            images=range(1),
            loss=config.loss,
        )
        if draws.flip == mirrored:
            found.append(step)
        step += 1
    return found


def _count(training: Training, batch: Batch, fabric: Fabric, step: int) -> int:
    training.step = step
    with FlopCounterMode(display=False) as counter:
        training_step(training, batch, fabric, learning_rate_factor=1.0)
    return int(counter.get_total_flops())


def _seconds(training: Training, batch: Batch, fabric: Fabric, step: int) -> float:
    training.step = step
    return timed(lambda: training_step(training, batch, fabric, learning_rate_factor=1.0), fabric)


def timed(work: Callable[[], object], fabric: Fabric) -> float:
    """Seconds that work takes, until its device is done."""
    start = time.perf_counter()
    work()
    if fabric.device.type == "cuda":
        torch.cuda.synchronize()
    elif fabric.device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - start


def peak_memory_mib(fabric: Fabric) -> float:
    """Most memory held so far: of the GPU, or of the process."""
    if fabric.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return peak_rss_mib()
