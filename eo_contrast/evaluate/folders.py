"""Two folders of images, true and translated, matched by name and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.data.image_pairs import IMAGE_SUFFIXES, ImageRef, read_image
from eo_contrast.errors import InputError
from eo_contrast.evaluate.map_agreement import (
    Palette,
    commonest_colour,
    load_palette,
    nearest_palette,
    shipped_palettes,
)
from eo_contrast.evaluate.paired import score_pairs

RGB = NDArray[np.uint8]
Say = Callable[[str], None]

MAPS_LOOKED_AT = 16
LEAST_COVERED = 0.5


@dataclass(frozen=True)
class FolderPairs:
    """True and translated images of the same places, in order of their names."""

    real: tuple[Path, ...]
    fake: tuple[Path, ...]

    def reals(self) -> Iterator[RGB]:
        """The true maps, (H, W, 3) each."""
        return (_read(path) for path in self.real)

    def both(self) -> Iterator[tuple[RGB, RGB]]:
        """True and translated map of each place.

        Raises: InputError: their sizes differ.
        """
        for real, fake in zip(self.real, self.fake, strict=True):
            pixels = _read(real), _read(fake)
            if pixels[0].shape != pixels[1].shape:
                raise InputError(
                    f"{fake}: {_size(pixels[1])} pixels, the true map {real} has "
                    f"{_size(pixels[0])}; both must have one size"
                )
            yield pixels


def match_folders(real: Path, fake: Path) -> FolderPairs:
    """Match images by path below their folder, whatever their type: 16/1/2.png and 16/1/2.jpg.

    Raises:
        InputError: no such folder, no images, two images of one name, or a name that only
            one folder has.
    """
    reals, fakes = _images_by_name(real), _images_by_name(fake)
    for name in sorted(reals.keys() ^ fakes.keys()):
        lacking, having = (fake, reals) if name in reals else (real, fakes)
        raise InputError(
            f"{lacking}: no image named {name}, which {having[name]} needs as its partner; "
            "both folders must hold the same names"
        )
    names = sorted(reals)
    return FolderPairs(
        real=tuple(reals[name] for name in names), fake=tuple(fakes[name] for name in names)
    )


def score_folders(pairs: FolderPairs, palette: Palette, *, baselines: bool) -> dict[str, Any]:
    """Scores of matched folders, as ``PairedScores.result``; ``baselines`` as a further key."""
    scores = score_pairs(pairs.both(), palette)
    if baselines:
        colour = commonest_colour(pairs.reals())
        scores["baselines"] = {
            "commonest_colour": score_pairs(plain_maps(pairs.reals(), colour), palette)
        }
    return scores


def plain_maps(reals: Iterator[RGB], colour: RGB) -> Iterator[tuple[RGB, RGB]]:
    """Each true map beside a map whose every pixel is ``colour`` (3,)."""
    for real in reals:
        yield real, np.broadcast_to(colour, real.shape)


def palette_for(reals: Iterator[RGB], wanted: str | None, say: Say) -> Palette:
    """The palette named ``wanted``; None: the shipped one that fits the first maps best.

    Raises: InputError: no such palette, or none of the shipped ones fits.
    """
    if wanted is not None:
        return load_palette(wanted)
    palette, covered = _fit(reals)
    if covered < LEAST_COVERED:
        raise InputError(
            f"--palette: none given, and the nearest shipped one, {palette.name}, has the colours "
            f"of only {covered:.0%} of the true maps' pixels; give the YAML file of their palette"
        )
    say(f"palette: {palette.name} (has the colours of {covered:.0%} of the true maps' pixels)")
    return palette


def fitting_palette(reals: Iterator[RGB]) -> Palette | None:
    """The shipped palette that fits the first maps best; None where none fits."""
    palette, covered = _fit(reals)
    return palette if covered >= LEAST_COVERED else None


def _fit(reals: Iterator[RGB]) -> tuple[Palette, float]:
    first = [real for real, _ in zip(reals, range(MAPS_LOOKED_AT), strict=False)]
    return nearest_palette(first, shipped_palettes())


def _images_by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of images")
    images: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in images:
            raise InputError(
                f"{path}: {images[name].name} has the same name without its suffix; "
                "keep one of them"
            )
        images[name] = path
    if not images:
        raise InputError(
            f"{folder}: holds no image; expected files ending in {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return images


def _read(path: Path) -> RGB:
    return read_image(ImageRef(path, "whole", "", None))


def _size(pixels: RGB) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
