"""A fine-tuning run: a labelled catalogue and an encoder in, a land-cover model out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lightning_fabric import Fabric

from eo_contrast.bands import PRODUCTS
from eo_contrast.data.place_sources import PlaceSource, open_places
from eo_contrast.data.sensors import RGB, SensorInput, sensor_input
from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import refuse_existing
from eo_contrast.landcover.batches import Draw, Material
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.labels import LabelledPlaces, labelled_places
from eo_contrast.landcover.nets import LandCoverNet, build_land_cover
from eo_contrast.landcover.predict import split_scores
from eo_contrast.landcover.trainer import Finetuning, finetune_loop, start_finetuning
from eo_contrast.nets.encoders import ARCHITECTURES
from eo_contrast.training.card import MODEL_FILE, model_file, save_model
from eo_contrast.training.encoder_card import (
    EncoderCard,
    SensorEncoders,
    check_bands,
    load_encoder,
)
from eo_contrast.training.land_cover_card import LandCoverCard
from eo_contrast.training.loop import launch, part
from eo_contrast.training.run_folder import (
    checkpoint_of,
    lay_out,
    no_trace_of_unreadable,
    run_log,
)

RANDOM = "random"


@dataclass(frozen=True)
class RunOptions:
    """What a user says beside the configuration.

    Attributes:
        resume: go on from the run folder's checkpoint.
        overwrite: start anew in a folder that holds another run.
    """

    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Start:
    """The encoder that a run starts from.

    Attributes:
        net: with its weights; None: random ones, drawn by the run's seed.
        sensors: of the card's, that are seen.
        identity: of its weights: ``random``, or a digest.
    """

    net: SensorEncoders | None
    card: EncoderCard
    sensors: tuple[str, ...]
    identity: str


def finetune(
    config: FinetuneConfig, data: Path, encoder: str, run: Path, options: RunOptions
) -> dict[str, Any]:
    """Train a head, or head and encoder, on the labelled places of ``data``.

    The epoch that does best on validation is kept; the test split is scored once, at the end.

    Args:
        encoder: a model that pretrain made, its run folder, or ``random``.

    Returns: ``run``, ``test`` and ``val`` (scores of the epoch kept), ``epoch``, ``labels`` (how
        many places were learnt from), ``classes``, ``seconds``.
    Raises:
        InputError: data, encoder and configuration do not fit, or an output that exists.
        Interrupted: stopped by a signal; ``resume`` goes on.
        WorldError: the disk is full, or the loss is no longer finite.
    """
    start = time.monotonic()
    source = open_places(data)
    begin = starting_encoder(encoder, config, source, where=str(data))
    config = resolved(config, begin, source)
    material = _material(config, begin, source, data, options)
    fabric = launch(options.device, config.precision)
    if fabric.is_global_zero and not options.resume:
        refuse_existing(run, overwrite=options.overwrite)
    draw = _draw(config, material, fabric)
    card = _card(config, begin, material.labelled)
    training = start_finetuning(config, _built(config, begin, card), begin.identity, fabric)
    checkpoint = _restored(training, run) if options.resume else {}
    with disk_errors_named(run):
        if fabric.is_global_zero:
            lay_out(run, config, resume=options.resume)
        fabric.barrier()
        log = run_log(run, checkpoint, fabric)
        with no_trace_of_unreadable(run, fabric), closing(log):
            quiet = options.quiet or not fabric.is_global_zero
            finetune_loop(training, material, draw, fabric=fabric, run=run, log=log, quiet=quiet)
            training.net.load_state_dict(training.best.net)
            scores = {
                "val": split_scores(training.net, material, "val", fabric),
                "test": split_scores(training.net, material, "test", fabric),
            }
            log.metrics(training.step, "test", scores["test"])
        if fabric.is_global_zero:
            facts = _trained(config, encoder, training, material.labelled, scores)
            save_model(training.net, card.model_copy(update={"trained": facts}), run / MODEL_FILE)
    part(fabric)
    return {
        "run": str(run),
        **scores,
        "epoch": training.best.epoch,
        "labels": len(material.labelled.splits["train"].places),
        "classes": list(material.labelled.classes),
        "seconds": round(time.monotonic() - start, 3),
    }


def starting_encoder(
    encoder: str, config: FinetuneConfig, source: PlaceSource, *, where: str
) -> Start:
    """The encoder that ``--encoder`` means, checked against the data's bands.

    Raises: InputError: no encoder, or one whose bands the data lacks.
    """
    if encoder == RANDOM:
        return _random(config, source, where)
    net, card = load_encoder(encoder)
    there = [name for name, own in card.sensors.items() if own.product in source.layers]
    # Where nothing fits, the first sensor's refusal tells what it wants and what there is.
    sensors = config.data.sensors or tuple(there) or tuple(card.sensors)[:1]
    for name in sensors:
        wanted = card.sensors[name].product if name in card.sensors else ""
        images = _image_products(source)
        if not images:
            raise InputError(f"{where}: has no images, but {' '.join(source.layers)}")
        near = [each for each in images if each.partition("-")[0] == wanted.partition("-")[0]]
        layer = source.layers[wanted if wanted in source.layers else (near or images)[0]]
        check_bands(card, name, layer, where=where)
    digest = hashlib.sha256(model_file(encoder).read_bytes()).hexdigest()[:16]
    return Start(net, card, tuple(sensors), digest)


def resolved(config: FinetuneConfig, start: Start, source: PlaceSource) -> FinetuneConfig:
    """The configuration with sensors and size as they are on this data."""
    size = config.data.size or start.card.size
    data = config.data.model_copy(update={"sensors": start.sensors, "size": size})
    return config.model_copy(update={"data": data, "encoder": start.card.architecture})


def _random(config: FinetuneConfig, source: PlaceSource, where: str) -> Start:
    images = _image_products(source)
    wanted = config.data.sensors or tuple(dict.fromkeys(_sensor_of(each) for each in images))
    if not wanted:
        raise InputError(f"{where}: has no images, but {' '.join(source.layers)}")
    inputs: dict[str, SensorInput] = {}
    for name in wanted:
        fitting = [each for each in images if name in (each, _sensor_of(each))]
        if not fitting:
            raise InputError(f"{where}: sensor {name}: there are images of {' '.join(images)}")
        if len(fitting) > 1:
            raise InputError(
                f"{where}: sensor {name} may be {' or '.join(fitting)}, which are not the same; "
                f"choose one with data.sensors=[{fitting[0]}]"
            )
        inputs[name] = sensor_input(source.layers[fitting[0]])
    architecture = config.encoder
    fixed = ARCHITECTURES[architecture.name].multiple is not None
    card = EncoderCard(
        architecture=architecture,
        sensors=inputs,
        size=architecture.built_size if fixed else config.data.size or source.size,
        trained={"method": RANDOM, "seed": config.seed},
    )
    return Start(None, card, tuple(wanted), RANDOM)


def _image_products(source: PlaceSource) -> list[str]:
    return [product for product in source.layers if product in PRODUCTS or product == RGB]


def _sensor_of(product: str) -> str:
    return PRODUCTS[product].sensor if product in PRODUCTS else product


def _material(
    config: FinetuneConfig, start: Start, source: PlaceSource, data: Path, options: RunOptions
) -> Material:
    sensors = {name: start.card.sensors[name] for name in start.sensors}
    size = config.data.size or start.card.size
    labelled = labelled_places(
        source,
        config.task,
        config.labels,
        products=[each.product for each in sensors.values()],
        side=size,
        where=str(data),
    )
    labelled = labelled.share(config.data.label_fraction, seed=config.seed)
    if len(labelled.classes) < 2:
        raise InputError(f"{data}: every place is {' '.join(labelled.classes)}; classes are two up")
    unlearnt = labelled.unlearnt()
    if unlearnt:
        options.say(
            f"{', '.join(unlearnt)}: no training place has it, so none will be found in val or test"
        )
    whole = config.augment.crop_area is not None
    if size < source.size and config.task != "segmentation" and not whole:
        options.say(
            f"the encoder sees the middle {size} of {source.size} pixels; "
            f"data.size={source.size} shows it the whole place"
        )
    return Material(source, sensors, labelled, size)


def _draw(config: FinetuneConfig, material: Material, fabric: Fabric) -> Draw:
    """The batches of a run; of fewer places than a batch all are one."""
    processes, places = fabric.world_size, len(material.labelled.splits["train"].places)
    if config.data.batch_size % processes:
        raise InputError(
            f"data.batch_size is {config.data.batch_size}, not a multiple of the {processes} "
            f"processes; set it to {2 * processes} or a larger multiple"
        )
    batch = min(config.data.batch_size, places - places % processes)
    if batch < 2 * processes:
        raise InputError(
            f"{places} training places for {processes} processes: each needs two, since norms are "
            "over a batch; give more labels, or fewer processes"
        )
    return Draw(
        seed=config.seed,
        places=places,
        batch_size=batch,
        rank=fabric.global_rank,
        world_size=processes,
        any_date=config.data.any_date,
        whole=config.augment.crop_area is not None,
    )


def _card(config: FinetuneConfig, start: Start, labelled: LabelledPlaces) -> LandCoverCard:
    return LandCoverCard(
        kind=config.task,
        mode=config.mode,
        encoder=start.card,
        sensors=start.sensors,
        size=config.data.size or start.card.size,
        head=config.head,
        classes=labelled.classes,
    )


def _built(config: FinetuneConfig, start: Start, card: LandCoverCard) -> LandCoverNet:
    net = build_land_cover(card, seed=config.seed)
    if start.net is not None:
        net.encoders.load_state_dict(start.net.state_dict())
    return net


def _restored(training: Finetuning, run: Path) -> dict[str, Any]:
    checkpoint = checkpoint_of(run, training.config)
    if checkpoint["encoder"] != training.encoder:
        raise InputError(
            f"{run}: was started from encoder {checkpoint['encoder']}, not {training.encoder}; "
            "give --encoder as then, or start anew elsewhere"
        )
    training.restore(checkpoint)
    return checkpoint


def _trained(
    config: FinetuneConfig,
    encoder: str,
    training: Finetuning,
    labelled: LabelledPlaces,
    scores: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    return {
        "encoder": encoder if training.encoder == RANDOM else f"{encoder} ({training.encoder})",
        "labels": len(labelled.splits["train"].places),
        "epoch": training.best.epoch,
        "steps": training.step,
        "val": dict(scores["val"]),
        "test": dict(scores["test"]),
        "config": yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
    }
