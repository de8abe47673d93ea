"""A fine-tuning run: a labelled catalogue and an encoder in, a land-cover model out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from lightning_fabric import Fabric

from eo_contrast.data.place_sources import PlaceSource, open_places
from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import refuse_existing
from eo_contrast.landcover.batches import Draw, Material
from eo_contrast.landcover.class_weights import class_weights
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.labels import labelled_places
from eo_contrast.landcover.nets import LandCoverNet, build_land_cover
from eo_contrast.landcover.predict import split_predictions, split_scores
from eo_contrast.landcover.predictions import Predictions, save_predictions
from eo_contrast.landcover.start import RANDOM, Start, starting_encoder
from eo_contrast.landcover.trainer import Finetuning, finetune_loop, start_finetuning
from eo_contrast.training.card import MODEL_FILE, save_model
from eo_contrast.training.land_cover_card import LandCoverCard
from eo_contrast.training.loop import launch, part
from eo_contrast.training.run_folder import (
    TEST_FILE,
    checkpoint_of,
    lay_out,
    no_trace_of_unreadable,
    run_log,
)


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


def finetune(
    config: FinetuneConfig, data: Path, encoder: str, run: Path, options: RunOptions
) -> dict[str, Any]:
    """Train a head, or head and encoder, on the labelled places of ``data``.

    The epoch that does best on validation is kept; the test split is scored once, at the end.

    Args:
        encoder: a model that pretrain made, its run folder, ``random``, or ``random:`` and a model.

    Returns: ``run``, ``test`` and ``val`` (scores of the epoch kept), ``test_without`` (of the test
        by the sensor that is left out), ``epoch``, ``labels`` (how
        many places were learnt from), ``classes``, ``seconds``.
    Raises:
        InputError: data, encoder and configuration do not fit, or an output that exists.
        Interrupted: stopped by a signal; ``resume`` goes on.
        WorldError: the disk is full, or the loss is no longer finite.
    """
    start = time.monotonic()
    source = open_places(data)
    begin = starting_encoder(encoder, config, source, where=str(data), say=options.say)
    config = resolved(config, begin, source)
    _check_sensors(config, begin.sensors)
    _check_maps(config)
    material = _material(config, begin, source, data, options)
    fabric = launch(options.device, config.precision)
    if fabric.is_global_zero and not options.resume:
        refuse_existing(run, overwrite=options.overwrite)
    draw = _draw(config, material, fabric)
    schedule = config.schedule.lengthened(draw.steps_per_epoch)
    config = config.model_copy(update={"schedule": schedule})
    card = _card(config, begin, material)
    weights = class_weights(config.loss.class_weights, material.labelled)
    places = material.labelled.digest(source.names)
    training = start_finetuning(
        config, _built(config, begin, card), begin.identity, places, fabric, weights
    )
    checkpoint = _restored(training, run, data) if options.resume else {}
    with disk_errors_named(run):
        if fabric.is_global_zero:
            lay_out(run, config, resume=options.resume)
        fabric.barrier()
        log = run_log(run, checkpoint, fabric)
        with no_trace_of_unreadable(run, fabric), closing(log):
            quiet = options.quiet or not fabric.is_global_zero
            finetune_loop(training, material, draw, fabric=fabric, run=run, log=log, quiet=quiet)
            training.net.load_state_dict(training.best.net)
            predictions = split_predictions(training.net, material, "test", fabric)
            scores = {
                "val": split_scores(training.net, material, "val", fabric),
                "test": predictions.scores(),
            }
            log.metrics(training.step, "test", scores["test"])
            without = _scores_without(config.data.test_without, training, material, fabric)
            for name, lacking in without.items():
                log.metrics(training.step, f"test without {name}", lacking)
        if fabric.is_global_zero:
            facts = _trained(config, encoder, training, material, data, scores)
            facts |= {"test_without": without} if without else {}
            card = card.model_copy(update={"trained": facts})
            _save(run, training, card, predictions, material)
    part(fabric)
    return {
        "run": str(run),
        **scores,
        "test_without": without,
        "epoch": training.best.epoch,
        "labels": len(material.labelled.splits["train"].places),
        "classes": list(material.labelled.classes),
        "seconds": round(time.monotonic() - start, 3),
    }


def resolved(config: FinetuneConfig, start: Start, source: PlaceSource) -> FinetuneConfig:
    """The configuration with sensors and size as they are on this data."""
    size = config.data.size or start.card.size
    data = config.data.model_copy(update={"sensors": start.sensors, "size": size})
    return config.model_copy(update={"data": data, "encoder": start.card.architecture})


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


def _check_sensors(config: FinetuneConfig, sensors: Sequence[str]) -> None:
    """Refuse to hide sensors that are not seen, or the only one."""
    for name in config.data.test_without:
        if name not in sensors or len(sensors) == 1:
            raise InputError(
                f"data.test_without names {name}, and {' and '.join(sensors)} "
                f"{'is' if len(sensors) == 1 else 'are'} seen; give one of several that are, or "
                "add it to data.sensors"
            )
    if config.data.drop_sensor and len(sensors) == 1:
        raise InputError(
            f"data.drop_sensor is {config.data.drop_sensor:g}, and {sensors[0]} alone is seen; "
            "leave it out, or give several in data.sensors"
        )


def _check_maps(config: FinetuneConfig) -> None:
    """Refuse maps where features are not frozen."""
    if config.head.maps is not None and config.mode == "full":
        raise InputError(
            f"head.maps is {list(config.head.maps)}, and mode is full: it is for an encoder that "
            "stays as it is; leave it out, or give mode=linear"
        )


def _scores_without(
    names: Sequence[str], training: Finetuning, material: Material, fabric: Fabric
) -> dict[str, dict[str, float]]:
    """The test's scores by the sensor that is left out."""
    lacking = {
        name: replace(
            material, sensors={each: own for each, own in material.sensors.items() if each != name}
        )
        for name in names
    }
    return {name: split_scores(training.net, own, "test", fabric) for name, own in lacking.items()}


def _draw(config: FinetuneConfig, material: Material, fabric: Fabric) -> Draw:
    """The batches of a run; of fewer places than a batch all are one."""
    processes, places = fabric.world_size, len(material.labelled.splits["train"].places)
    if config.data.batch_size % processes:
        raise InputError(
            f"data.batch_size is {config.data.batch_size}, not a multiple of the {processes} "
            f"processes; set it to {2 * processes} or a larger multiple"
        )
    batch = min(config.data.batch_size, places - places % processes)
    if config.mix.kind and processes > 1 and batch // processes % 2:
        raise InputError(
            f"mix.kind mixes neighbours of a batch, and each of the {processes} processes has "
            f"{batch // processes} of its {batch} places; set data.batch_size to "
            f"{batch // (2 * processes) * 2 * processes}"
        )
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


def _card(config: FinetuneConfig, start: Start, material: Material) -> LandCoverCard:
    return LandCoverCard(
        kind=config.task,
        mode=config.mode,
        encoder=start.card,
        sensors=start.sensors,
        size=config.data.size or start.card.size,
        ground_resolution_m=material.source.ground_resolution_m,
        head=config.head,
        drop_sensor=config.data.drop_sensor,
        classes=material.labelled.classes,
    )


def _save(
    run: Path,
    training: Finetuning,
    card: LandCoverCard,
    predictions: Predictions,
    material: Material,
) -> None:
    names, numbers = material.source.names, material.labelled.splits["test"].places.tolist()
    save_predictions(
        predictions,
        run / TEST_FILE,
        task=card.kind,
        classes=card.classes,
        places=[names[number] for number in numbers],
        numbers=numbers,
    )
    # Last, since a run with a model counts as finished.
    save_model(training.net, card, run / MODEL_FILE)


def _built(config: FinetuneConfig, start: Start, card: LandCoverCard) -> LandCoverNet:
    net = build_land_cover(card, seed=config.seed)
    if start.net is not None:
        net.encoders.load_state_dict(start.net.state_dict())
    return net


def _restored(training: Finetuning, run: Path, data: Path) -> dict[str, Any]:
    checkpoint = checkpoint_of(run, training.config)
    if checkpoint["encoder"] != training.encoder:
        raise InputError(
            f"{run}: was started from encoder {checkpoint['encoder']}, not {training.encoder}; "
            "give --encoder as then, or start anew elsewhere"
        )
    if checkpoint.get("places", training.places) != training.places:
        raise InputError(
            f"{run}: was started on other places, splits or labels than those of {data}; give "
            "--data as then, or start anew elsewhere"
        )
    training.restore(checkpoint)
    return checkpoint


def _trained(
    config: FinetuneConfig,
    encoder: str,
    training: Finetuning,
    material: Material,
    data: Path,
    scores: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    splits, untrained = material.labelled.splits, training.encoder.startswith(RANDOM)
    return {
        "encoder": encoder if untrained else f"{encoder} ({training.encoder})",
        "data": str(data.resolve()),
        "labels": len(splits["train"].places),
        "places": {name: len(own.places) for name, own in splits.items()},
        "epoch": training.best.epoch,
        "steps": training.step,
        "val": dict(scores["val"]),
        "test": dict(scores["test"]),
        "config": yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
    }
