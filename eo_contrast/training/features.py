"""Features of places by a frozen encoder: what kNN, probes and searches look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.bands import positions
from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.data.sensors import SensorInput, standardised, unpacked
from eo_contrast.nets.turns import mean_over_turns
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders


@torch.no_grad()
def place_features(
    net: SensorEncoders,
    card: EncoderCard,
    source: PlaceSource,
    places: Sequence[int],
    *,
    sensors: Sequence[str] | None = None,
    size: int | None = None,
    maps: Sequence[int] | None = None,
    turns: bool = False,
    batch_size: int = 64,
) -> Tensor:
    """Features (N, widths of the sensors in a row) of the first date of each place, on the CPU.

    The middle square is looked at; a smaller place is enlarged to it, as training does. The nets
    are taken as they are: put them in evaluation mode.

    Args:
        sensors: names as the card has them; None: all.
        size: side of that square, pixels; None: the card's.
        maps: those of the encoder's whose means are taken, 1 the finest; None: as it pools.
        turns: the mean over the eight turns and mirrors of each image.
    """
    side = size or card.size

    def encoded(images: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([net(name, each, maps) for name, each in images.items()], dim=1)

    rows = []
    for start in range(0, len(places), batch_size):
        part = places[start : start + batch_size]
        images = {
            name: images_of(source, card.sensors[name], part, side, net)
            for name in sensors or card.sensors
        }
        rows.append((mean_over_turns(encoded, images) if turns else encoded(images)).cpu())
    return torch.cat(rows)


def images_of(
    source: PlaceSource,
    sensor: SensorInput,
    places: Sequence[int],
    size: int,
    net: torch.nn.Module,
) -> Tensor:
    """First dates' middles (N, bands, S, S) as a sensor's encoder eats them, on its device."""
    device = next(net.parameters()).device
    layer = source.layers[sensor.product]
    side = min(size, source.size)
    begin = (source.size - side) // 2
    counts = np.stack(
        [source.crop(int(place), sensor.product, 0, begin, begin, side) for place in places]
    )
    chosen = positions(layer.bands, sensor.bands)
    stored = torch.from_numpy(np.ascontiguousarray(counts[:, chosen])).to(device)
    seen = standardised(*unpacked(stored, layer.storage), sensor)
    if side == size:
        return seen
    return F.interpolate(seen, (size, size), mode="bilinear", align_corners=False)
