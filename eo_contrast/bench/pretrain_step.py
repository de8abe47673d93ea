"""What one pretraining step costs: images a second, shares of what goes before, of the peak."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.flop_counter import FlopCounterMode

from eo_contrast.bands import PRODUCTS
from eo_contrast.bench.random_pack import write_random_pack
from eo_contrast.bench.train_step import convolution_peak, peak_memory_mib, timed
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.place_batches import PlaceBatch, place_batch_at
from eo_contrast.data.place_sources import open_places
from eo_contrast.data.sensors import sensor_input
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.engine import ViewBatch
from eo_contrast.pretrain.nets import build_nets
from eo_contrast.pretrain.trainer import Course, placed, pretraining_step, start_pretraining
from eo_contrast.pretrain.views import draw_of, plan_views, slots_of, views_of
from eo_contrast.training.loop import launch

WARM_UP = 2
PLACES = 4096
BATCHES = 4
"""In the pack that is read: more would be read from the disk and not from memory."""
COLOURS = ("red", "green", "blue")


def bench_pretrain_step(
    config: PretrainConfig, *, device: str = "auto", repeats: int = 5
) -> dict[str, Any]:
    """Time whole steps on a pack of random counts, and count their operations.

    Sensors that may be any eat pictures of three bands; those of a level all its bands. The
    convolution peak is taken again before every step and after the last, and its median told.
    Reading is timed as if nothing were read ahead, as ``pretrain`` does it.

    Args:
        repeats: steps timed, after two that fill the allocator and are not.

    Returns: ``images_per_s`` (views encoded), ``places_per_s``, ``seconds`` of ``read``,
        ``augment`` and ``step`` (medians), ``read_share`` and ``augment_share`` of their sum,
        ``flops`` of a step (2 a multiply-add), ``gflop_per_s``, ``peak_gflop_per_s``,
        ``fraction_of_peak`` of the step, ``peak_rss_mib``.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _measured(config, Path(folder), device, repeats)


def _measured(config: PretrainConfig, pack: Path, device: str, repeats: int) -> dict[str, Any]:
    fabric = launch(device, config.precision)
    layers = _layers(config)
    config = _with_products(config, layers)
    read = _reader(config, layers, pack)
    sensors = {
        name: sensor_input(layer, config.graph.sensors[name].bands)
        for name, layer in layers.items()
    }
    nets = build_nets(config.graph, config.encoder, sensors, config.seed)
    nets = placed(nets, fabric.device, channels_last=config.channels_last, processes=1)
    training = start_pretraining(config, nets, PLACES)
    stored = {layer.product: layer.bands for layer in layers.values()}
    plans = plan_views(config, sensors, stored)
    batch = read()
    course = Course(steps_per_epoch=100, steps=1000, last_step=1000)

    def augment() -> ViewBatch:
        return views_of(
            batch,
            plans,
            seed=config.seed,
            device=fabric.device,
            channels_last=config.channels_last,
        )

    views = augment()
    for _ in range(WARM_UP):
        pretraining_step(training, views, fabric, course)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    works: dict[str, Callable[[], object]] = {
        "read": read,
        "augment": augment,
        "step": lambda: pretraining_step(training, views, fabric, course),
    }
    seconds, peaks = _rounds(works, lambda: convolution_peak(fabric, layout), fabric, repeats)
    memory = peak_memory_mib(fabric)
    with FlopCounterMode(display=False) as counter:
        pretraining_step(training, views, fabric, course)
    return _told(config, fabric, seconds, median(peaks), memory, int(counter.get_total_flops()))


def _rounds(
    works: Mapping[str, Callable[[], object]],
    peak: Callable[[], float],
    fabric: Fabric,
    repeats: int,
) -> tuple[dict[str, float], list[float]]:
    """Median seconds of each work, turn by turn, and the peak between the turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    peaks = [peak()]
    for _ in range(repeats):
        for name, work in works.items():
            taken[name].append(timed(work, fabric))
        peaks.append(peak())
    return {name: median(own) for name, own in taken.items()}, peaks


def _told(
    config: PretrainConfig,
    fabric: Fabric,
    seconds: Mapping[str, float],
    peak: float,
    memory: float,
    flops: int,
) -> dict[str, Any]:
    whole = sum(seconds.values())
    places = config.data.batch_size
    rate = flops / seconds["step"] / 1e9
    return {
        "method": config.method,
        "encoder": config.encoder.name,
        "size": config.data.size,
        "batch_size": places,
        "bands": {name: len(own.bands or ()) for name, own in config.graph.sensors.items()},
        "device": fabric.device.type,
        "precision": config.precision,
        "threads": torch.get_num_threads(),
        "images_per_s": round(places * len(config.graph.views) / whole, 1),
        "places_per_s": round(places / whole, 1),
        "seconds": {name: round(own, 4) for name, own in seconds.items()},
        "read_share": round(seconds["read"] / whole, 4),
        "augment_share": round(seconds["augment"] / whole, 4),
        "flops": flops,
        "gflop_per_s": round(rate, 2),
        "peak_gflop_per_s": round(peak, 2),
        "fraction_of_peak": round(rate / peak, 4),
        "peak_rss_mib": round(memory, 1),
    }


def _layers(config: PretrainConfig) -> dict[str, Layer]:
    """By sensor, a product that it may eat, as a pack would have it."""
    exact = {"auto": "rgb", "s2": "s2-l2a", "s1": "s1-grd"}
    found = {}
    for name, sensor in config.graph.sensors.items():
        product = exact.get(sensor.product, sensor.product)
        bands = COLOURS if product == "rgb" else PRODUCTS[product].bands
        dates = 1 + max(view.date for view in config.graph.views.values())
        found[name] = Layer(product, f"{product}.npy", bands, dates, STORAGE[product])
    return found


def _with_products(config: PretrainConfig, layers: Mapping[str, Layer]) -> PretrainConfig:
    sensors = {
        name: sensor.model_copy(
            update={
                "product": layers[name].product,
                "bands": sensor.bands or layers[name].bands,
            }
        )
        for name, sensor in config.graph.sensors.items()
    }
    graph = config.graph.model_copy(update={"sensors": sensors})
    return config.model_copy(update={"graph": graph})


def _reader(
    config: PretrainConfig, layers: Mapping[str, Layer], pack: Path
) -> Callable[[], PlaceBatch]:
    """What reads the next batch of a random pack, every time that it is called."""
    write_random_pack(
        pack,
        layers.values(),
        places=BATCHES * config.data.batch_size,
        side=config.data.crop or config.data.size,
        seed=config.seed,
    )
    products = {name: layer.product for name, layer in layers.items()}
    draw = draw_of(config, slots_of(config.graph, products), None)
    source, steps = open_places(pack), itertools.count()
    return lambda: place_batch_at(source, draw, next(steps))
