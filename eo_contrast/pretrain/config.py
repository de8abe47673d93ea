"""Configuration of a pretraining run: the graph, and everything around it."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.config import Config
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.pretrain.graph import Graph, refuse_batch
from eo_contrast.pretrain.masks import refuse_masks
from eo_contrast.training.start import StartConfig


class PretrainData(Config):
    """Which places are drawn, and how large."""

    split: str | None = Field(
        None, description="of the catalogue; None: 'train' where it has splits, else all"
    )
    crop: int | None = Field(
        None, ge=1, description="side that is read of each place, pixels; None: the whole"
    )
    size: int = Field(224, ge=8, description="side of what an encoder sees, pixels")
    batch_size: int = Field(256, ge=1, description="places a step, over all processes")
    accumulate: int = Field(
        1, ge=1, description="parts of the batch whose gradients are summed; each its own negatives"
    )
    chunk: int | None = Field(
        None, ge=1, description="rows encoded at a time, negatives still of the whole batch"
    )
    workers: int = Field(0, ge=0, description="processes that read; 0: threads, enough for a pack")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate is {self.accumulate}, which does not divide batch_size "
                f"{self.batch_size}"
            )
        return self


class PretrainOptimizer(Config):
    """How weights move."""

    kind: Literal["sgd", "adam", "adamw", "lars"] = "sgd"
    lr: float = Field(0.03, gt=0, description="at lr_batch places a step")
    lr_biases: float | None = Field(
        None, gt=0, description="of parameters of one dimension; None: the same"
    )
    lr_batch: int | None = Field(
        None, ge=1, description="the rate grows with batch_size / this; None: it is fixed"
    )
    lr_growth: Literal["linear", "sqrt"] = "linear"
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd and lars")
    betas: tuple[float, float] = Field((0.9, 0.999), description="of adam and adamw")
    weight_decay: float = Field(1e-4, ge=0)
    decay_biases: bool = Field(
        True, description="weight decay on parameters of one dimension, too; lars never does"
    )
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the gradient")

    def rate(self, batch_size: int) -> float:
        """The learning rate of weights at this batch size."""
        if self.lr_batch is None:
            return self.lr
        share = batch_size / self.lr_batch
        return self.lr * (share if self.lr_growth == "linear" else math.sqrt(share))


class PretrainSchedule(Config):
    """How long, and how the learning rate moves; positions are epochs, parts of them counted."""

    epochs: int = Field(200, ge=1)
    warmup: float = Field(0, ge=0, description="epochs of a straight rise from 0")
    kind: Literal["cosine", "milestones", "constant"] = "cosine"
    milestones: tuple[float, ...] = Field((), description="epochs after which the rate drops")
    factor: float = Field(0.1, gt=0, le=1, description="of each drop")
    last: float = Field(0.0, ge=0, le=1, description="cosine: factor at the end")

    def factor_at(self, epoch: float, epochs: float) -> float:
        """Factor on the rate at a time, in epochs since the start, of a run of ``epochs``."""
        if epoch < self.warmup:
            return epoch / self.warmup
        if self.kind == "constant":
            return 1.0
        if self.kind == "milestones":
            return self.factor ** sum(epoch >= milestone for milestone in self.milestones)
        done = (epoch - self.warmup) / max(epochs - self.warmup, 1e-12)
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * min(done, 1.0))) / 2


class PretrainWatch(Config):
    """What is looked at while training."""

    every: int = Field(1, ge=1, description="epochs between two looks")
    places: int = Field(2000, ge=2, description="most places that a look embeds, of each split")
    neighbours: int = Field(20, ge=1)
    temperature: float = Field(0.07, gt=0)


class PretrainConfig(Config):
    """Everything that decides a pretraining run."""

    method: str = Field("", description="what the graph is called in reports")
    seed: int = Field(0, ge=0)
    graph: Graph
    augment: dict[str, AugmentConfig] = Field({}, description="by name, for views")
    encoder: EncoderConfig = EncoderConfig()
    start: dict[str, StartConfig] = Field(
        {}, description="by sensor, weights to start from; others start at random"
    )
    keep_head_layers: int = Field(
        0, ge=0, description="layers of the projector that are kept for fine-tuning"
    )
    data: PretrainData = PretrainData()
    optimizer: PretrainOptimizer = PretrainOptimizer()
    schedule: PretrainSchedule = PretrainSchedule()
    watch: PretrainWatch = PretrainWatch()
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        "auto", description="auto: bf16-mixed on a GPU that has it, 32-true elsewhere"
    )
    channels_last: bool = Field(True, description="memory layout of images and weights")
    log_every: int = Field(20, ge=1, description="steps a row of metrics.jsonl")
    save_every: int = Field(200, ge=1, description="steps between two checkpoints")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        for name, view in self.graph.views.items():
            if view.augment is not None and view.augment not in self.augment:
                there = ", ".join(self.augment) or "none"
                raise ValueError(
                    f"graph.views.{name}.augment: '{view.augment}' is not among those in augment, "
                    f"{there}"
                )
        strangers = sorted(set(self.start) - set(self.graph.sensors))
        if strangers:
            there = ", ".join(self.graph.sensors)
            raise ValueError(f"start.{strangers[0]}: no such sensor; the graph has {there}")
        refuse_masks(self.graph, self.encoder, self.augment, self.data.size)
        if self.keep_head_layers and not self.graph.projecting:
            raise ValueError("keep_head_layers: no space has a projector; give 0")
        refuse_batch(self.graph, self.data.batch_size // self.data.accumulate)
        return self
