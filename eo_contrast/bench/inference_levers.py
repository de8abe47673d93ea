"""What makes a generator's inference faster, and what each means does to its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from eo_contrast.memory import memory_kept
from eo_contrast.nets.folding import folded
from eo_contrast.nets.generator import ResnetGenerator
from eo_contrast.nets.inference import fast_generator
from eo_contrast.nets.norms import Statistics, fix_statistics

Run = Callable[[Tensor], Tensor]
"""(N, bands in, H, W) float32 in [-1, 1] to (N, bands out, H, W) float32 in [-1, 1]."""
Build = Callable[[ResnetGenerator, Statistics], Run]


@dataclass(frozen=True)
class LeverRow:
    """One lever beside the baseline, which is the net itself, tile by tile.

    Attributes:
        seconds_to_start: building it and its first call, compilation included.
        seconds: a tile, alone, median.
        speed_up: by which it is faster than the baseline run just before it, median.
        speed_up_in_batch: the same a tile, when all tiles run as one batch.
        speed_up_of_workers: of as many workers of one thread as there are threads, over one
            worker that uses all, median.
        mean_grey, max_grey: difference to the baseline in grey levels, of 255.
        same_by_threads: one thread and several give the same bits.
        same_by_batch: a tile alone and in the batch gives the same bits.
    """

    lever: str
    seconds_to_start: float
    seconds: float
    speed_up: float
    speed_up_in_batch: float
    speed_up_of_workers: float
    mean_grey: float
    max_grey: float
    same_by_threads: bool
    same_by_batch: bool


def eager(net: ResnetGenerator, statistics: Statistics) -> Run:
    """The baseline: the net as it is trained, norms fixed, float32."""
    copy = deepcopy(net)
    fix_statistics(copy, statistics)
    return copy


def folded_channels_last(net: ResnetGenerator, statistics: Statistics) -> Run:
    """Norms folded, the channels of a pixel side by side in memory."""
    return _in_channels_last(folded(net, statistics))


def folded_bf16(net: ResnetGenerator, statistics: Statistics) -> Run:
    """Norms folded, every convolution in bfloat16."""
    return _in_bfloat16_whole(folded(net, statistics))


def folded_bf16_channels_last(net: ResnetGenerator, statistics: Statistics) -> Run:
    """Both of these."""
    return _in_channels_last(_in_bfloat16_whole(folded(net, statistics)))


def fast_fp32(net: ResnetGenerator, statistics: Statistics) -> Run:
    """What users get in full precision."""
    return fast_generator(net, statistics, precision="fp32")


def fast_bf16(net: ResnetGenerator, statistics: Statistics) -> Run:
    """What users get in bfloat16."""
    return fast_generator(net, statistics, precision="bf16")


def fast_bf16_memory_kept(net: ResnetGenerator, statistics: Statistics) -> Run:
    """The same, and freed memory is not given back before the call ends."""
    run = fast_bf16(net, statistics)

    def kept(tiles: Tensor) -> Tensor:
        with memory_kept():
            return run(tiles)

    return kept


def compiled(build: Build) -> Build:
    """``build`` by torch.compile, once for every shape and number of threads."""
    return lambda net, statistics: torch.compile(build(net, statistics), dynamic=False)


LEVERS: dict[str, Build] = {
    "eager": eager,
    "folded": folded,
    "folded, channels-last": folded_channels_last,
    "folded, bf16": folded_bf16,
    "folded, bf16, channels-last": folded_bf16_channels_last,
    "fast fp32": fast_fp32,
    "fast bf16": fast_bf16,
    "fast bf16, memory kept": fast_bf16_memory_kept,
}
"""Those that need no compiler; :func:`compiled` makes more of them."""


def measure_levers(
    net: ResnetGenerator,
    statistics: Statistics,
    tiles: Tensor,
    *,
    levers: Mapping[str, Build] = LEVERS,
    repeats: int = 5,
) -> Iterator[LeverRow]:
    """Set each lever beside the baseline, which runs again before each of its runs.

    So a clock that wanders, or a neighbour that comes and goes, takes from both.

    Args:
        net: on the CPU, in float32.
        statistics: of the scene that ``tiles`` are of.
        tiles: (N, bands, H, W) float32 in [-1, 1]; N tiles make the batch.
        repeats: of each pair of runs, after one that is not timed.

    Returns: a row a lever, as soon as it is measured.
    """
    baseline = eager(net, statistics)
    reference = _inferred(baseline, tiles[:1])
    for name, build in levers.items():
        start = time.perf_counter()
        run = build(net, statistics)
        result = _inferred(run, tiles[:1])
        seconds_to_start = time.perf_counter() - start
        grey = (result - reference).abs() * 127.5
        yield LeverRow(
            lever=name,
            seconds_to_start=round(seconds_to_start, 3),
            mean_grey=float(grey.mean()),
            max_grey=float(grey.max()),
            same_by_threads=_same_by_threads(run, tiles[:1]),
            same_by_batch=_same_by_batch(run, tiles),
            **_timings(baseline, run, tiles, repeats),
        )


def _timings(baseline: Run, run: Run, tiles: Tensor, repeats: int) -> dict[str, float]:
    tile, count = tiles[:1], len(tiles)

    def one_by_one() -> None:
        _inferred(baseline, tile)

    alone, seconds = _paired(one_by_one, lambda: _inferred(run, tile), repeats)
    in_batch, _ = _paired(one_by_one, lambda: _inferred(run, tiles), repeats)
    of_workers, _ = _paired(lambda: _in_turn(run, tile), lambda: _by_workers(run, tile), repeats)
    return {
        "seconds": round(seconds, 4),
        "speed_up": round(alone, 3),
        "speed_up_in_batch": round(in_batch * count, 3),
        "speed_up_of_workers": round(of_workers, 3),
    }


def _paired(
    first: Callable[[], object], second: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """How many times faster the second is, and its seconds: medians of interleaved runs."""
    second()
    pairs = [(_seconds(first), _seconds(second)) for _ in range(repeats)]
    return median(a / b for a, b in pairs), median(b for _, b in pairs)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _inferred(run: Run, tiles: Tensor) -> Tensor:
    # Each thread has an inference mode of its own.
    with torch.inference_mode():
        return run(tiles)


def _in_turn(run: Run, tile: Tensor) -> None:
    for _ in range(torch.get_num_threads()):
        _inferred(run, tile)


def _by_workers(run: Run, tile: Tensor) -> None:
    workers = torch.get_num_threads()
    with _threads(1), ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _: _inferred(run, tile), range(workers)))


def _same_by_threads(run: Run, tile: Tensor) -> bool:
    several = max(2, torch.get_num_threads())
    with _threads(1):
        by_one = _inferred(run, tile)
    with _threads(several):
        return torch.equal(by_one, _inferred(run, tile))


def _same_by_batch(run: Run, tiles: Tensor) -> bool:
    together = _inferred(run, tiles)
    alone = [_inferred(run, tiles[index : index + 1]) for index in range(len(tiles))]
    return torch.equal(together, torch.cat(alone))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_channels_last(net: nn.Sequential) -> Run:
    quick = net.to(memory_format=torch.channels_last)

    def run(tiles: Tensor) -> Tensor:
        result: Tensor = quick(tiles.contiguous(memory_format=torch.channels_last))
        return result.contiguous()

    return run


def _in_bfloat16_whole(net: nn.Sequential) -> nn.Sequential:
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(torch.bfloat16)
    return nn.Sequential(_Narrow(), *net)


class _Narrow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.bfloat16()
