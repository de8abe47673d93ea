"""The ResNet generator of CycleGAN and CUT, with features tapped by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from eo_contrast.config import Config
from eo_contrast.nets.few_bands import ConvFromFew, ConvToFew
from eo_contrast.nets.norms import InstanceNorm
from eo_contrast.nets.padding import ReflectionPad
from eo_contrast.nets.resampling import BlurDown, BlurUp

TOTAL_STRIDE = 4


Level = Annotated[int, Field(ge=0, le=255)]


class GeneratorConfig(Config):
    """Shape of a :class:`ResnetGenerator`; the defaults are CUT's."""

    bands_in: int = Field(3, ge=1, description="bands of the source image")
    bands_out: int = Field(3, ge=1, description="bands of the translated image")
    width: int = Field(64, ge=1, description="channels after the stem; four times that inside")
    blocks: int = Field(9, ge=0, description="residual blocks at a quarter of the size")
    antialias_down: bool = Field(True, description="blur before dropping every second pixel")
    antialias_up: bool = Field(True, description="blurred upsampling, not transposed convolution")
    palette: tuple[tuple[Level, Level, Level], ...] | None = Field(
        None,
        min_length=2,
        description="colours of the map's legend, 0..255: the output is a mixture of them",
    )

    @model_validator(mode="after")
    def _palette_is_rgb(self) -> GeneratorConfig:
        if self.palette is not None and self.bands_out != 3:
            raise ValueError(
                f"palette holds red, green and blue, but bands_out is {self.bands_out}; "
                "set bands_out to 3, or leave the palette out"
            )
        return self


class ResidualBlock(nn.Module):
    """x + norm(conv(pad(relu(norm(conv(pad(x))))))); no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = ReflectionPad(1)
        self.conv1 = nn.Conv2d(channels, channels, 3)
        self.norm1 = InstanceNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.norm2 = InstanceNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm1.rectified(self.conv1(self.pad(x)))
        residual: Tensor = self.norm2(self.conv2(self.pad(inner)))
        return residual.add_(x)


class PaletteMixture(nn.Module):
    """(B, colours, H, W) scores to (B, 3, H, W) in [-1, 1]: softmax-weighted mean colour.

    Ours, not published: a map is drawn from a short legend that is known beforehand, so the
    net need not find its colours, only where each goes.
    """

    colours: Tensor

    def __init__(self, palette: tuple[tuple[int, int, int], ...]) -> None:
        super().__init__()
        colours = torch.tensor(palette, dtype=torch.get_default_dtype()) / 127.5 - 1
        self.register_buffer("colours", colours, persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
        mixed = torch.einsum("bkhw,kc->bchw", wide.softmax(dim=1), self.colours.to(wide.dtype))
        # einsum leaves the colours innermost; the nets that read the picture next would follow
        # that layout, in which their norms are slow.
        return mixed.contiguous()


class ResnetGenerator(nn.Module):
    """Translate (B, bands_in, H, W) in [-1, 1] to (B, bands_out, H, W) in (-1, 1).

    H and W are multiples of 4, at least 8 (reflection at a quarter of the size). Every
    element has a name, ``stage.element``: ``stem.pad``, ``down1.conv``, ``block5``,
    ``up2.activation``; :attr:`channels_of` lists those that can be tapped with their
    channels. Names, unlike positions, mean the same layer whatever the options.

    Source: Johnson et al. 2016; Zhu et al. 2017 (CycleGAN), appendix 7.2; antialiasing as
    in Park et al. 2020 (CUT).
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = _stem(config.bands_in, width)
        self.down1 = _down(width, 2 * width, antialias=config.antialias_down)
        self.down2 = _down(2 * width, 4 * width, antialias=config.antialias_down)
        for number in range(1, config.blocks + 1):
            self.add_module(f"block{number}", ResidualBlock(4 * width))
        self.up1 = _up(4 * width, 2 * width, antialias=config.antialias_up)
        self.up2 = _up(2 * width, width, antialias=config.antialias_up)
        self.head = _head(width, config)
        self.channels_of = _channel_table(config, [name for name, _ in self._elements()])

    def forward(self, x: Tensor) -> Tensor:
        return self.tapped(x, ())[0]

    def tapped(self, x: Tensor, taps: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The output and, by name, the features on the way.

        Raises:
            ValueError: a tap is no element of this generator.
        """
        features = {}
        output = x
        for name, output in self._walk(x, taps):
            if name in taps:
                features[name] = output
        return output, features

    def encode(self, x: Tensor, taps: Collection[str]) -> dict[str, Tensor]:
        """The features alone: computation ends at the last tap.

        Raises:
            ValueError: a tap is no element of this generator, or there is none.
        """
        features: dict[str, Tensor] = {}
        for name, feature in self._walk(x, taps):
            if name in taps:
                features[name] = feature
            if len(features) == len(set(taps)) > 0:
                return features
        raise ValueError("encode needs at least one tap")

    def _walk(self, x: Tensor, taps: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        unknown = sorted(set(taps) - set(self.channels_of))
        if unknown:
            known = ", ".join(self.channels_of)
            raise ValueError(f"no layer {unknown[0]!r} to tap; this generator has {known}")
        rectified = False
        for name, element in self._elements():
            if isinstance(element, InstanceNorm) and name not in taps:
                x, rectified = element.rectified(x), True
            elif isinstance(element, nn.ReLU) and rectified:
                rectified = False
            else:
                x = element(x)
            yield name, x

    def _elements(self) -> Iterator[tuple[str, nn.Module]]:
        for stage_name, stage in self.named_children():
            if isinstance(stage, nn.Sequential):
                for name, element in stage.named_children():
                    yield f"{stage_name}.{name}", element
            else:
                yield stage_name, stage


def receptive_radius(config: GeneratorConfig) -> int:
    """Pixels on each side that one output pixel can see, instance norm apart.

    By the rule r += (kernel - 1) / 2 * stride_so_far, rounded up; 91 to 96 for nine blocks.
    """
    stem_and_head = 3 + 3
    downs = (1 + 1) + (2 + 2)
    blocks = config.blocks * 2 * TOTAL_STRIDE
    ups = (4 + 2) + (2 + 1)
    return stem_and_head + downs + blocks + ups


@lru_cache(maxsize=32)
def feature_sizes(config: GeneratorConfig, height: int, width: int) -> dict[str, tuple[int, int]]:
    """Height and width of every element's output for an input of ``height`` by ``width``.

    Args:
        height, width: multiples of 4.
    """
    with torch.device("meta"):
        generator = ResnetGenerator(config)
        image = torch.empty(1, config.bands_in, height, width)
        _, features = generator.tapped(image, generator.channels_of)
    return {name: (f.shape[2], f.shape[3]) for name, f in features.items()}


def _stem(bands: int, width: int) -> nn.Sequential:
    return _named(
        pad=ReflectionPad(3),
        conv=ConvFromFew(bands, width, 7),
        norm=InstanceNorm(width),
        activation=nn.ReLU(),
    )


def _down(inside: int, outside: int, *, antialias: bool) -> nn.Sequential:
    stage = _named(
        conv=nn.Conv2d(inside, outside, 3, stride=1 if antialias else 2, padding=1),
        norm=InstanceNorm(outside),
        activation=nn.ReLU(),
    )
    if antialias:
        stage.add_module("blur", BlurDown(outside))
    return stage


def _up(inside: int, outside: int, *, antialias: bool) -> nn.Sequential:
    after = {"norm": InstanceNorm(outside), "activation": nn.ReLU()}
    if antialias:
        conv = nn.Conv2d(inside, outside, 3, padding=1)
        return _named(blur=BlurUp(inside), conv=conv, **after)
    transposed = nn.ConvTranspose2d(inside, outside, 3, stride=2, padding=1, output_padding=1)
    return _named(conv=transposed, **after)


def _head(width: int, config: GeneratorConfig) -> nn.Sequential:
    pad = ReflectionPad(3)
    if config.palette is None:
        return _named(pad=pad, conv=ConvToFew(width, config.bands_out, 7), tanh=nn.Tanh())
    conv = ConvToFew(width, len(config.palette), 7)
    return _named(pad=pad, conv=conv, mixture=PaletteMixture(config.palette))


def _named(**elements: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(elements))


def _channel_table(config: GeneratorConfig, names: list[str]) -> dict[str, int]:
    width = config.width
    by_stage = {"stem": width, "down1": 2 * width, "down2": 4 * width, "up2": width}
    by_stage |= {"up1": 2 * width, "head": config.bands_out}
    exceptions = {"stem.pad": config.bands_in, "head.pad": width}
    exceptions |= {"head.conv": len(config.palette)} if config.palette else {}
    exceptions |= {"up1.blur": 4 * width, "up2.blur": 2 * width}
    return {
        name: exceptions.get(name, by_stage.get(name.partition(".")[0], 4 * width))
        for name in names
    }
