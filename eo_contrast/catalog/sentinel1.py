"""Calibration of Sentinel-1 ground-range products: amplitude to backscatter by their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from eo_contrast.errors import InputError

LEAST_POWER = 1e-4
"""What lies below the noise is told as -40 dB: it was measured, and it is dark."""


@dataclass(frozen=True)
class Lut:
    """Values at some lines and pixels of an image, between which they change bilinearly.

    Attributes:
        lines: ascending.
        pixels, values: of each line, ascending pixels.
    """

    lines: NDArray[np.float64]
    pixels: Sequence[NDArray[np.float64]]
    values: Sequence[NDArray[np.float64]]

    def at(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """(rows, columns) of the image; the nearest value beyond the table's ends."""
        across = np.stack(
            [
                np.interp(columns, pixels, values)
                for pixels, values in zip(self.pixels, self.values, strict=True)
            ]
        )
        place = np.interp(rows, self.lines, np.arange(len(self.lines)))
        below = np.minimum(place.astype(int), max(len(self.lines) - 2, 0))
        above = np.minimum(below + 1, len(self.lines) - 1)
        share = (place - below)[:, None]
        mixed: NDArray[np.float64] = across[below] * (1 - share) + across[above] * share
        return mixed


@dataclass(frozen=True)
class AzimuthBlock:
    """How the noise of a part of the image goes with its lines."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    lines: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Thermal noise in squared amplitude: along the lines, times along the columns."""

    across: Lut
    along: Sequence[AzimuthBlock]

    def at(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """(rows, columns) of the image."""
        noise = self.across.at(rows, columns)
        for block in self.along:
            inside = (rows >= block.rows[0]) & (rows <= block.rows[1])
            where = (columns >= block.columns[0]) & (columns <= block.columns[1])
            gain = np.interp(rows, block.lines, block.values)
            noise[np.ix_(inside, where)] *= gain[inside, None]
        return noise


def sigma_nought(
    amplitude: NDArray[np.integer],
    sigma: NDArray[np.float64],
    noise: NDArray[np.float64] | float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(amplitude² - noise) / sigma², and which pixels have data.

    Args:
        amplitude: counts as stored, any shape; 0 is the border, which was not seen.
        sigma: of the product's calibration, of the same shape, > 0.
        noise: thermal noise in squared amplitude.

    Returns: linear power as float32, at least ``LEAST_POWER`` where valid, 0 elsewhere.
    Source: Sentinel-1 Product Specification (S1-RS-MDA-52-7441), radiometric calibration.
    """
    valid = amplitude > 0
    power = (amplitude.astype(np.float64) ** 2 - noise) / sigma**2
    seen = np.where(valid, np.maximum(power, LEAST_POWER), 0)
    return seen.astype(np.float32), valid


def read_calibration(path: Path) -> Lut:
    """The table of sigma nought.

    Raises: InputError: no such file, not XML, or without the table.
    """
    return _lut(path, _parsed(path), "calibrationVector", "sigmaNought")


def read_noise(path: Path) -> Noise | None:
    """The tables of thermal noise; None: the product has none.

    Raises: InputError: not XML, or without the table.
    """
    if not path.is_file():
        return None
    root = _parsed(path)
    # Products of before 2018 have one table.
    if root.find(".//noiseRangeVector") is None:
        return Noise(_lut(path, root, "noiseVector", "noiseLut"), ())
    across = _lut(path, root, "noiseRangeVector", "noiseRangeLut")
    return Noise(across, tuple(_blocks(path, root)))


def _blocks(path: Path, root: ElementTree.Element) -> Iterator[AzimuthBlock]:
    for vector in root.iter("noiseAzimuthVector"):
        corners = ("firstAzimuthLine", "lastAzimuthLine", "firstRangeSample", "lastRangeSample")
        # Of modes without swaths the vector holds for all of the image.
        first, last, left, right = (
            int(vector.findtext(name) or default)
            for name, default in zip(corners, (0, 2**31, 0, 2**31), strict=True)
        )
        lines, values = (_numbers(path, vector, name) for name in ("line", "noiseAzimuthLut"))
        yield AzimuthBlock((first, last), (left, right), lines, values)


def _lut(path: Path, root: ElementTree.Element, vector: str, name: str) -> Lut:
    vectors = list(root.iter(vector))
    if not vectors:
        raise InputError(f"{path}: has no {vector}; was it downloaded whole?")
    return Lut(
        lines=np.concatenate([_numbers(path, each, "line") for each in vectors]),
        pixels=[_numbers(path, each, "pixel") for each in vectors],
        values=[_numbers(path, each, name) for each in vectors],
    )


def _numbers(path: Path, element: ElementTree.Element, name: str) -> NDArray[np.float64]:
    try:
        numbers = np.array([float(text) for text in (element.findtext(name) or "").split()])
    except ValueError as error:
        raise InputError(f"{path}: {name} holds what is no number ({error})") from error
    if not numbers.size:
        raise InputError(f"{path}: has no {name}; was it downloaded whole?")
    return numbers


def _parsed(path: Path) -> ElementTree.Element:
    if not path.is_file():
        raise InputError(f"{path}: no such file; it says what the amplitudes mean")
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: is not readable as XML ({error})") from error
