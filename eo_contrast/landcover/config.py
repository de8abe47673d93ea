"""Configuration of fine-tuning an encoder for land cover."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.config import Config
from eo_contrast.landcover.labels import LabelConfig
from eo_contrast.landcover.mixing import MixConfig
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
    drop_sensor: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="of several sensors: how likely training hides one of a place's, so that the "
        "model can do without it",
    )
    test_without: tuple[str, ...] = Field(
        (), description="sensors; the test is scored once more without each, beside with all"
    )


class LossConfig(Config):
    """What training makes small: cross entropy or focal loss, and dice."""

    cross_entropy: float = Field(1.0, ge=0, description="its weight")
    focal: float = Field(
        0.0,
        ge=0,
        description="gamma of the focal loss that cross entropy becomes; 2 is published; 0: none",
    )
    dice: float = Field(0.0, ge=0, description="weight of the dice loss; segmentation")
    smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a label that all classes get alike; classification",
    )
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        None,
        description="balanced: places or pixels over classes times the class's own; or a number "
        "by name, 1 for others. In cross entropy and focal loss",
    )

    @model_validator(mode="after")
    def _something_is_learnt(self) -> Self:
        if not self.cross_entropy + self.dice:
            raise ValueError("cross_entropy and dice are 0, so that nothing would be learnt")
        if isinstance(self.class_weights, dict) and min(self.class_weights.values(), default=0) < 0:
            raise ValueError("class_weights: a weight is below 0; give 0 or more")
        return self


class FinetuneOptimizer(Config):
    """AdamW; parameters of one dimension do not decay."""

    lr_head: float = Field(1e-3, gt=0)
    lr_trunk: float = Field(1e-4, gt=0, description="of the encoder, in mode full")
    weight_decay: float = Field(0.01, ge=0)


class FinetuneSchedule(Config):
    """How long, and how the learning rate moves."""

    epochs: int = Field(50, ge=1)
    least_steps: int = Field(
        0,
        ge=0,
        description="epochs are as many more as make so many steps, since a small share of the "
        "labels has few in an epoch",
    )
    warmup: float = Field(0.0, ge=0, description="epochs of a straight rise")
    kind: Literal["cosine", "constant"] = "cosine"
    average: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay, a step, of a moving average of the weights, which is scored and kept "
        "in their place; less for the first steps",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="training ends when validation has not bettered for so many epochs; None: "
        "at the last one",
    )

    def lengthened(self, steps_per_epoch: int) -> FinetuneSchedule:
        """With as many epochs as make the least steps; never with fewer."""
        needed = math.ceil(self.least_steps / steps_per_epoch)
        return self.model_copy(update={"epochs": max(self.epochs, needed)})

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
        "segmentation head.decoder; full: everything is trained",
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
    mix: MixConfig = Field(MixConfig(), description="of training images; classification")
    loss: LossConfig = LossConfig()
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
        for name, given in (("mix.kind", self.mix.kind), ("loss.smoothing", self.loss.smoothing)):
            if given and self.task != "classification":
                raise ValueError(
                    f"{name} is {given}, and is for one class a place: the task is {self.task}; "
                    "leave it out"
                )
        if self.head.maps is not None and self.task == "segmentation":
            raise ValueError(
                f"head.maps is {list(self.head.maps)}, and is for features of places: the task is "
                "segmentation; leave it out"
            )
        if self.loss.dice and self.task != "segmentation":
            raise ValueError(
                f"loss.dice is {self.loss.dice:g}, and is of pixels: the task is {self.task}; "
                "leave it out"
            )
        return self
