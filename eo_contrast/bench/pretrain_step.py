"""What one pretraining step costs: images a second, the share of augmentation, of the peak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.flop_counter import FlopCounterMode

from eo_contrast.bands import PRODUCTS
from eo_contrast.bench.train_step import convolution_peak, peak_memory_mib, timed
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.place_batches import PlaceBatch
from eo_contrast.data.sensors import sensor_input
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.engine import ViewBatch
from eo_contrast.pretrain.nets import build_nets
from eo_contrast.pretrain.trainer import Course, placed, pretraining_step, start_pretraining
from eo_contrast.pretrain.views import plan_views, slots_of, views_of
from eo_contrast.training.loop import launch

WARM_UP = 2
PLACES = 4096
COLOURS = ("red", "green", "blue")


def bench_pretrain_step(
    config: PretrainConfig, *, device: str = "auto", repeats: int = 5
) -> dict[str, Any]:
    """Time whole steps on random counts, augmentation included, and count their operations.

    Sensors that may be any eat pictures of three bands; those of a level all its bands. The
    convolution peak is taken again before every step and after the last, and its median told.

    Args:
        repeats: steps timed, after two that fill the allocator and are not.

    Returns: ``images_per_s`` (views encoded), ``places_per_s``, ``seconds`` of ``augment`` and
        ``step`` (medians), ``augment_share`` of both, ``flops`` of a step (2 a multiply-add),
        ``gflop_per_s``, ``peak_gflop_per_s``, ``fraction_of_peak``, ``peak_rss_mib``.
    """
    fabric = launch(device, config.precision)
    layers = _layers(config)
    config = _with_products(config, layers)
    sensors = {name: sensor_input(layer, config.graph.sensors[name].bands) for name, layer in
               layers.items()}  # fmt: skip
    nets = build_nets(config.graph, config.encoder, sensors, config.seed)
    nets = placed(nets, fabric.device, channels_last=config.channels_last, processes=1)
    training = start_pretraining(config, nets, PLACES)
    stored = {layer.product: layer.bands for layer in layers.values()}
    plans = plan_views(config, sensors, stored)
    batch = _random_batch(config, layers)
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
    seconds, peaks = _rounds(
        {
            "augment": augment,
            "step": lambda: pretraining_step(training, views, fabric, course),
        },
        lambda: convolution_peak(fabric, layout),
        fabric,
        repeats,
    )
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
        found[name] = Layer(product, "", bands, dates, STORAGE[product])
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


def _random_batch(config: PretrainConfig, layers: Mapping[str, Layer]) -> PlaceBatch:
    """Counts within what each product holds, of places numbered from 0."""
    draws = np.random.default_rng(config.seed)
    products = {name: layer.product for name, layer in layers.items()}
    by_product = {layer.product: layer for layer in layers.values()}
    places = config.data.batch_size
    side = config.data.crop or config.data.size
    counts, slots = {}, slots_of(config.graph, products)
    for slot in slots:
        layer = by_product[slot.product]
        low, high = (-2500, 0) if slot.product.startswith("s1") else (0, 1 / layer.storage.scale)
        shape = (places, len(layer.bands), side, side)
        drawn = draws.integers(low, int(high), shape, dtype=layer.storage.dtype)
        counts[slot.name] = torch.from_numpy(drawn)
    return PlaceBatch(
        counts=counts,
        layers={slot.name: by_product[slot.product] for slot in slots},
        places=tuple(range(places)),
        samples=tuple(range(places)),
        dates={slot.name: (slot.date,) * places for slot in slots},
    )
