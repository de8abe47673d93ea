"""Configuration of a translator's training: one model a subject, one file a run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from eo_contrast.config import Config
from eo_contrast.data.loader import CropConfig
from eo_contrast.nets.discriminators import DiscriminatorConfig
from eo_contrast.nets.generator import GeneratorConfig
from eo_contrast.nets.initialisation import Initialisation
from eo_contrast.nets.patch_sampler import PatchSamplerConfig
from eo_contrast.objectives.patchnce import WeightingConfig
from eo_contrast.training.schedule import ScheduleConfig


class LossConfig(Config):
    """Terms of the generator's loss and their weights."""

    adversarial: Literal["lsgan", "vanilla", "hinge", "nonsaturating", "wgan-gp"] = "lsgan"
    lambda_adversarial: float = Field(1.0, ge=0)
    lambda_nce: float = Field(1.0, ge=0)
    identity: bool = Field(True, description="PatchNCE also between a map and its translation")
    flip_equivariance: bool = Field(False, description="mirror half of the sources")
    temperature: float = Field(0.07, gt=0)
    lambda_paired: float = Field(
        0.0, ge=0, description="mean absolute error to the true map; wants data.aligned"
    )
    whole_batch_negatives: bool = Field(False, description="negatives from all images")
    weighting: WeightingConfig = WeightingConfig()
    lambda_gradient_penalty: float = Field(10.0, ge=0, description="used by wgan-gp alone")


PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "cut": {
        "loss": {"lambda_nce": 1.0, "identity": True, "flip_equivariance": False},
        "schedule": {"constant": 200, "decay": 200},
    },
    "fastcut": {
        "loss": {"lambda_nce": 10.0, "identity": False, "flip_equivariance": True},
        "schedule": {"constant": 150, "decay": 50},
    },
}
"""What each recipe's paper sets, where a configuration says nothing else."""


class OptimizerConfig(Config):
    """Adam, one for each net; the defaults are CUT's."""

    lr: float = Field(2e-4, gt=0, description="generator and patch sampler")
    lr_discriminator: float | None = Field(None, gt=0, description="None: the same")
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)


class TrainingDataConfig(Config):
    """Which tiles are drawn, and how."""

    split: str = Field("train", description="folder name; several joined by +")
    satellite_side: Literal["left", "right"] = Field("left", description="of side-by-side files")
    batch_size: int = Field(1, ge=1, description="images a step, over all processes")
    balance: Literal["none", "tag", "tag-matched"] = "none"
    aligned: bool = Field(
        False, description="draw each source with its own map: for tiles that are true pairs"
    )
    crop: CropConfig = CropConfig(
        load_size=286, crop_size=256, flip_horizontal=True, flip_vertical=False, quarter_turns=False
    )
    crop_in_decay: CropConfig | None = Field(None, description="None: as before")
    ground_resolution_m: float | None = Field(
        None, gt=0, description="metres a pixel of the files; None: read from tile names"
    )
    palette: str | None = Field(
        None, description="map style of the files, for scores; None: the shipped one that fits"
    )


class WatchConfig(Config):
    """What is looked at while training."""

    every: int = Field(500, ge=1, description="steps between two looks")
    split: str = Field("test", description="tiles to look at, never trained on")
    images: int = Field(16, ge=1, description="tiles that are scored")
    pictures: int = Field(4, ge=1, description="tiles shown in samples/")


class TranslatorConfig(Config):
    """Everything that decides a training run."""

    recipe: Literal["cut", "fastcut"]
    seed: int = Field(0, ge=0)
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    patch_sampler: PatchSamplerConfig = PatchSamplerConfig()
    initialisation: Initialisation = "xavier"
    initialisation_discriminator: Initialisation | None = Field(None, description="None: the same")
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    data: TrainingDataConfig = TrainingDataConfig()
    watch: WatchConfig = WatchConfig()
    average: float | None = Field(
        None, gt=0, lt=1, description="decay of the generator's moving average that is saved"
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        "auto", description="auto: bf16-mixed on a GPU that has it, 32-true elsewhere"
    )
    compile: bool = Field(False, description="torch.compile the nets")
    channels_last: bool = Field(
        False, description="memory layout of images and weights; for GPUs with tensor cores"
    )
    log_every: int = Field(50, ge=1, description="steps a row of metrics.jsonl")
    save_every: int = Field(500, ge=1, description="steps between two checkpoints")

    @model_validator(mode="before")
    @classmethod
    def _published_values(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        for part, published in PUBLISHED.get(str(values.get("recipe")), {}).items():
            given = values.get(part, {})
            if isinstance(given, dict):
                filled[part] = published | given
        return filled

    @model_validator(mode="after")
    def _parts_fit(self) -> TranslatorConfig:
        if self.loss.identity and self.generator.bands_in != self.generator.bands_out:
            raise ValueError(
                f"loss.identity feeds maps to the generator, but generator.bands_in is "
                f"{self.generator.bands_in} and bands_out {self.generator.bands_out}; "
                "set loss.identity to false"
            )
        if self.loss.lambda_paired > 0 and not self.data.aligned:
            raise ValueError(
                f"loss.lambda_paired is {self.loss.lambda_paired}, but data.aligned is false: "
                "sources would be compared with maps of other places; set data.aligned to true"
            )
        if self.discriminator.bands != self.generator.bands_out:
            raise ValueError(
                f"discriminator.bands is {self.discriminator.bands}, but generator.bands_out "
                f"is {self.generator.bands_out}; they judge the same image"
            )
        if self.discriminator.tags and self.data.balance != "tag-matched":
            raise ValueError(
                f"discriminator.tags are given, but data.balance is {self.data.balance!r}: source "
                "and map would have different tags; set data.balance to tag-matched"
            )
        if self.data.crop.crop_size % 4:
            raise ValueError(
                f"data.crop.crop_size is {self.data.crop.crop_size}; it must be a multiple of 4"
            )
        return self
