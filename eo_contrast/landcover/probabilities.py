"""What a land-cover net says in the end: probabilities, of images or of their eight turns."""

from __future__ import annotations

from torch import Tensor

from eo_contrast.landcover.batches import Images
from eo_contrast.landcover.nets import PixelClassifier, PlaceClassifier, pixel_logits
from eo_contrast.nets.turns import mean_over_turns


def probabilities(logits: Tensor, *, several: bool) -> Tensor:
    """Of logits (N, classes, ...), float32.

    Args:
        several: each class is told by itself; else one is true, and they add up to 1.
    """
    return logits.float().sigmoid() if several else logits.float().softmax(dim=1)


def place_probabilities(
    net: PlaceClassifier, images: Images, *, turns: bool, several: bool = False
) -> Tensor:
    """Probabilities (N, classes) of images (N, bands, S, S) by sensor.

    Args:
        turns: the mean over the eight turns and mirrors.
        several: as :func:`probabilities`.
    """

    def once(seen: Images) -> Tensor:
        return probabilities(net(seen), several=several)

    return mean_over_turns(once, images) if turns else once(images)


def pixel_probabilities(net: PixelClassifier, images: Images, side: int, *, turns: bool) -> Tensor:
    """Probabilities (N, classes, side, side) of images (N, bands, S, S) by sensor.

    Args:
        side: as :func:`eo_contrast.landcover.nets.pixel_logits`.
        turns: the mean over the eight turns and mirrors, each turned back.
    """

    def once(seen: Images) -> Tensor:
        return probabilities(pixel_logits(net, seen, side), several=False)

    return mean_over_turns(once, images, maps=True) if turns else once(images)
