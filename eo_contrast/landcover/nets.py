"""Encoders with a head: one class, several classes, or a class for every pixel."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.landcover.batches import Images
from eo_contrast.nets.encoders import drawn_from
from eo_contrast.training.card import card_text, fill
from eo_contrast.training.encoder_card import SensorEncoders
from eo_contrast.training.land_cover_card import LandCoverCard, read_land_cover_card

COARSEST_OF_ONE_STRIDE = 32
LEAST_DECODER = 16


class PlaceClassifier(nn.Module):
    """Pooled features of one or several sensors in a row, then layers to the classes."""

    def __init__(self, card: LandCoverCard, *, seed: int) -> None:
        super().__init__()
        self.encoders = SensorEncoders(card.encoder, seed=seed)
        self.sensors = card.sensors
        # The projector's first layers go along where they can be tuned (Chen et al. 2020b).
        self._headed = card.mode == "full"
        width = self.encoders.headed_width if self._headed else self.encoders.width
        with drawn_from(seed):
            self.head = _place_head(card, width * len(card.sensors))

    def features(self, images: Images) -> Tensor:
        """(N, width of all sensors)."""
        encode = self.encoders.headed if self._headed else self.encoders
        return torch.cat([encode(name, images[name]) for name in self.sensors], dim=1)

    def forward(self, images: Images) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.head(self.features(images))
        return logits


class PixelClassifier(nn.Module):
    """Maps of one or several sensors side by side, then a decoder to a class for each pixel."""

    def __init__(self, card: LandCoverCard, *, seed: int) -> None:
        super().__init__()
        self.encoders = SensorEncoders(card.encoder, seed=seed)
        self.sensors = card.sensors
        trunk = self.encoders.trunk(card.sensors[0])
        self._one_stride = len(set(trunk.pyramid_strides)) == 1
        channels = [count * len(card.sensors) for count in trunk.pyramid_channels]
        with drawn_from(seed):
            if card.mode == "linear":
                self.head: nn.Module = _LinearMaps(channels, len(card.classes))
            else:
                self.head = _Unet(channels, card.head.decoder, len(card.classes))

    def features(self, images: Images) -> list[Tensor]:
        """Maps (N, channels of all sensors, rows, columns), finest first."""
        pyramids = [self.encoders.pyramid(name, images[name]) for name in self.sensors]
        maps = [torch.cat(level, dim=1) for level in zip(*pyramids, strict=True)]
        if not self._one_stride:
            return maps
        # A ViT's maps are as coarse at every depth; a decoder wants each half as fine as the last.
        side = images[self.sensors[0]].shape[-1]
        strides = [COARSEST_OF_ONE_STRIDE >> step for step in reversed(range(len(maps)))]
        return [
            F.interpolate(level, _at_least_one(side // stride), mode="bilinear")
            for level, stride in zip(maps, strides, strict=True)
        ]

    def forward(self, images: Images) -> Tensor:
        """Logits (N, classes, H, W)."""
        logits: Tensor = self.head(self.features(images), images[self.sensors[0]].shape[-1])
        return logits


LandCoverNet = PlaceClassifier | PixelClassifier


def build_land_cover(card: LandCoverCard, *, seed: int = 0) -> LandCoverNet:
    """A net with random weights, a function of card and seed."""
    kind = PixelClassifier if card.kind == "segmentation" else PlaceClassifier
    return kind(card, seed=seed)


def load_land_cover(path: Path | str) -> tuple[LandCoverNet, LandCoverCard]:
    """The net in evaluation mode, and its card.

    Raises:
        InputError: no such file, not a land-cover model, or weights that do not fit its card.
    """
    card = read_land_cover_card(path)
    file, _ = card_text(path)
    net = build_land_cover(card)
    fill(net, file)
    return net.eval(), card


def pixel_logits(net: PixelClassifier, images: Images, side: int) -> Tensor:
    """Logits (N, classes, side, side): of places that were enlarged, at their own size again."""
    logits: Tensor = net(images)
    if logits.shape[-1] == side:
        return logits
    return F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)


def _place_head(card: LandCoverCard, width: int) -> nn.Sequential:
    classes = len(card.classes)
    if card.mode == "full":
        return nn.Sequential(nn.Linear(width, classes))
    # Frozen features come in all scales; nothing before the layer can adapt to it.
    scale = nn.BatchNorm1d(width, affine=False, momentum=None)
    if card.mode == "linear":
        return nn.Sequential(scale, nn.Linear(width, classes))
    hidden = card.head.hidden
    return nn.Sequential(scale, nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))


class _LinearMaps(nn.Module):
    """One linear layer on all maps of a pixel, coarse ones laid over it bilinearly.

    Since both are linear the layer comes first: classes are fewer than channels.
    """

    def __init__(self, channels: list[int], classes: int) -> None:
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


class _Unet(nn.Module):
    """The decoder of a U-Net on an encoder's maps, of segmentation-models-pytorch."""

    def __init__(self, channels: list[int], coarsest: int, classes: int) -> None:
        super().__init__()
        # Both take seconds to import, which no command pays that needs no decoder.
        from segmentation_models_pytorch.base.initialization import initialize_decoder
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

        steps = [max(coarsest >> step, LEAST_DECODER) for step in range(len(channels))]
        # The first entry stands for the image itself, which the decoder only measures.
        self.decoder = UnetDecoder([0, *channels], steps, n_blocks=len(steps))
        initialize_decoder(self.decoder)
        self.classify = nn.Conv2d(steps[-1], classes, 3, padding=1)

    def forward(self, maps: list[Tensor], side: int) -> Tensor:
        image = maps[0].new_empty(len(maps[0]), 0, side, side)
        logits: Tensor = self.classify(self.decoder([image, *maps]))
        return logits


def _at_least_one(side: int) -> tuple[int, int]:
    return max(side, 1), max(side, 1)
