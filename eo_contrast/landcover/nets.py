"""Encoders with a head: one class, several classes, or a class for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.landcover.batches import Images
from eo_contrast.nets.decoders import DECODERS, LinearMaps
from eo_contrast.nets.encoders import drawn_from
from eo_contrast.nets.fusion import build_fusion
from eo_contrast.training.card import card_text, fill
from eo_contrast.training.encoder_card import SensorEncoders
from eo_contrast.training.land_cover_card import LandCoverCard, read_land_cover_card

COARSEST_OF_ONE_STRIDE = 32


class PlaceClassifier(nn.Module):
    """Pooled features of one or several sensors, fused, then layers to the classes."""

    def __init__(self, card: LandCoverCard, *, seed: int) -> None:
        super().__init__()
        self.encoders = SensorEncoders(card.encoder, seed=seed)
        self.sensors, self.turns = card.sensors, card.head.turns
        # The projector's first layers go along where they can be tuned (Chen et al. 2020b).
        self._headed, self._maps = card.mode == "full", card.head.maps
        self._width = (
            self.encoders.headed_width if self._headed else self.encoders.width_of(card.head.maps)
        )
        # Frozen features come in all scales; nothing before the layer can adapt to it.
        self.scale = (
            nn.Identity()
            if card.mode == "full"
            else nn.BatchNorm1d(self._width * len(card.sensors), affine=False, momentum=None)
        )
        with drawn_from(seed):
            self.fusion = build_fusion(card.head.fusion, len(card.sensors), self._width)
            self.head = _place_head(card, self.fusion.channels)

    def features(self, images: Images) -> Tensor:
        """(N, width of all sensors), one sensor behind the other; 0 of one without images."""
        encode = self.encoders.headed if self._headed else partial(self.encoders, maps=self._maps)
        found = {name: encode(name, images[name]) for name in self.sensors if name in images}
        some = next(iter(found.values()))
        parts = [found[name] if name in found else torch.zeros_like(some) for name in self.sensors]
        return torch.cat(parts, dim=1)

    def classify(self, features: Tensor, present: Tensor | None = None) -> Tensor:
        """Logits (N, classes) of :meth:`features`.

        Args:
            present: bool (N, sensors), which of them count; None: all.
        """
        # What is missing is put at 0 after scaling, so that it stands at the mean.
        parts = self.scale(features).split(self._width, dim=1)
        logits: Tensor = self.head(self.fusion(parts, present))
        return logits

    def forward(self, images: Images, present: Tensor | None = None) -> Tensor:
        """Logits (N, classes)."""
        known = present_sensors(self.sensors, images, present)
        return self.classify(self.features(images), known)


class PixelClassifier(nn.Module):
    """Maps of one or several sensors, fused, then a decoder to a class for each pixel."""

    def __init__(self, card: LandCoverCard, *, seed: int) -> None:
        super().__init__()
        self.encoders = SensorEncoders(card.encoder, seed=seed)
        self.sensors, self.turns = card.sensors, card.head.turns
        trunk = self.encoders.trunk(card.sensors[0])
        self._one_stride = len(set(trunk.pyramid_strides)) == 1
        with drawn_from(seed):
            fusions = [
                build_fusion(card.head.fusion, len(card.sensors), count)
                for count in trunk.pyramid_channels
            ]
            self.fusion = nn.ModuleList(fusions)
            self.head = _pixel_head(card, [level.channels for level in fusions])

    def features(self, images: Images, present: Tensor | None = None) -> list[Tensor]:
        """Maps (N, channels of the fusion, rows, columns), finest first."""
        found = {
            name: self.encoders.pyramid(name, images[name])
            for name in self.sensors
            if name in images
        }
        known = present_sensors(self.sensors, images, present)
        some = next(iter(found.values()))
        pyramids = [
            found[name] if name in found else [torch.zeros_like(level) for level in some]
            for name in self.sensors
        ]
        maps = [fuse(level, known) for fuse, *level in zip(self.fusion, *pyramids, strict=True)]
        if not self._one_stride:
            return maps
        # A ViT's maps are as coarse at every depth; a decoder wants each half as fine as the last.
        side = _side(images)
        strides = [COARSEST_OF_ONE_STRIDE >> step for step in reversed(range(len(maps)))]
        return [
            F.interpolate(level, _at_least_one(side // stride), mode="bilinear")
            for level, stride in zip(maps, strides, strict=True)
        ]

    def forward(self, images: Images, present: Tensor | None = None) -> Tensor:
        """Logits (N, classes, H, W).

        Args:
            present: bool (N, sensors), which of them count; None: all that have images.
        """
        logits: Tensor = self.head(self.features(images, present), _side(images))
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


def pixel_logits(
    net: PixelClassifier, images: Images, side: int, present: Tensor | None = None
) -> Tensor:
    """Logits (N, classes, side, side): of places that were enlarged, at their own size again."""
    logits: Tensor = net(images, present)
    if logits.shape[-1] == side:
        return logits
    return F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)


def present_sensors(
    sensors: Sequence[str], images: Images, present: Tensor | None = None
) -> Tensor | None:
    """bool (N, sensors): those that have images, and of ``present``; None where all are there."""
    there = [name in images for name in sensors]
    if all(there):
        return present
    any_image = next(iter(images.values()))
    known = torch.tensor(there, device=any_image.device).expand(len(any_image), -1)
    return known if present is None else known & present


def _place_head(card: LandCoverCard, width: int) -> nn.Sequential:
    classes, hidden = len(card.classes), card.head.hidden
    if card.mode == "frozen":
        return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    return nn.Sequential(nn.Linear(width, classes))


def _pixel_head(card: LandCoverCard, channels: Sequence[int]) -> nn.Module:
    if card.mode == "linear":
        return LinearMaps(channels, len(card.classes))
    return DECODERS[card.head.decoder](channels, card.head.decoder_width, len(card.classes))


def _side(images: Images) -> int:
    return next(iter(images.values())).shape[-1]


def _at_least_one(side: int) -> tuple[int, int]:
    return max(side, 1), max(side, 1)
