"""The quickstart: from nothing to a translated GeoTIFF and a report, in one go.

A synthetic landscape is made, a small translator trained on its tiles, a scene that it has
not seen translated and scored against its true map.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from eo_contrast.config import Config, find_config, load_config
from eo_contrast.errors import InputError, Interrupted
from eo_contrast.evaluate.folders import plain_maps
from eo_contrast.evaluate.map_agreement import Palette, commonest_colour, load_palette
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.evaluate.rasters import score_rasters, tiles_of
from eo_contrast.files import refuse_existing
from eo_contrast.progress import progress
from eo_contrast.report.quickstart import quickstart_report
from eo_contrast.synth.sat2map import Sat2mapPlan, write_sat2map
from eo_contrast.training.describe import CONFIG_FILE
from eo_contrast.training.device import resolve_device
from eo_contrast.training.run_folder import RunOptions
from eo_contrast.translate.apply import translate_raster
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.job import TranslateOptions
from eo_contrast.translate.run import train_translator
from eo_contrast.translate.tile_models import load_tile_model

MAP_FILE = "map.tif"


class SynthConfig(Config):
    """The landscape that is made."""

    pairs: int = Field(64, ge=1, description="training pairs")
    size: int = Field(256, ge=64, description="side of a tile, pixels")
    scene_size: int = Field(768, ge=64, description="side of the scene, pixels")
    ground_resolution: float = Field(2.0, gt=0, description="metres a pixel")
    seed: int = Field(0, ge=0)


class QuickstartConfig(Config):
    """What the quickstart does; ``configs/quickstart.yaml`` fills it."""

    synth: SynthConfig
    translator: str = Field(description="name or file of the training configuration")
    set: tuple[str, ...] = Field((), description="overrides of that configuration, a.b=value")


def run_quickstart(
    config: QuickstartConfig, folder: Path, *, device: str, overwrite: bool, quiet: bool
) -> dict[str, Any]:
    """Make, train, translate, score and report, all inside ``folder``.

    Returns: ``report``, ``map``, ``seconds`` by stage, ``scores`` of the map.

    Raises:
        InputError: ``folder`` holds an earlier quickstart and ``overwrite`` is false.
        Interrupted: stopped while training.
        WorldError: the disk is full or failing.
    """
    _refuse_earlier(folder, overwrite=overwrite)
    tiles, run, out = folder / "tiles", folder / "run", folder / MAP_FILE
    seconds: dict[str, float] = {}
    with _timed(seconds, "synth"):
        _synthesise(config.synth, tiles, overwrite=overwrite, quiet=quiet)
    with _timed(seconds, "train"):
        file = find_config(config.translator, "configs/translate")
        options = RunOptions(device=device, overwrite=overwrite, quiet=quiet)
        try:
            train_translator(load_config(TranslatorConfig, file, config.set), tiles, run, options)
        except Interrupted as error:
            raise Interrupted(
                f"{folder}: stopped while training; quickstart --overwrite begins anew"
            ) from error
    with _timed(seconds, "translate"):
        summary = _translate(tiles / "scene.tif", out, run, device, quiet=quiet)
    with _timed(seconds, "score"):
        translator = load_config(TranslatorConfig, run / CONFIG_FILE)
        palette = load_palette(translator.data.palette or "osm16")
        scene, truth = tiles / "scene.tif", tiles / "scene_map.tif"
        scores = score_rasters(truth, out, palette)
        baselines = _baselines(scene, truth, palette)
    report = quickstart_report(
        folder,
        training_run=run,
        source=scene,
        translated=out,
        truth=truth,
        scores=scores,
        baselines=baselines,
        summary=summary,
        seconds=seconds,
        command_lines=_by_hand(config),
    )
    return {"report": str(report), "map": str(out), "seconds": seconds, "scores": scores}


def _refuse_earlier(folder: Path, *, overwrite: bool) -> None:
    for name in ("tiles", "run", MAP_FILE):
        try:
            refuse_existing(folder / name, overwrite=overwrite)
        except InputError as error:
            raise InputError(
                f"{folder}: holds an earlier quickstart; give --overwrite, or another folder"
            ) from error


def _synthesise(config: SynthConfig, tiles: Path, *, overwrite: bool, quiet: bool) -> None:
    plan = Sat2mapPlan(
        config.pairs, config.size, config.seed, config.scene_size, config.ground_resolution
    )
    with progress("synth", plan.steps, unit="pictures", quiet=quiet) as advance:
        write_sat2map(tiles, plan, advance, overwrite=overwrite)


def _translate(scene: Path, out: Path, run: Path, device: str, *, quiet: bool) -> dict[str, Any]:
    import torch

    model = load_tile_model(str(run), torch.device(resolve_device(device)))
    return translate_raster(scene, out, model, TranslateOptions(), overwrite=True, quiet=quiet)


def _baselines(scene: Path, truth: Path, palette: Palette) -> dict[str, dict[str, Any]]:
    commonest = commonest_colour(tiles_of(truth))
    return {
        "every pixel the commonest colour": score_pairs(
            plain_maps(tiles_of(truth), commonest), palette
        ),
        "the satellite image itself": score_rasters(truth, scene, palette),
    }


def _by_hand(config: QuickstartConfig) -> list[str]:
    synth = config.synth
    overrides = "".join(f" --set {override}" for override in config.set)
    return [
        f"eo-contrast synth sat2map tiles --pairs {synth.pairs} --size {synth.size} "
        f"--seed {synth.seed} --scene-size {synth.scene_size}",
        f"eo-contrast train-translator {config.translator} --data tiles --out run{overrides}",
        "eo-contrast translate tiles/scene.tif map.tif --model run",
        "eo-contrast evaluate translation --data tiles --model run --split test",
        "eo-contrast report run",
    ]


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - start, 3)
