"""A land-cover model as ``TileModel``: values of all its sensors in, classes' probabilities out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.data.sensors import standardised
from eo_contrast.errors import InputError
from eo_contrast.inference.models import LoadedModel
from eo_contrast.landcover.nets import LandCoverNet, PixelClassifier, load_land_cover
from eo_contrast.landcover.probabilities import pixel_probabilities, place_probabilities
from eo_contrast.nets.inference import Precision
from eo_contrast.raster.class_map import NO_CLASS
from eo_contrast.training.card import model_file
from eo_contrast.training.land_cover_card import LandCoverCard


class LandCoverTiles:
    """The ``TileModel`` of a land-cover net; it sees windows of ``window`` pixels a side, no other.

    A net that tells a class a place gives it to every pixel of a window.

    Attributes:
        fill: what stands for pixels without data, by band: the training's means, which nets see
            as 0, as they did of such pixels in training.
    """

    dtype_out: str | None = "float32"
    halo = 0
    stride = 1
    joining: Literal["blend", "cut"] = "blend"

    def __init__(self, net: LandCoverNet, card: LandCoverCard, device: torch.device) -> None:
        # Channels last is a quarter faster on a processor.
        self._net = net.to(device).to(memory_format=torch.channels_last)
        self._device = device
        self._size = card.size
        self._sensors = {name: card.encoder.sensors[name] for name in card.sensors}
        self.window = card.seen or card.size
        self.bands_in = tuple(band for each in self._sensors.values() for band in each.bands)
        self.bands_out = card.classes
        self.fill = tuple(mean for each in self._sensors.values() for mean in each.mean)

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        """Nothing depends on the scene: norms are over channels, or by the training's numbers."""
        return {}

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Nothing depends on the scene."""

    def __call__(self, tiles: Tensor) -> Tensor:
        """Probabilities (N, classes, side, side) of values (N, bands, side, side) in their units.

        Bands are those of the card's sensors, one sensor behind the other.
        """
        side = tiles.shape[-1]
        values = tiles.to(self._device, torch.float32)
        if side != self._size:
            values = F.interpolate(values, (self._size, self._size), mode="bilinear")
        parts = torch.split(values, [len(each.bands) for each in self._sensors.values()], dim=1)
        images = {
            name: standardised(part, None, sensor).contiguous(memory_format=torch.channels_last)
            for part, (name, sensor) in zip(parts, self._sensors.items(), strict=True)
        }
        if isinstance(self._net, PixelClassifier):
            return pixel_probabilities(self._net, images, side, turns=self._net.turns)
        found = place_probabilities(self._net, images, turns=self._net.turns)
        return found[:, :, None, None].expand(-1, -1, side, side)


@dataclass(frozen=True, kw_only=True)
class LandCoverModel(LoadedModel):
    """A land-cover model ready to run.

    Attributes:
        tiles, card: of the weights file; ``card.sensors`` those that are seen.
        without: the model's other sensors, which are not seen.
    """

    tiles: LandCoverTiles
    card: LandCoverCard
    without: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to tell of a sensor that is missing."""
        if not self.without or self.card.drop_sensor:
            return ()
        return (
            f"the model never learnt to do without {' and '.join(self.without)}, so that classes "
            "may be far off; finetune with data.drop_sensor teaches it",
        )


def load_land_cover_model(
    name: str,
    device: torch.device,
    precision: Precision = "fp32",
    *,
    without: tuple[str, ...] = (),
) -> LandCoverModel:
    """The model that ``--model`` names: a weights file that finetune made, or its run folder.

    >>> model = eo_contrast.load_land_cover_model("classes", torch.device("cpu"))
    >>> model.card.classes
    ('field', 'town')

    Args:
        precision: is fp32 whatever is asked for.
        without: sensors of the model's that there are no images of.

    Raises: InputError: it is neither, its task makes no map, or no sensor is left.
    """
    net, card = load_land_cover(name)
    file = model_file(name)
    if card.kind == "multi-label":
        raise InputError(
            f"{file}: tells any number of classes of a place, and a map has one a pixel; give a "
            "model of the task segmentation or classification"
        )
    if len(card.classes) > NO_CLASS:
        raise InputError(
            f"{file}: has {len(card.classes)} classes, and a map holds {NO_CLASS}; merge some by "
            "labels.scheme"
        )
    card = card.model_copy(update={"sensors": _left(card, without)})
    return LandCoverModel(
        name=file.name,
        tiles=LandCoverTiles(net, card, device),
        given=str(Path(name).resolve()),
        device=str(device),
        precision="fp32",
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        card=card,
        without=without,
    )


def _left(card: LandCoverCard, without: tuple[str, ...]) -> tuple[str, ...]:
    """The model's sensors but for those that are missing."""
    for name in without:
        if name not in card.sensors:
            raise InputError(
                f"--without {name}: the model has no such sensor, but {' and '.join(card.sensors)}"
            )
    left = tuple(name for name in card.sensors if name not in without)
    if not left:
        raise InputError(
            f"--without {' --without '.join(without)}: the model sees nothing else; leave one out"
        )
    return left
