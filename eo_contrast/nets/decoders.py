"""Decoders: from an encoder's maps to classes of pixels, of segmentation-models-pytorch.

All take maps (N, channels, rows, columns), finest first, each about half as fine as the last, and
the image's side, and give logits (N, classes, side, side).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Decoder = Literal["unet", "upernet", "deeplabv3plus", "segformer"]
LEAST_WIDTH = 16
FROM_QUARTER = 4
"""How many maps decoders use that begin at a quarter of the image: 1/4, 1/8, 1/16 and 1/32."""
ATROUS_RATES = (12, 24, 36)


class UnetDecoder(nn.Module):
    """Ronneberger et al. 2015: each step doubles the side and takes in the encoder's map there."""

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        # Takes seconds to import, which no command pays that needs no decoder.
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder as Decode

        steps = [max(width >> step, LEAST_WIDTH) for step in range(len(channels))]
        # The first entry stands for the image itself, which the decoder only measures.
        self.decoder = _initialised(Decode([0, *channels], steps, n_blocks=len(steps)))
        self.classify = nn.Conv2d(steps[-1], classes, 3, padding=1)

    def forward(self, maps: list[Tensor], side: int) -> Tensor:
        logits: Tensor = self.classify(self.decoder([_nothing(maps, side), *maps]))
        return logits


class UPerNetDecoder(nn.Module):
    """Xiao et al. 2018: pyramid pooling of the coarsest map, a feature pyramid, all laid together.

    The published width is 512 (mmsegmentation), 256 in segmentation-models-pytorch.
    """

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder as Decode

        own = channels[-FROM_QUARTER:]
        decode = Decode([0, 0, *own], encoder_depth=len(own) + 1, decoder_channels=width)
        self.decoder = _initialised(decode)
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, maps: list[Tensor], side: int) -> Tensor:
        image = _nothing(maps, side)
        return _enlarged(self.classify(self.decoder([image, image, *maps[-FROM_QUARTER:]])), side)


class DeepLabV3PlusDecoder(nn.Module):
    """Chen et al. 2018: atrous pyramid pooling of the coarsest map, joined to that at a quarter.

    The published net takes out the encoder's last stride and dilates what follows, so that its
    coarsest map is 1/16. Here the encoder stays as it was pretrained, and its map at 1/32 is
    enlarged.
    """

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        from segmentation_models_pytorch.decoders.deeplabv3.decoder import (
            DeepLabV3PlusDecoder as Decode,
        )

        own = channels[-FROM_QUARTER:]
        decode: Any = Decode(
            [0, 0, *own], len(own) + 1, width, ATROUS_RATES, 16, aspp_separable=True,
            aspp_dropout=0.5,
        )  # fmt: skip
        _initialised(decode)
        self.pooled, self.quarter, self.joined = decode.aspp, decode.block1, decode.block2
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, maps: list[Tensor], side: int) -> Tensor:
        fine, sixteenth, coarsest = maps[-FROM_QUARTER], maps[-2], maps[-1]
        deep = self.pooled(_resized(coarsest, sixteenth))
        # By size and not by a factor of 4: sides need not be multiples of 16.
        both = torch.cat([_resized(deep, fine), self.quarter(fine)], dim=1)
        return _enlarged(self.classify(self.joined(both)), side)


class SegformerDecoder(nn.Module):
    """Xie et al. 2021: a linear layer on each map, laid together at a quarter, and another."""

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        from segmentation_models_pytorch.decoders.segformer.decoder import (
            SegformerDecoder as Decode,
        )

        own = channels[-FROM_QUARTER:]
        decode = Decode([0, *own], encoder_depth=len(own), segmentation_channels=width)
        self.decoder = _initialised(decode)
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, maps: list[Tensor], side: int) -> Tensor:
        features = self.decoder([_nothing(maps, side), *maps[-FROM_QUARTER:]])
        return _enlarged(self.classify(features), side)


class LinearMaps(nn.Module):
    """One linear layer on all maps of a pixel, coarse ones laid over it bilinearly.

    Since both are linear the layer comes first: classes are fewer than channels.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(count, affine=False, momentum=None), nn.Conv2d(count, classes, 1)
            )
            for count in channels
        )

    def forward(self, maps: list[Tensor], side: int) -> Tensor:
        laid = [
            F.interpolate(level(each), (side, side), mode="bilinear")
            for level, each in zip(self.levels, maps, strict=True)
        ]
        return torch.stack(laid).sum(0)


DECODERS: Mapping[
    Decoder,
    type[UnetDecoder] | type[UPerNetDecoder] | type[DeepLabV3PlusDecoder] | type[SegformerDecoder],
] = {
    "unet": UnetDecoder,
    "upernet": UPerNetDecoder,
    "deeplabv3plus": DeepLabV3PlusDecoder,
    "segformer": SegformerDecoder,
}


def _initialised(decoder: nn.Module) -> nn.Module:
    from segmentation_models_pytorch.base.initialization import initialize_decoder

    initialize_decoder(decoder)
    return decoder


def _nothing(maps: Sequence[Tensor], side: int) -> Tensor:
    """An image without bands, which stands where a decoder measures its input."""
    return maps[0].new_empty(len(maps[0]), 0, side, side)


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    size = (like.shape[-2], like.shape[-1])
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def _enlarged(logits: Tensor, side: int) -> Tensor:
    return F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
