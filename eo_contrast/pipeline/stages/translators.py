"""Stages that train translators, apply them to rasters, and score maps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from eo_contrast.config import Config
from eo_contrast.pipeline.json_values import plain_values
from eo_contrast.pipeline.stage import (
    Call,
    Input,
    Means,
    OptionalInput,
    OptionalOutput,
    Output,
)
from eo_contrast.pipeline.stages.named_settings import named_settings

if TYPE_CHECKING:
    from eo_contrast.evaluate.map_agreement import Palette
    from eo_contrast.translate.config import TranslatorConfig
    from eo_contrast.translate.tile_models import Model

CHECKPOINT = "last.ckpt"


class TrainTranslatorStage(Config):
    """A translator from tiles."""

    config: str = Field(description="a YAML file, or the name of a shipped one, as fastcut")
    set: dict[str, Any] = Field({}, description="changes to it, nested as it is")
    data: Input
    out: Output
    steps: int | None = Field(None, ge=1, description="train so many in all")
    processes: int = Field(1, ge=1, description="that share a batch, started by torchrun")

    def settings(self) -> TranslatorConfig:
        """Of the run."""
        from eo_contrast.translate.config import TranslatorConfig

        return named_settings(TranslatorConfig, self.config, "configs/translate", self.set)


class TranslateStage(Config):
    """A raster, or a folder of them, as maps; options as those of the command."""

    source: Input
    model: Input
    out: Output
    tile: int | None = Field(None, ge=1)
    overlap: int | None = Field(None, ge=0)
    norm: Literal["scene", "tile"] = "scene"
    bands: str | None = None
    scaling: str = "card"
    aoi: OptionalInput = None
    grid: Literal["source", "model"] = "source"
    format: Literal["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"] = "cog"
    compat: bool = False
    stac: bool = True
    vector: OptionalOutput = Field(None, description="also the map's polygons, by class")
    palette: str | None = Field(None, description="whose colours are the classes of vector")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    workers: Means[int] = Field(1, ge=1)
    scheduler: Means[str | None] = None


class EvaluateStage(Config):
    """Scores of a map against the true one, or of a translator on pairs of tiles."""

    map: OptionalInput = Field(None, description="a raster, with truth")
    truth: OptionalInput = None
    data: OptionalInput = Field(None, description="a folder of pairs, with model")
    model: OptionalInput = None
    split: str = Field("test", description="which pairs of data")
    palette: str | None = Field(None, description="of the true maps; None: the model's, or found")
    baselines: bool = Field(True, description="score trivial maps beside")
    out: Output = Field(description="a .json file")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        rasters, pairs = (self.map, self.truth), (self.data, self.model)
        if (None in rasters) == (None in pairs) or any(rasters) == any(pairs):
            raise ValueError("give either map and truth, or data and model")
        return self


def train_translator(config: TrainTranslatorStage, call: Call) -> dict[str, Any]:
    """Train the translator, or go on from the last checkpoint."""
    from eo_contrast.training.run_folder import RunOptions
    from eo_contrast.translate.run import train_translator as train

    resume = call.resume and (config.out / CHECKPOINT).is_file()
    options = RunOptions(
        device=call.device,
        steps=config.steps,
        resume=resume,
        overwrite=not resume,
        quiet=call.quiet,
        say=call.say,
    )
    return train(config.settings(), config.data, config.out, options)


def translate(config: TranslateStage, call: Call) -> dict[str, Any]:
    """Draw the map, or one of each raster of a folder; go on from what is finished."""
    from eo_contrast.errors import WorldError
    from eo_contrast.translate.finish import SUFFIXES
    from eo_contrast.translate.many import find_sources, translate_many

    translated = _translation(config, _model(config.model, call, config.precision), call)
    if not call.resume and config.out.is_dir():
        shutil.rmtree(config.out)  # maps of sources that are no more
    suffix = next(iter(SUFFIXES[config.format]), "")
    one = config.out.suffix.lower() in SUFFIXES[config.format] or not suffix
    sources = None if one else find_sources(str(config.source), config.out)
    if sources is None:
        return translated(config.source, config.out)
    told = translate_many(
        sources,
        config.out,
        translated,
        overwrite=True,
        resume=call.resume,
        suffix=suffix,
        root=config.source if config.source.is_dir() else None,
    )
    if told["failed"]:
        first = told["failed"][0]
        raise WorldError(
            f"{config.source}: {len(told['failed'])} of {len(sources)} rasters failed, the first "
            f"is {first['path']}: {first['error']}"
        )
    return told


def evaluate(config: EvaluateStage, call: Call) -> dict[str, Any]:
    """Write the scores as JSON."""
    from eo_contrast.files import whole_file

    if config.map is not None and config.truth is not None:
        scores = _scores_of_raster(config.map, config.truth, config, call)
    else:
        scores = _scores_of_model(config, call)
    scores = plain_values(scores)
    with whole_file(config.out) as partial:
        partial.write_text(json.dumps(scores, indent=1, allow_nan=False) + "\n")
    return scores


def _scores_of_raster(
    drawn: Path, truth: Path, config: EvaluateStage, call: Call
) -> dict[str, Any]:
    from eo_contrast.evaluate.folders import palette_for, plain_maps
    from eo_contrast.evaluate.map_agreement import commonest_colour
    from eo_contrast.evaluate.paired import score_pairs
    from eo_contrast.evaluate.rasters import score_rasters, tiles_of

    palette = palette_for(tiles_of(truth), config.palette, call.say)
    scores = {**score_rasters(truth, drawn, palette), "palette": palette.name}
    if config.baselines:
        commonest = plain_maps(tiles_of(truth), commonest_colour(tiles_of(truth)))
        scores["baselines"] = {"commonest_colour": score_pairs(commonest, palette)}
    return scores


def _scores_of_model(config: EvaluateStage, call: Call) -> dict[str, Any]:
    from eo_contrast.data.image_pairs import find_image_pairs
    from eo_contrast.errors import InputError
    from eo_contrast.progress import progress
    from eo_contrast.translate.score import palette_of, satellite_side_of, score_model

    if config.data is None or config.model is None:
        raise InputError("evaluate: give either map and truth, or data and model")
    model = _model(config.model, call)
    pairs = find_image_pairs(config.data, config.split, satellite_side=satellite_side_of(model))
    palette = palette_of(model, pairs, config.palette, call.say)
    with progress("translating", len(pairs.a), unit="images", quiet=call.quiet) as advance:
        scores = score_model(
            pairs,
            model,
            palette,
            baselines=config.baselines,
            done=lambda number: advance(number, ""),
        )
    return {**scores, "palette": palette.name}


def _translation(config: TranslateStage, model: Model, call: Call) -> Callable[..., dict[str, Any]]:
    """What translates a raster into a file, with all else as the stage says."""
    from functools import partial

    from eo_contrast.translate.apply import Runner, translate_raster
    from eo_contrast.translate.finish import Finish
    from eo_contrast.translate.job import TranslateOptions

    options = TranslateOptions(
        tile=config.tile,
        overlap=config.overlap,
        norm=config.norm,
        bands=config.bands,
        scaling=config.scaling,
        aoi=config.aoi,
        grid=config.grid,
    )
    finish = Finish(
        format=config.format,
        compat=config.compat,
        stac=config.stac,
        vector=None if config.vector is None else str(config.vector),
        colours=None if config.vector is None else _palette(config.palette, model).classes,
    )
    return partial(
        translate_raster,
        model=model,
        options=options,
        finish=finish,
        runner=Runner(workers=config.workers, scheduler=config.scheduler),
        overwrite=True,
        resume=call.resume,
        quiet=call.quiet,
    )


def _model(path: Path, call: Call, precision: Literal["auto", "fp32", "bf16"] = "auto") -> Model:
    import torch

    from eo_contrast.training.device import resolve_device
    from eo_contrast.translate.tile_models import load_tile_model

    return load_tile_model(str(path), torch.device(resolve_device(call.device)), precision)


def _palette(wanted: str | None, model: Model) -> Palette:
    from eo_contrast.errors import InputError
    from eo_contrast.evaluate.map_agreement import load_palette

    name = wanted or (model.card.palette if model.card else None)
    if name is None:
        raise InputError("vector: the model names no map style; give palette")
    return load_palette(name)
