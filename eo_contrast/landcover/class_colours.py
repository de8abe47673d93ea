"""A colour for each land-cover class, the same wherever it is drawn."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from eo_contrast.landcover.label_sets import BIGEARTHNET_19

NO_LABEL = (236, 236, 233)
"""Of pixels that do not count."""

_CORINE = (
    (230, 0, 77), (204, 77, 242), (255, 255, 168), (242, 166, 77), (230, 230, 77),
    (255, 230, 77), (230, 204, 77), (242, 204, 166), (128, 255, 0), (0, 166, 0),
    (77, 255, 0), (204, 242, 77), (166, 255, 128), (166, 242, 0), (230, 230, 230),
    (166, 166, 255), (204, 204, 255), (0, 204, 242), (0, 90, 190),
)  # fmt: skip
_IGBP = {
    "Forest": (0, 153, 0),
    "Shrubland": (198, 176, 68),
    "Savanna": (251, 255, 19),
    "Grassland": (182, 255, 5),
    "Wetlands": (39, 255, 135),
    "Croplands": (194, 79, 68),
    "Urban": (120, 120, 120),
    "Snow": (105, 255, 248),
    "Barren": (249, 255, 164),
    "Water": (28, 13, 255),
}
KNOWN: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {**dict(zip(BIGEARTHNET_19, _CORINE, strict=True)), **_IGBP}
)
"""As the legends of CORINE and IGBP have them; the sea is darker, which is nearly white there."""

GOLDEN = 0.618_033_988_75
"""Steps of this part of a circle never come near where they were."""


def class_colours(classes: Sequence[str]) -> NDArray[np.uint8]:
    """Red, green and blue (C, 3): a known legend's, or hues as far apart as can be."""
    if all(name in KNOWN for name in classes):
        return np.array([KNOWN[name] for name in classes], np.uint8)
    return np.array([_spread(number) for number in range(len(classes))], np.uint8)


def painted(maps: NDArray[np.uint8], classes: Sequence[str]) -> NDArray[np.uint8]:
    """A map of classes (H, W) in their colours (H, W, 3); grey where there is no class."""
    table = np.full((256, 3), NO_LABEL, np.uint8)
    table[: len(classes)] = class_colours(classes)
    return table[maps]


def _spread(number: int) -> tuple[int, ...]:
    value, saturation = ((0.85, 0.75), (0.6, 0.85), (0.95, 0.45))[number % 3]
    shares = colorsys.hsv_to_rgb((0.3 + number * GOLDEN) % 1, saturation, value)
    return tuple(round(255 * share) for share in shares)
