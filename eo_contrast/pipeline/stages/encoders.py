"""Stages that train encoders, and use them: vectors, land cover, benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from eo_contrast.config import Config
from eo_contrast.pipeline.stage import (
    Call,
    Input,
    Inputs,
    Means,
    OptionalInput,
    Output,
)
from eo_contrast.pipeline.stages.named_settings import named_settings

if TYPE_CHECKING:
    from eo_contrast.landcover.benchmark_config import BenchmarkConfig
    from eo_contrast.landcover.config import FinetuneConfig
    from eo_contrast.pretrain.config import PretrainConfig

CHECKPOINT = "last.ckpt"


class PretrainStage(Config):
    """An encoder from images without labels."""

    config: str = Field(description="a YAML file, or the name of a shipped one, as moco_v2")
    set: dict[str, Any] = Field({}, description="changes to it, nested as it is")
    data: Input
    start: Inputs = Field({}, description="by sensor, the encoder whose weights it starts from")
    out: Output
    steps: int | None = Field(None, ge=1, description="stop after so many; None: all")
    processes: int = Field(1, ge=1, description="that share a batch, started by torchrun")

    def settings(self) -> PretrainConfig:
        """Of the run."""
        from eo_contrast.pretrain.config import PretrainConfig

        return named_settings(PretrainConfig, self.config, "configs/pretrain", self.set)


class EmbedStage(Config):
    """One vector an image of a catalogue."""

    catalogue: Input
    model: Input
    out: Output
    sensors: tuple[str, ...] = Field((), description="of the encoder; empty: all")
    scheduler: Means[str | None] = None


class FinetuneStage(Config):
    """A land-cover model on an encoder."""

    config: str = Field(description="a YAML file, or the name of a shipped one, as segmentation")
    set: dict[str, Any] = Field({}, description="changes to it, nested as it is")
    data: Input
    encoder: OptionalInput = Field(None, description="None: a random one")
    out: Output
    processes: int = Field(1, ge=1, description="that share a batch, started by torchrun")

    def settings(self) -> FinetuneConfig:
        """Of the run."""
        from eo_contrast.landcover.config import FinetuneConfig

        return named_settings(FinetuneConfig, self.config, "configs/landcover", self.set)


class BenchmarkStage(Config):
    """Encoders against each other."""

    config: str = Field(description="a YAML file, or the name of a shipped protocol, as eurosat")
    set: dict[str, Any] = Field({}, description="changes to it, nested as it is")
    data: Input
    encoders: Inputs = Field({}, description="by the name that they have in the table")
    baselines: tuple[
        Literal["random", "statistics", "random-convolutions", "coates-ng", "imagenet-lite0"], ...
    ] = ("random", "statistics", "random-convolutions")
    out: Output

    def settings(self) -> BenchmarkConfig:
        """Of the benchmark."""
        from eo_contrast.landcover.benchmark_config import BenchmarkConfig

        kind = "configs/landcover/benchmark"
        return named_settings(BenchmarkConfig, self.config, kind, self.set)


def pretrain(config: PretrainStage, call: Call) -> dict[str, Any]:
    """Train the encoder, or go on from the last checkpoint."""
    from eo_contrast.pretrain.run import pretrain as train
    from eo_contrast.training.run_folder import RunOptions
    from eo_contrast.training.start import StartConfig

    settings = config.settings()
    start = dict(settings.start)
    for sensor, path in config.start.items():
        told = start.get(sensor)
        place = {"path": str(path)}
        start[sensor] = told.model_copy(update=place) if told else StartConfig(**place)
    # Checked again, since a sensor may be one that the graph does not have.
    settings = type(settings).model_validate({**settings.model_dump(), "start": start})
    resume = _has_checkpoint(config.out, call)
    options = RunOptions(
        device=call.device,
        steps=config.steps,
        resume=resume,
        overwrite=not resume,
        quiet=call.quiet,
        say=call.say,
    )
    return train(settings, config.data, config.out, options)


def embed(config: EmbedStage, call: Call) -> dict[str, Any]:
    """Write the vectors; images that cannot be read are told and left out."""
    from eo_contrast.pretrain.embed import EmbedOptions
    from eo_contrast.pretrain.embed import embed as embed_images

    options = EmbedOptions(
        sensors=config.sensors,
        device=call.device,
        scheduler=config.scheduler,
        overwrite=True,
        quiet=call.quiet,
    )
    told = embed_images(config.catalogue, config.model, config.out, options)
    for failure in told["failed"]:
        call.say(f"{failure['id']}: not embedded: {failure['error']}")
    return told


def finetune(config: FinetuneStage, call: Call) -> dict[str, Any]:
    """Train the model, or go on from the last checkpoint."""
    from eo_contrast.landcover.finetune import RunOptions
    from eo_contrast.landcover.finetune import finetune as train
    from eo_contrast.landcover.start import RANDOM

    resume = _has_checkpoint(config.out, call)
    options = RunOptions(
        device=call.device, resume=resume, overwrite=not resume, quiet=call.quiet, say=call.say
    )
    encoder = RANDOM if config.encoder is None else str(config.encoder)
    return train(config.settings(), config.data, encoder, config.out, options)


def benchmark(config: BenchmarkStage, call: Call) -> dict[str, Any]:
    """Measure, or go on with what is not measured yet; and write tables and the page."""
    from eo_contrast.landcover.benchmark import BenchmarkOptions, cells_of
    from eo_contrast.landcover.benchmark import benchmark as measure
    from eo_contrast.landcover.contenders import Contender
    from eo_contrast.progress import progress
    from eo_contrast.report.benchmark import benchmark_report

    settings = config.settings()
    contenders = (
        *(Contender(name, str(path)) for name, path in config.encoders.items()),
        *(Contender(name, name) for name in config.baselines),
    )
    cells = len(list(cells_of(settings, contenders)))
    with progress("benchmark", cells, unit="cells", quiet=call.quiet) as advance:
        options = BenchmarkOptions(
            device=call.device,
            resume=call.resume,
            overwrite=True,  # where there is nothing to go on with
            say=call.say,
            advance=advance,
        )
        told = measure(settings, config.data, contenders, config.out, options)
    return {**told, "report": str(benchmark_report(config.out))}


def _has_checkpoint(run: Path, call: Call) -> bool:
    return call.resume and (run / CHECKPOINT).is_file()
