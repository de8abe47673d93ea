"""Configuration of fine-tuning an encoder for land cover."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.config import Config
from eo_contrast.landcover.labels import LabelConfig
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.land_cover_card import HeadConfig, LandCoverTask, Mode


class FinetuneData(Config):
    """Which images are seen, how large, and how many labels are used."""

    sensors: tuple[str, ...] | None = Field(
        None,
        description="of the encoder's: several are seen side by side; of a random encoder s1, s2, "
        "rgb or a product; None: all that the data has",
    )
    size: int | None = Field(
        None,
        ge=8,
        description="side in pixels that the encoder sees: the middle of larger places, smaller "
        "ones are enlarged; None: as the encoder was pretrained, of a random one the places'",
    )
    allow_band_change: bool = Field(
        False,
        description="a saved encoder goes on where product or bands differ from those it was "
        "pretrained on: kernels go by the bands' names",
    )
    any_date: bool = Field(
        False, description="training sees any date of a place; else, as scoring does, the first"
    )
    batch_size: int = Field(64, ge=2, description="places a step, over all processes")
    label_fraction: float = Field(
        1.0, gt=0, le=1, description="share of the training labels, of each class alike"
    )


class FinetuneOptimizer(Config):
    """AdamW; parameters of one dimension do not decay."""

    lr_head: float = Field(1e-3, gt=0)
    lr_trunk: float = Field(1e-4, gt=0, description="of the encoder, in mode full")
    weight_decay: float = Field(0.01, ge=0)


class FinetuneSchedule(Config):
    """How long, and how the learning rate moves."""

    epochs: int = Field(50, ge=1)
    warmup: float = Field(0.0, ge=0, description="epochs of a straight rise")
    kind: Literal["cosine", "constant"] = "cosine"

    def factor_at(self, step: int, steps_per_epoch: int) -> float:
        """Factor on the rates during a step, counted from 0; above 0 and at most 1."""
        rising = self.warmup * steps_per_epoch
        if step < rising:
            return (step + 1) / (rising + 1)
        if self.kind == "constant":
            return 1.0
        done = (step - rising) / max(self.epochs * steps_per_epoch - rising, 1)
        return (1 + math.cos(math.pi * done)) / 2


class FinetuneConfig(Config):
    """Everything that decides a fine-tuning run, but for data and encoder."""

    task: LandCoverTask = "classification"
    mode: Mode = Field(
        "full",
        description="linear: a linear layer on the encoder as it is; frozen: two layers, or for "
        "segmentation a U-Net's decoder; full: everything is trained",
    )
    seed: int = Field(0, ge=0, description="of the head, the order and the share of labels")
    labels: LabelConfig = LabelConfig()
    data: FinetuneData = FinetuneData()
    encoder: EncoderConfig = Field(
        EncoderConfig(), description="of --encoder random; a saved encoder has its own"
    )
    head: HeadConfig = HeadConfig()
    augment: AugmentConfig = Field(
        AugmentConfig(), description="of training images; tint and dropout act band by band"
    )
    optimizer: FinetuneOptimizer = FinetuneOptimizer()
    schedule: FinetuneSchedule = FinetuneSchedule()
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        "auto", description="auto: bf16-mixed on a GPU that has it, 32-true elsewhere"
    )
    channels_last: bool = Field(True, description="memory layout of images and weights")
    log_every: int = Field(20, ge=1, description="steps a row of metrics.jsonl")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.schedule.warmup >= self.schedule.epochs:
            raise ValueError(
                f"schedule.warmup is {self.schedule.warmup:g}, not less than the "
                f"{self.schedule.epochs} epochs; the rate would never be reached"
            )
        return self
