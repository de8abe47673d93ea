"""Do two maps agree? Classes by palette colour, overlap of each class, roads with slack."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eo_contrast.config import Config, find_config, load_config, shipped_folder

PALETTE_FOLDER = "configs/palettes"
ROAD_TOLERANCE_PX = 3
# Flat areas lie within a few levels of their colour; JPEG ringing reaches further.
FLAT_DISTANCE = 6.0
NEAR_DISTANCE = 18.0

Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]


class Palette(Config):
    """The colours of a map style, by class."""

    name: str
    """What the style is called."""
    classes: dict[str, tuple[Colour, ...]] = Field(min_length=2)
    """RGB colours of each class; the order of classes is the order of scores."""
    roads: tuple[str, ...] = ()
    """Classes that together are the road network."""

    @model_validator(mode="after")
    def _colours_decide(self) -> Self:
        if "mean_iou" in self.classes:
            raise ValueError("no class may be called 'mean_iou': scores use the name")
        owner: dict[Colour, str] = {}
        for name, colours in self.classes.items():
            if not colours:
                raise ValueError(f"class '{name}' has no colour; give one, or leave it out")
            for colour in colours:
                if owner.setdefault(colour, name) != name:
                    raise ValueError(
                        f"colour {list(colour)} is in '{owner[colour]}' and in '{name}'; "
                        "a colour belongs to one class"
                    )
        unknown = [name for name in self.roads if name not in self.classes]
        if unknown:
            raise ValueError(
                f"roads names '{unknown[0]}', which is no class; classes are "
                f"{', '.join(self.classes)}"
            )
        return self


def load_palette(source: str) -> Palette:
    """The palette in a YAML file, or the shipped one of that name (osm16, pix2pix-maps).

    Raises:
        InputError: no such file or name, or a file that is no palette.
    """
    return load_config(Palette, find_config(source, PALETTE_FOLDER))


def shipped_palettes() -> list[Palette]:
    """All palettes that come with the package, by name."""
    files = sorted(shipped_folder(PALETTE_FOLDER).glob("*.yaml"))
    return [load_config(Palette, file) for file in files]


def nearest_palette(
    maps: Iterable[NDArray[np.uint8]], palettes: Sequence[Palette]
) -> tuple[Palette, float]:
    """The palette that fits ``maps`` best, and the share of pixels that its colours cover.

    Map styles share their pale tones, so palettes are told apart by the pixels within
    ``FLAT_DISTANCE`` of a colour (and, where that ties, within ``NEAR_DISTANCE``); a pixel is
    covered within ``NEAR_DISTANCE``.

    Args:
        maps: images (H, W, 3).
        palettes: the candidates, at least one.

    Returns: the palette and a share, 0..1.
    """
    flat, covered = np.zeros(len(palettes)), np.zeros(len(palettes))
    pixels = 0
    for image in maps:
        pixels += image.shape[0] * image.shape[1]
        for number, palette in enumerate(palettes):
            squared = _squared_distances(image, _colours(palette)).min(axis=1)
            flat[number] += np.count_nonzero(squared <= FLAT_DISTANCE**2)
            covered[number] += np.count_nonzero(squared <= NEAR_DISTANCE**2)
    best = max(range(len(palettes)), key=lambda number: (flat[number], covered[number]))
    return palettes[best], float(covered[best] / max(pixels, 1))


def classify(image: NDArray[np.uint8], palette: Palette) -> NDArray[np.intp]:
    """Class of each pixel: that of the palette colour nearest in RGB (Euclidean).

    Where two colours are equally near, the one listed first wins.

    Args:
        image: (H, W, 3).

    Returns: (H, W), positions in ``palette.classes``.
    """
    nearest = _squared_distances(image, _colours(palette)).argmin(axis=1)
    classes: NDArray[np.intp] = _class_of_colour(palette)[nearest].reshape(image.shape[:2])
    return classes


def confusion(
    real: NDArray[np.intp], fake: NDArray[np.intp], number_of_classes: int
) -> NDArray[np.int64]:
    """Pixels by true class (row) and drawn class (column), shape (K, K)."""
    cells = real.ravel() * number_of_classes + fake.ravel()
    counts = np.bincount(cells, minlength=number_of_classes**2)
    return counts.reshape(number_of_classes, number_of_classes).astype(np.int64)


def class_overlap(confused: NDArray[np.int64], names: Sequence[str]) -> dict[str, float]:
    """Intersection over union of each class, and ``mean_iou`` over the classes that occur.

    Args:
        confused: (K, K) as :func:`confusion` counts, summed over a test set.
        names: of the K classes.

    Returns: values 0..1; NaN for a class that is in neither map.
    """
    both = np.diag(confused)
    either = confused.sum(axis=0) + confused.sum(axis=1) - both
    overlap = {
        name: ratio(int(part), int(whole))
        for name, part, whole in zip(names, both, either, strict=True)
    }
    present = [value for value in overlap.values() if not math.isnan(value)]
    return {**overlap, "mean_iou": ratio(sum(present), len(present))}


def road_matches(
    real: NDArray[np.bool_], fake: NDArray[np.bool_], tolerance_px: int = ROAD_TOLERANCE_PX
) -> NDArray[np.int64]:
    """Counts for completeness and correctness of roads (Heipke et al. 1997), on areas.

    Args:
        real: (H, W), true road.
        fake: (H, W), drawn road.
        tolerance_px: distance at which a road still counts as met, >= 0.

    Returns: [true road near drawn road, true road, drawn road near true road, drawn road];
        completeness is the first by the second, correctness the third by the fourth.
    """
    found = np.count_nonzero(real & grown(fake, tolerance_px))
    right = np.count_nonzero(fake & grown(real, tolerance_px))
    return np.array([found, np.count_nonzero(real), right, np.count_nonzero(fake)], np.int64)


def road_scores(matches: NDArray[np.int64]) -> dict[str, float]:
    """Completeness and correctness, 0..1, from summed :func:`road_matches`; NaN without roads."""
    found, real, right, fake = (int(count) for count in matches)
    return {"completeness": ratio(found, real), "correctness": ratio(right, fake)}


def road_mask(classes: NDArray[np.intp], palette: Palette) -> NDArray[np.bool_]:
    """Where a classified map (H, W) shows one of the palette's road classes."""
    is_road = np.array([name in palette.roads for name in palette.classes])
    mask: NDArray[np.bool_] = is_road[classes]
    return mask


def grown(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """True within ``radius`` pixels (Euclidean, centre to centre) of a true pixel; (H, W)."""
    height, width = mask.shape
    padded = np.pad(mask, radius)
    result = np.zeros_like(mask)
    for down in range(-radius, radius + 1):
        reach = math.isqrt(radius**2 - down**2)
        rows = padded[radius + down : radius + down + height]
        for right in range(-reach, reach + 1):
            result |= rows[:, radius + right : radius + right + width]
    return result


def ratio(part: float, whole: float) -> float:
    """``part / whole``; NaN where there is nothing to have a part of."""
    return part / whole if whole else math.nan


def commonest_colour(maps: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The RGB value that most pixels of ``maps`` have, shape (3,); of equals the least red, then
    the least green, then the least blue."""
    counts = np.zeros(2**24, np.int64)
    for image in maps:
        red, green, blue = image.reshape(-1, 3).astype(np.int64).T
        values, times = np.unique(red << 16 | green << 8 | blue, return_counts=True)
        counts[values] += times
    packed = int(counts.argmax())
    return np.array([packed >> 16, packed >> 8 & 255, packed & 255], np.uint8)


def _colours(palette: Palette) -> NDArray[np.float32]:
    return np.array([c for colours in palette.classes.values() for c in colours], np.float32)


def _class_of_colour(palette: Palette) -> NDArray[np.intp]:
    sizes = [len(colours) for colours in palette.classes.values()]
    return np.repeat(np.arange(len(sizes)), sizes)


def _squared_distances(
    image: NDArray[np.uint8], colours: NDArray[np.float32]
) -> NDArray[np.float32]:
    # |p|^2 - 2 p.c + |c|^2: all are whole numbers below 2^24, hence exact in float32
    pixels = image.reshape(-1, 3).astype(np.float32)
    squared: NDArray[np.float32] = (
        (pixels**2).sum(axis=1, keepdims=True) - 2 * (pixels @ colours.T) + (colours**2).sum(axis=1)
    )
    return squared
