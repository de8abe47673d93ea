"""A pretraining run from a catalogue to a run folder, whole or resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from eo_contrast.data.place_batches import place_batches, usable_places
from eo_contrast.data.place_sources import PlaceSource, open_places
from eo_contrast.data.sensors import SensorInput, sensor_input
from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import refuse_existing
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.engine import ViewBatch
from eo_contrast.pretrain.graph import Graph, refuse_data
from eo_contrast.pretrain.nets import build_nets
from eo_contrast.pretrain.trainer import (
    Course,
    Pretraining,
    placed,
    pretrain_loop,
    start_pretraining,
)
from eo_contrast.pretrain.views import (
    ViewPlan,
    draw_of,
    plan_views,
    resolved_product,
    slots_of,
    views_of,
)
from eo_contrast.pretrain.watch import Watched, look_at, watched_places
from eo_contrast.training.card import MODEL_FILE
from eo_contrast.training.encoder_card import (
    EncoderCard,
    SensorEncoders,
    save_encoder,
)
from eo_contrast.training.log import RunLog
from eo_contrast.training.loop import launch, part
from eo_contrast.training.run_folder import (
    RunOptions,
    checkpoint_of,
    lay_out,
    no_trace_of_unreadable,
    run_log,
)
from eo_contrast.training.start import load_start

TRAIN = "train"


@dataclass(frozen=True)
class Material:
    """What a run learns from.

    Attributes:
        split: of the places used; None: all.
        places: numbers of the places used.
        sensors: what each sensor's encoder eats.
        classes: by place of the source, -1 where it has no label; None: no labels.
    """

    path: Path
    source: PlaceSource
    split: str | None
    places: NDArray[np.int64]
    sensors: dict[str, SensorInput]
    plans: dict[str, ViewPlan]
    classes: NDArray[np.int64] | None


def pretrain(config: PretrainConfig, data: Path, run: Path, options: RunOptions) -> dict[str, Any]:
    """Pretrain on a catalogue or a pack into the folder ``run``.

    Returns: ``run``, ``steps``, ``seconds``, ``losses`` (means of the last interval), ``knn``
        (accuracy at the last look; None without labels).

    Raises:
        InputError: data that cannot fill the graph, an output that exists, a configuration that
            does not fit.
        Interrupted: stopped by a signal; ``resume`` goes on.
        WorldError: the disk is full, or the losses are no longer finite.
    """
    start = time.monotonic()
    config = resolved(config, data)
    material = material_of(config, data)
    fabric = launch(options.device, config.precision)
    if fabric.is_global_zero and not options.resume:
        refuse_existing(run, overwrite=options.overwrite)
    _check_processes(config, fabric)
    course = _course(config, len(material.places), options)
    training = _built(config, material, fabric, options)
    checkpoint = _restore(training, run) if options.resume else {}
    looks: dict[str, float] = {}
    with disk_errors_named(run):
        if fabric.is_global_zero:
            lay_out(run, config, resume=options.resume)
        fabric.barrier()
        log = run_log(run, checkpoint, fabric)
        look = _look(config, material, fabric, log, looks, options)
        with no_trace_of_unreadable(run, fabric), closing(log):
            losses = pretrain_loop(
                training,
                lambda first, last: batches_of(config, material, fabric, first, last),
                fabric=fabric,
                run=run,
                course=course,
                log=log,
                look=look,
                say=options.say,
                quiet=options.quiet or not fabric.is_global_zero,
            )
        if fabric.is_global_zero:
            net, card = encoder_of(training, material)
            save_encoder(net, card, run / MODEL_FILE)
    part(fabric)
    return {
        "run": str(run),
        "steps": training.step,
        "seconds": round(time.monotonic() - start, 3),
        "losses": losses,
        "knn": looks.get("knn"),
    }


def resolved(config: PretrainConfig, data: Path) -> PretrainConfig:
    """The configuration with products and split as this data has them: repeatable elsewhere.

    Raises: InputError: the data has not what the sensors want.
    """
    source = open_places(data)
    there = list(source.layers)
    sensors = {}
    for name, sensor in config.graph.sensors.items():
        product = resolved_product(sensor.product, there, f"graph.sensors.{name}")
        sensors[name] = sensor.model_copy(update={"product": product})
    split = config.data.split
    if split is None and TRAIN in source.splits:
        split = TRAIN
    parts = {
        "graph": config.graph.model_copy(update={"sensors": sensors}),
        "data": config.data.model_copy(update={"split": split}),
    }
    return config.model_copy(update=parts)


def material_of(config: PretrainConfig, data: Path) -> Material:
    """What a resolved configuration finds in the data.

    Raises: InputError: too few places or dates, or bands that are not there.
    """
    source, graph = open_places(data), config.graph
    products = {name: sensor.product for name, sensor in graph.sensors.items()}
    places = usable_places(source, config.data.split, tuple(products.values()))
    dates = {
        name: max(source.dates(int(place), product) for place in places)
        for name, product in products.items()
    }
    try:
        refuse_data(graph, len(places), dates)
    except ValueError as error:
        raise InputError(f"{data}: {error}") from error
    if len(places) < config.data.batch_size:
        raise InputError(
            f"{data}: has {len(places)} places, fewer than data.batch_size "
            f"{config.data.batch_size}: an epoch would have no step; give --set "
            f"data.batch_size={_power_of_two(len(places))}"
        )
    sensors = {
        name: sensor_input(source.layers[sensor.product], sensor.bands)
        for name, sensor in graph.sensors.items()
    }
    stored = {product: source.layers[product].bands for product in products.values()}
    classes = _classes(source)
    _refuse_unlabelled(graph, classes, places, data)
    return Material(
        path=data,
        source=source,
        split=config.data.split,
        places=places,
        sensors=sensors,
        plans=plan_views(config, sensors, stored),
        classes=classes,
    )


def encoder_of(training: Pretraining, material: Material) -> tuple[SensorEncoders, EncoderCard]:
    """The trained trunks, with a card that says what they eat and how they came to be."""
    config, nets = training.config, training.nets
    card = EncoderCard(
        architecture=config.encoder,
        sensors=material.sensors,
        shared=config.graph.shared_trunk,
        size=config.data.size,
        ground_resolution_m=material.source.ground_resolution_m,
        head=_kept_head(config),
        head_layers=config.keep_head_layers,
        trained={
            "method": config.method,
            "steps": training.step,
            "seed": config.seed,
            "places": len(material.places),
            "split": material.split,
            "start": {name: start.path for name, start in config.start.items()},
        },
    )
    net = SensorEncoders(card)
    state = {
        name: value
        for name, value in nets.online.state_dict().items()
        if name.startswith("trunks.")
    }
    if config.keep_head_layers:
        state |= _head_state(training)
    net.load_state_dict({name: state[name] for name in net.state_dict()})
    return net.eval(), card


def _kept_head(config: PretrainConfig) -> Any:
    if not config.keep_head_layers:
        return None
    first = next(iter(config.graph.projecting))
    return config.graph.projectors[config.graph.projector_of(first)]


def _head_state(training: Pretraining) -> dict[str, Any]:
    """The first projector of a space, by the sensors that it serves, as the card's net names it."""
    graph = training.config.graph
    projector = graph.projector_of(next(iter(graph.projecting)))
    found = {}
    for name, value in training.nets.online.projectors.state_dict().items():
        owner, _, rest = name.partition(".")
        if owner.partition("@")[0] == projector:
            sensor = owner.partition("@")[2] or "all"
            found[f"heads.{sensor}.{rest}"] = value
    return found


def _built(
    config: PretrainConfig, material: Material, fabric: Fabric, options: RunOptions
) -> Pretraining:
    try:
        nets = build_nets(config.graph, config.encoder, material.sensors, config.seed)
    except ValueError as error:
        raise InputError(str(error)) from error
    for name, start in ({} if options.resume else config.start).items():
        trunk = nets.online.trunk(name)
        for remark in load_start(start, trunk, material.sensors[name], sensor=name):
            options.say(remark)
    nets.start_slow()
    nets = placed(
        nets,
        fabric.device,
        channels_last=config.channels_last,
        processes=fabric.world_size,
    )
    return start_pretraining(config, nets, len(material.source.splits))


def batches_of(
    config: PretrainConfig, material: Material, fabric: Fabric, first: int, last: int
) -> Iterator[ViewBatch]:
    """This process's views of steps ``first`` to ``last`` - 1."""
    draw = draw_of(config, slots_of(config.graph, products_of(config)), material.split)
    share = replace(
        draw,
        batch_size=draw.batch_size // fabric.world_size,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    for batch in place_batches(material.path, share, first, last, workers=config.data.workers):
        yield views_of(
            batch,
            material.plans,
            seed=config.seed,
            device=fabric.device,
            classes=material.classes,
            channels_last=config.channels_last,
        )


def products_of(config: PretrainConfig) -> dict[str, str]:
    """Of a resolved configuration, by sensor."""
    return {name: sensor.product for name, sensor in config.graph.sensors.items()}


def _course(config: PretrainConfig, places: int, options: RunOptions) -> Course:
    per_epoch = places // config.data.batch_size
    steps = per_epoch * config.schedule.epochs
    return Course(steps_per_epoch=per_epoch, steps=steps, last_step=options.steps or steps)


def _classes(source: PlaceSource) -> NDArray[np.int64] | None:
    names = sorted(set(source.labels) - {""})
    if not names:
        return None
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers.get(label, -1) for label in source.labels])


def _refuse_unlabelled(
    graph: Graph, classes: NDArray[np.int64] | None, places: NDArray[np.int64], data: Path
) -> None:
    wants = [name for name, space in graph.spaces.items() if space.labels == "class"]
    if not wants:
        return
    if classes is None or (classes[places] < 0).any():
        raise InputError(
            f"{data}: space {wants[0]} takes places of one class as alike, but not every place has "
            f"a label; give --set graph.spaces.{wants[0]}.labels=place, or a labelled catalogue"
        )


def _look(
    config: PretrainConfig,
    material: Material,
    fabric: Fabric,
    log: RunLog,
    looks: dict[str, float],
    options: RunOptions,
) -> Callable[[Pretraining, int], None]:
    watched: Watched | None = None

    def look(training: Pretraining, step: int) -> None:
        """Embed the watched places, on the first process, and log what their vectors tell."""
        nonlocal watched
        if fabric.is_global_zero:
            if watched is None:
                watched = watched_places(config, material.source, material.places, material.classes)
            net, card = encoder_of(training, material)
            found = look_at(net.to(fabric.device), card, watched, config.watch)
            looks.clear()
            looks.update(found)
            log.metrics(step, "watch", found)
        fabric.barrier()

    return look


def _check_processes(config: PretrainConfig, fabric: Fabric) -> None:
    share = config.data.batch_size // config.data.accumulate
    if share % fabric.world_size:
        raise InputError(
            f"data.batch_size / accumulate is {share}, not a multiple of the {fabric.world_size} "
            f"processes; set data.batch_size to {fabric.world_size * config.data.accumulate} or a "
            "multiple"
        )


def _restore(training: Pretraining, run: Path) -> dict[str, Any]:
    checkpoint = checkpoint_of(run, training.config)
    training.restore(checkpoint)
    return checkpoint


def _power_of_two(places: int) -> int:
    return 1 << max(places.bit_length() - 2, 1)
