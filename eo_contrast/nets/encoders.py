"""Encoders: networks of timm that take any number of bands, with maps on the way for decoders.

A trunk's weights are a function of (architecture, bands, seed): nothing is downloaded, and
torch's own random state neither decides them nor moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from eo_contrast.config import Config
from eo_contrast.errors import InputError
from eo_contrast.nets.positions import bias_between
from eo_contrast.nets.vit import distance_bias, seen_tokens, vit_choices

EncoderName = Literal["resnet18", "resnet50", "swin_tiny", "vit_small", "convnext_tiny"]
FINER: Mapping[str, int] = MappingProxyType({"published": 1, "unpooled": 2, "small": 4})
"""How many times finer maps are than with the published stem."""
PUBLISHED_SIZE = 224
"""Side in pixels that ViT and Swin are built for unless another is given."""


@dataclass(frozen=True)
class Architecture:
    """What this project needs to know of one of timm's networks.

    Attributes:
        timm_name: as ``timm.create_model`` knows it, without weights' tag.
        first_layer: name of the layer that the bands enter, in timm's state dict.
        levels: which of timm's intermediate maps make the pyramid.
        multiple: what the side of a fixed-size network is a multiple of; None: any size goes.
        smallest: least side in pixels.
        patch: side in pixels of the patches that a token each stands for; None: it has no such
            tokens, none of which could be left out.
    """

    timm_name: str
    first_layer: str
    levels: tuple[int, ...]
    multiple: int | None = None
    smallest: int = 1
    patch: int | None = None


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "resnet18": Architecture("resnet18", "conv1", (0, 1, 2, 3, 4)),
        "resnet50": Architecture("resnet50", "conv1", (0, 1, 2, 3, 4)),
        "swin_tiny": Architecture(
            "swin_tiny_patch4_window7_224", "patch_embed.proj", (0, 1, 2, 3), 32, 32
        ),
        # All of a ViT's maps are of one size; a quarter of its blocks lies between each two.
        "vit_small": Architecture(
            "vit_small_patch16_224", "patch_embed.proj", (2, 5, 8, 11), 16, 16, 16
        ),
        "convnext_tiny": Architecture("convnext_tiny", "stem.0", (0, 1, 2, 3), None, 32),
    }
)


class EncoderConfig(Config):
    """Which network sees the images."""

    name: EncoderName = "resnet18"
    stem: Literal["published", "unpooled", "small"] = Field(
        "published",
        description="unpooled: no max-pool, for images of about 64 pixels; small: 3x3 at stride 1, "
        "too, for 32 (Chen et al. 2020, B.9); ResNets only",
    )
    size: int | None = Field(
        None,
        ge=1,
        description="side in pixels that vit_small and swin_tiny are built for; None: 224. The "
        "others take any",
    )
    patch: int | None = Field(
        None, ge=1, description="side in pixels of vit_small's patches; None: 16"
    )
    depth: int | None = Field(
        None, ge=4, multiple_of=4, description="blocks of vit_small; None: 12"
    )
    positions: Literal["learned", "alibi"] = Field(
        "learned",
        description="alibi: vit_small has no position embeddings and no class token, its attention "
        "falls with distance and its feature is the mean of the patches' tokens",
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.stem != "published" and not self.name.startswith("resnet"):
            raise ValueError(
                f"stem '{self.stem}' is for resnet18 and resnet50, {self.name} has none; leave it "
                "'published'"
            )
        changed = self.changed_of_vit
        if changed and ARCHITECTURES[self.name].patch is None:
            raise ValueError(
                f"{changed[0]} is for vit_small, {self.name} has none; leave {changed[0]} out"
            )
        multiple = self.multiple
        if multiple is not None and self.built_size % multiple:
            near = max(multiple, round(self.built_size / multiple) * multiple)
            raise ValueError(
                f"size {self.built_size}: {self.name} takes multiples of {multiple} pixels; "
                f"give {near}, or a resnet or convnext_tiny, which take any size"
            )
        return self

    @property
    def built_size(self) -> int:
        """Side in pixels of a network whose size is fixed."""
        return self.size or PUBLISHED_SIZE

    @property
    def patch_side(self) -> int | None:
        """Side in pixels of a token's patch; None: the network has no such tokens."""
        published = ARCHITECTURES[self.name].patch
        return published and (self.patch or published)

    @property
    def multiple(self) -> int | None:
        """What the side of a fixed-size network is a multiple of; None: any size goes."""
        return self.patch_side or ARCHITECTURES[self.name].multiple

    @property
    def least_size(self) -> int:
        """Least side in pixels of the images that the network takes."""
        return self.built_size if self.multiple else ARCHITECTURES[self.name].smallest

    @property
    def map_count(self) -> int:
        """How many maps :meth:`Encoder.pyramid` gives."""
        return len(_levels(self))

    @property
    def changed_of_vit(self) -> list[str]:
        """Fields of vit_small that are not as published."""
        values = {"patch": self.patch, "depth": self.depth, "positions": self.positions}
        return [name for name, value in values.items() if value not in (None, "learned")]


class Encoder(nn.Module):
    """A trunk: images in, one vector an image out, and the maps on the way.

    Attributes:
        net: timm's network, without a classifier.
        bands: channels of the images.
        width: of the pooled feature.
        pyramid_channels, pyramid_strides: of the maps of :meth:`pyramid`, finest first; a stride
            is the pixels of the image to one of the map. vit_small's maps are of one stride.
        bias: (heads, L, L) that falls with distance, of positions ``alibi``; None: of others. It
            follows from the configuration and is not saved.
    """

    bias: Tensor | None

    def __init__(self, net: nn.Module, config: EncoderConfig, bands: int) -> None:
        super().__init__()
        described: Any = net
        self.net = net
        self.config = config
        self.bands = bands
        self.width = int(described.num_features)
        self._levels = _levels(config)
        by_distance = config.positions == "alibi"
        self.register_buffer("bias", distance_bias(net) if by_distance else None, persistent=False)
        facts = [described.feature_info[level] for level in self._levels]
        # timm states the strides of the published stem.
        finer = FINER[config.stem]
        self.pyramid_channels = tuple(int(each["num_chs"]) for each in facts)
        self.pyramid_strides = tuple(int(each["reduction"]) // finer for each in facts)

    def forward(self, images: Tensor) -> Tensor:
        """(N, bands, H, W) -> (N, width), pooled as the architecture's classifier would have it.

        Raises: InputError: another number of bands, or a size that the network does not take.
        """
        self._refuse(images)
        pooled: Tensor = self.net(images, **self._attention())
        return pooled

    def map_means(self, images: Tensor, numbers: Sequence[int]) -> Tensor:
        """(N, bands, H, W) -> (N, channels of the maps in a row), the mean over each.

        What lies behind the last of them is not computed.

        Args:
            numbers: of the maps of :meth:`pyramid`, 1 the finest; rising.

        Raises: InputError: as :meth:`forward`.
        """
        maps = self._maps(images, [self._levels[number - 1] for number in numbers])
        return torch.cat([each.mean((2, 3)) for each in maps], dim=1)

    def tokens(self, images: Tensor, kept: Tensor) -> Tensor:
        """Tokens (N, T, width) of a ViT that sees some patches of (N, bands, H, W) alone.

        Patches that are left out enter no block (He et al. 2022, sec. 3).

        Args:
            kept: (N, K) numbers of the patches that are seen, row by row from 0.

        Returns: behind the last norm, in the order of ``kept``; before them the class token, where
            there is one.
        Raises: InputError: as :meth:`forward`.
        """
        self._refuse(images)
        bias = None if self.bias is None else bias_between(self.bias, kept, kept)
        return seen_tokens(self.net, images, kept, bias)

    def pool(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T, width) -> (N, width), as :meth:`forward` pools those of all patches."""
        net: Any = self.net
        pooled: Tensor = net.forward_head(tokens, pre_logits=True)
        return pooled

    def patch_tokens(self, tokens: Tensor) -> Tensor:
        """Of tokens (N, T, width) those of patches, (N, K, width)."""
        net: Any = self.net
        return tokens[:, net.num_prefix_tokens :]

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """(N, bands, H, W) -> maps (N, channels, rows, columns), finest first.

        Of sides that a stride does not divide the maps are rounded up.

        Raises: InputError: as :meth:`forward`.
        """
        return self._maps(images, list(self._levels))

    def _maps(self, images: Tensor, levels: list[int]) -> list[Tensor]:
        self._refuse(images)
        net: Any = self.net
        # A ViT's inner maps grow from block to block; its last norm brings them to one scale.
        maps: list[Tensor] = net.forward_intermediates(
            images,
            indices=levels,
            norm=self.config.name == "vit_small",
            intermediates_only=True,
            stop_early=True,
            **self._attention(),
        )
        return maps

    def _attention(self) -> dict[str, Tensor]:
        """What a call of the network is told of attention between all patches."""
        return {} if self.bias is None else {"attn_mask": self.bias[None]}

    def _refuse(self, images: Tensor) -> None:
        architecture = ARCHITECTURES[self.config.name]
        bands, rows, columns = images.shape[1:]
        if bands != self.bands:
            raise InputError(
                f"images of {bands} bands: this {self.config.name} takes {self.bands}; choose the "
                "bands it was built for by name"
            )
        multiple = self.config.multiple
        if multiple is not None:
            side = self.config.built_size
            if (rows, columns) != (side, side):
                could_be = rows == columns and rows % multiple == 0
                raise InputError(
                    f"images of {rows} x {columns} pixels: this {self.config.name} is built for "
                    f"{side} x {side}; crop or resize them"
                    f"{f', or build it with encoder.size={rows}' if could_be else ''}"
                )
        elif min(rows, columns) < architecture.smallest:
            raise InputError(
                f"images of {rows} x {columns} pixels: {self.config.name} needs "
                f"{architecture.smallest} a side; give larger ones, or take resnet18"
            )


def build_encoder(config: EncoderConfig, bands: int, *, seed: int) -> Encoder:
    """A trunk with random weights, a function of the arguments alone.

    Args:
        bands: channels of its images, >= 1.
        seed: of the weights, >= 0.
    """
    import timm  # takes seconds, which no command pays that needs no encoder

    if bands < 1:
        raise InputError(f"{bands} bands: an encoder sees at least one")
    architecture = ARCHITECTURES[config.name]
    choices: dict[str, Any] = {}
    if config.multiple is not None:
        choices["img_size"] = config.built_size
    choices |= vit_choices(
        patch=config.patch, depth=config.depth, by_distance=config.positions == "alibi"
    )
    with drawn_from(seed):
        net: Any = timm.create_model(
            architecture.timm_name, pretrained=False, num_classes=0, in_chans=bands, **choices
        )
        if config.stem == "small":
            net.conv1 = nn.Conv2d(bands, net.conv1.out_channels, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        if config.stem != "published":
            net.maxpool = nn.Identity()
    return Encoder(net, config, bands)


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Within the block torch draws from ``seed``, on the CPU; after it, as if nothing had been."""
    # Seeding by torch.manual_seed would move the states of GPUs, too, which nothing restores here.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield


def _levels(config: EncoderConfig) -> tuple[int, ...]:
    levels = ARCHITECTURES[config.name].levels
    if config.depth is not None:
        quarter = config.depth // len(levels)
        return tuple(range(quarter - 1, config.depth, quarter))
    # Without max-pool the stem's map and the first stage's are of one size: the later one stays.
    return levels if config.stem == "published" else levels[1:]
