"""What an augmentation may do to a view, and how much."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from eo_contrast.config import Config

Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0)]

MEANINGLESS_ON_DECIBEL = ("saturation", "tint", "gamma", "grey", "solarise")
"""They mix or bend intensities; on decibel they would make numbers that no surface gives."""


class AugmentConfig(Config):
    """Every choice; all are off unless given.

    A strength s draws a factor from 1 - s to 1 + s, at least 0.
    """

    crop_area: tuple[float, float] | None = Field(
        None, description="least and largest share of the square that is cut out and resized"
    )
    crop_aspect: tuple[float, float] = Field(
        (3 / 4, 4 / 3), description="of the cut, width by height, drawn on a logarithmic scale"
    )
    flip_horizontal: Probability = 0.0
    flip_vertical: Probability = 0.0
    quarter_turns: bool = Field(False, description="0, 90, 180 or 270 degrees, each as often")
    jitter_probability: Probability = Field(
        1.0, description="that brightness, contrast, saturation, tint and gamma are drawn at all"
    )
    brightness: Strength = Field(0.0, description="factor on intensity; on dB 10 log10 of it added")
    contrast: Strength = Field(0.0, description="factor on the distance to each band's mean")
    saturation: Strength = Field(0.0, description="factor on the distance to the bands' mean")
    tint: Strength = Field(0.0, description="a factor for each group of bands: a cast")
    gamma: Strength = Field(0.0, description="exponent of intensity")
    grey: Probability = Field(0.0, description="every band becomes the bands' mean")
    blur: Probability = 0.0
    blur_sigma: tuple[float, float] = Field((0.1, 2.0), description="of the Gaussian, pixels")
    solarise: Probability = Field(0.0, description="intensities above .5 are mirrored at it")
    band_dropout: Probability = Field(0.0, description="of each group of bands: no data")
    noise: Strength = Field(0.0, description="deviation of added noise, in the product's unit")
    speckle_looks: float | None = Field(
        None, gt=0, description="looks of gamma-distributed factors on intensity; None: off"
    )
    cutout: Probability = Field(0.0, description="that a square has no data")
    cutout_share: float = Field(0.2, gt=0, lt=1, description="of the area, of that square")

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        for name in ("crop_area", "crop_aspect", "blur_sigma"):
            given = getattr(self, name)
            if given is not None and not 0 < given[0] <= given[1]:
                raise ValueError(f"{name} is {list(given)}; give 0 < least <= largest")
        if self.crop_area is not None and self.crop_area[1] > 1:
            raise ValueError(
                f"crop_area is {list(self.crop_area)}; no more than all, 1, can be cut"
            )
        return self

    @property
    def jitters(self) -> bool:
        """Whether intensities are changed by any factor."""
        factors = (self.brightness, self.contrast, self.saturation, self.tint, self.gamma)
        return self.jitter_probability > 0 and any(factors)


def for_unit(config: AugmentConfig, unit: str) -> AugmentConfig:
    """The choices that mean something on values of a unit; the others are off."""
    if unit != "dB":
        return config
    return config.model_copy(update=dict.fromkeys(MEANINGLESS_ON_DECIBEL, 0.0))
