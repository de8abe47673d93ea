"""A training run from a folder of tiles to a run folder, whole or resumable."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from lightning_fabric import Fabric

from eo_contrast.data.ground_resolution import median_ground_resolution_m
from eo_contrast.data.image_pairs import ImagePairs, find_image_pairs, keep_in_memory
from eo_contrast.data.loader import epoch_length, zoom_of
from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.evaluate.folders import fitting_palette
from eo_contrast.evaluate.map_agreement import Palette, load_palette
from eo_contrast.files import refuse_existing
from eo_contrast.training.card import MODEL_FILE, Card, save_model
from eo_contrast.training.loop import launch, part
from eo_contrast.training.run_folder import (
    RunOptions,
    checkpoint_of,
    lay_out,
    no_trace_of_unreadable,
    run_log,
)
from eo_contrast.training.schedule import total_steps
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.trainer import Training, start_training, train
from eo_contrast.translate.watch import Watch


def train_translator(
    config: TranslatorConfig, root: Path, run: Path, options: RunOptions
) -> dict[str, Any]:
    """Train on the tiles of ``root`` into the folder ``run``.

    Returns: ``run``, ``steps``, ``seconds``, ``losses`` (means of the last interval).

    Raises:
        InputError: no tiles, an output that exists, a configuration that does not fit.
        Interrupted: stopped by a signal; ``resume`` goes on.
        WorldError: the disk is full, or the losses are no longer finite.
    """
    start = time.monotonic()
    data = config.data
    pairs = find_image_pairs(root, data.split, satellite_side=data.satellite_side)
    pairs = keep_in_memory(pairs)
    palette, zoom = _palette(data.palette, pairs), _zoom(config, pairs)
    watched = _watched(root, config, options)
    fabric = launch(options.device, config.precision)
    if fabric.is_global_zero and not options.resume:
        refuse_existing(run, overwrite=options.overwrite)
    _check_processes(config, fabric)
    training = _built(config, fabric)
    checkpoint = _restore(training, run) if options.resume else {}
    steps_per_epoch = max(epoch_length(pairs) // data.batch_size, 1)
    with disk_errors_named(run):
        if fabric.is_global_zero:
            lay_out(run, config, resume=options.resume)
        fabric.barrier()
        watch = Watch(
            pairs=watched if fabric.is_global_zero else None,
            config=config.watch,
            folder=run / "samples",
            palette=palette,
            device=fabric.device,
            say=options.say,
            zoom=zoom,
        )
        log = run_log(run, checkpoint, fabric)
        with no_trace_of_unreadable(run, fabric), closing(log):
            losses = train(
                training,
                pairs,
                fabric=fabric,
                run=run,
                watch=watch,
                log=log,
                last_step=options.steps or total_steps(steps_per_epoch, config.schedule),
                steps_per_epoch=steps_per_epoch,
                quiet=options.quiet or not fabric.is_global_zero,
            )
        if fabric.is_global_zero:
            card = _card(config, pairs, palette, zoom, training.step)
            save_model(training.averaged, card, run / MODEL_FILE)
    part(fabric)
    return {
        "run": str(run),
        "steps": training.step,
        "seconds": round(time.monotonic() - start, 3),
        "losses": losses,
    }


def _built(config: TranslatorConfig, fabric: Fabric) -> Training:
    try:
        return start_training(config, fabric.device)
    except ValueError as error:
        raise InputError(str(error)) from error


def _watched(root: Path, config: TranslatorConfig, options: RunOptions) -> ImagePairs | None:
    try:
        return find_image_pairs(root, config.watch.split, satellite_side=config.data.satellite_side)
    except InputError as error:
        options.say(f"no pictures and scores while training: {error}")
        return None


def _check_processes(config: TranslatorConfig, fabric: Fabric) -> None:
    batch, processes = config.data.batch_size, fabric.world_size
    if batch % processes:
        raise InputError(
            f"data.batch_size is {batch}, not a multiple of the {processes} processes; "
            f"set it to {processes} or a multiple"
        )
    if processes > 1 and config.loss.whole_batch_negatives:
        raise InputError(
            "loss.whole_batch_negatives compares images across processes, which is not "
            "supported; run one process or set it to false"
        )


def _restore(training: Training, run: Path) -> dict[str, Any]:
    checkpoint = checkpoint_of(run, training.config)
    training.restore(checkpoint)
    return checkpoint


def _card(
    config: TranslatorConfig, pairs: ImagePairs, palette: Palette | None, zoom: float, steps: int
) -> Card:
    resolution = config.data.ground_resolution_m
    if resolution is None:
        resolution = median_ground_resolution_m(pairs.a)
    if resolution is not None:
        resolution = round(resolution / zoom, 3)
    return Card(
        architecture=config.generator,
        bands_in=_band_names(config.generator.bands_in),
        bands_out=_band_names(config.generator.bands_out),
        ground_resolution_m=resolution,
        zoom=zoom,
        palette=config.data.palette or (palette.name if palette else None),
        trained={
            "steps": steps,
            "tiles": len(pairs.a),
            "layout": pairs.layout,
            "config": yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
        },
    )


def _palette(wanted: str | None, pairs: ImagePairs) -> Palette | None:
    if wanted is not None:
        return load_palette(wanted)
    return fitting_palette(pairs.read(ref) for ref in pairs.b)


def _zoom(config: TranslatorConfig, pairs: ImagePairs) -> float:
    """Of the crops that training ends with; the first tile's height stands for all."""
    crop = config.data.crop_in_decay or config.data.crop
    return zoom_of(crop, pairs.read(pairs.a[0]).shape[0])


def _band_names(count: int) -> tuple[str, ...]:
    return ("red", "green", "blue") if count == 3 else tuple(f"band{n + 1}" for n in range(count))
