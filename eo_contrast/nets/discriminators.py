"""PatchGAN discriminators: one logit for each patch of the image."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from eo_contrast.config import Config
from eo_contrast.nets.norms import InstanceNorm
from eo_contrast.nets.resampling import BlurDown

SLOPE = 0.2
WIDEST = 8


class DiscriminatorConfig(Config):
    """Shape of a discriminator; the defaults are CUT's ``basic``."""

    kind: Literal["patch", "pixel"] = Field("patch", description="patches of 84 px, or 1x1 pixels")
    bands: int = Field(3, ge=1, description="bands of the images it judges")
    width: int = Field(64, ge=1, description="channels after the first convolution")
    layers: int = Field(3, ge=1, le=6, description="halvings before the last two convolutions")
    antialias: bool = Field(True, description="blur before dropping every second pixel")
    norm: Literal["instance", "none"] = Field("instance", description="after the convolutions")
    tags: tuple[str, ...] = Field(
        (), description="tags of tiles that it is told; wants data.balance: tag-matched"
    )


class PatchDiscriminator(nn.Module):
    """(B, bands, H, W) in [-1, 1] -> (B, 1, h, w) logits; 256 px give 30 x 30.

    With ``tags`` it also gets (B, tags), one-hot, and judges whether the image is a true one
    OF THAT TAG (Mirza & Osindero 2014, eq. 2): each tag is a plane beside the bands.

    Convolutions 4x4, pad 1, instance norm from the second on, leaky ReLU 0.2. With three
    halvings and antialiasing one logit sees 84 px (70 without, as in the papers).
    Source: Isola et al. 2017 (pix2pix), appendix 6.1.2; antialiasing as in CUT.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        inside, outside = config.bands + len(config.tags), config.width
        for number in range(1, config.layers + 2):
            halves = number <= config.layers
            stride = 2 if halves and not config.antialias else 1
            stages[f"conv{number}"] = nn.Conv2d(inside, outside, 4, stride=stride, padding=1)
            if number > 1 and config.norm == "instance":
                stages[f"norm{number}"] = InstanceNorm(outside)
            stages[f"activation{number}"] = nn.LeakyReLU(SLOPE, inplace=True)
            if halves and config.antialias:
                stages[f"blur{number}"] = BlurDown(outside)
            inside, outside = outside, config.width * min(2**number, WIDEST)
        stages[f"conv{config.layers + 2}"] = nn.Conv2d(inside, 1, 4, padding=1)
        for name, stage in stages.items():
            self.add_module(name, stage)

    def forward(self, image: Tensor, tags: Tensor | None = None) -> Tensor:
        image = _beside(image, tags)
        for stage in self.children():
            image = stage(image)
        return image


class PixelDiscriminator(nn.Module):
    """(B, bands, H, W) -> (B, 1, H, W): each pixel judged alone (pix2pix, 1x1 PatchGAN).

    ``tags`` as in :class:`PatchDiscriminator`.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.conv1 = nn.Conv2d(config.bands + len(config.tags), width, 1)
        self.activation1 = nn.LeakyReLU(SLOPE, inplace=True)
        self.conv2 = nn.Conv2d(width, 2 * width, 1)
        self.norm2 = InstanceNorm(2 * width) if config.norm == "instance" else nn.Identity()
        self.activation2 = nn.LeakyReLU(SLOPE, inplace=True)
        self.conv3 = nn.Conv2d(2 * width, 1, 1)

    def forward(self, image: Tensor, tags: Tensor | None = None) -> Tensor:
        hidden = self.activation1(self.conv1(_beside(image, tags)))
        logits: Tensor = self.conv3(self.activation2(self.norm2(self.conv2(hidden))))
        return logits


def _beside(image: Tensor, tags: Tensor | None) -> Tensor:
    if tags is None:
        return image
    planes = tags.to(image.dtype)[:, :, None, None].expand(-1, -1, *image.shape[2:])
    return torch.cat((image, planes), dim=1)


Discriminator = PatchDiscriminator | PixelDiscriminator


def build_discriminator(config: DiscriminatorConfig) -> Discriminator:
    """The discriminator that ``config`` describes, not yet initialised."""
    return PatchDiscriminator(config) if config.kind == "patch" else PixelDiscriminator(config)
