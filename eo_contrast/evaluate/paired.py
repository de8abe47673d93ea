"""Scores of translated maps against the true maps of the same places."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.evaluate.map_agreement import (
    ROAD_TOLERANCE_PX,
    Palette,
    class_overlap,
    classify,
    confusion,
    ratio,
    road_mask,
    road_matches,
    road_scores,
)

RGB = NDArray[np.uint8]

DATA_RANGE = 255.0
# An average over tiles must stay a number: one level off in one channel of one pixel of a
# 256-px tile is already 101 dB.
PSNR_OF_EQUAL_IMAGES = 100.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03
WITHIN_LEVELS = (5, 10)


def psnr(real: RGB, fake: RGB) -> float:
    """Peak signal-to-noise ratio in dB of two images (H, W, 3), at most 100 (equal images)."""
    error = real.astype(np.float64) - fake
    mean_square = float(np.mean(error**2))
    if mean_square == 0:
        return PSNR_OF_EQUAL_IMAGES
    return min(10 * math.log10(DATA_RANGE**2 / mean_square), PSNR_OF_EQUAL_IMAGES)


def ssim(real: RGB, fake: RGB) -> float:
    """Structural similarity (Wang et al. 2004, eq. 13), mean over pixels and channels.

    Gaussian window of 11 x 11 and sigma 1.5, K1 0.01, K2 0.03, range 255, population
    covariance; only windows that lie within the image count.

    Args:
        real, fake: (H, W, 3), both sides >= 11.

    Returns: -1..1; 1 for equal images.
    Raises: ValueError: an image smaller than the window.
    """
    if min(real.shape[:2]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW} pixels a side")
    x, y = real.astype(np.float64), fake.astype(np.float64)
    mean_x, mean_y, xx, yy, xy = (_windowed(part) for part in (x, y, x * x, y * y, x * y))
    c1, c2 = (SSIM_K1 * DATA_RANGE) ** 2, (SSIM_K2 * DATA_RANGE) ** 2
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    numerator = (2 * product + c1) * (2 * (xy - product) + c2)
    denominator = (squares + c1) * (xx + yy - squares + c2)
    return float(np.mean(numerator / denominator))


def within(real: RGB, fake: RGB, levels: int) -> int:
    """Number of pixels whose three channels are all within ``levels`` of the true ones."""
    worst = np.abs(real.astype(np.int16) - fake).max(axis=2)
    return int(np.count_nonzero(worst <= levels))


class PairedScores:
    """Scores summed up pair by pair; memory does not grow with their number."""

    def __init__(
        self, palette: Palette | None, *, road_tolerance_px: int = ROAD_TOLERANCE_PX
    ) -> None:
        """``palette`` is that of the true maps; None leaves out the scores of classes."""
        self._palette = palette
        self._tolerance = road_tolerance_px
        self._psnr: list[float] = []
        self._ssim: list[float] = []
        self._within = dict.fromkeys(WITHIN_LEVELS, 0)
        self._pixels = 0
        size = len(palette.classes) if palette else 0
        self._confusion = np.zeros((size, size), np.int64)
        self._roads = np.zeros(4, np.int64)

    def update(self, real: RGB, fake: RGB) -> None:
        """Add one place.

        Args:
            real: the true map, uint8 (H, W, 3).
            fake: the translated map of the same shape.

        Raises: ValueError: the shapes differ, or an array is not uint8 RGB.
        """
        if real.shape != fake.shape or real.ndim != 3 or real.shape[2] != 3:
            raise ValueError(f"expected two (H, W, 3) arrays, got {real.shape} and {fake.shape}")
        if real.dtype != np.uint8 or fake.dtype != np.uint8:
            raise ValueError(f"expected uint8 arrays, got {real.dtype} and {fake.dtype}")
        self._psnr.append(psnr(real, fake))
        if min(real.shape[:2]) >= SSIM_WINDOW:
            self._ssim.append(ssim(real, fake))
        for levels in WITHIN_LEVELS:
            self._within[levels] += within(real, fake, levels)
        self._pixels += real.shape[0] * real.shape[1]
        if self._palette is not None:
            self._update_classes(real, fake, self._palette)

    def result(self) -> dict[str, Any]:
        """All scores so far.

        Returns:
            n: pairs; psnr: dB, mean over pairs; ssim: mean over the pairs of at least 11
            pixels a side; within_5, within_10: share of all pixels; agreement: IoU by class
            and mean_iou; road: completeness, correctness. Classes are counted over all
            pairs together. NaN where a score is not defined: no pair, or a class in no map.
        """
        scores: dict[str, Any] = {
            "n": len(self._psnr),
            "psnr": ratio(math.fsum(self._psnr), len(self._psnr)),
            "ssim": ratio(math.fsum(self._ssim), len(self._ssim)),
        }
        for levels, count in self._within.items():
            scores[f"within_{levels}"] = ratio(count, self._pixels)
        if self._palette is not None:
            scores["agreement"] = class_overlap(self._confusion, list(self._palette.classes))
            scores["road"] = road_scores(self._roads)
        return scores

    def _update_classes(self, real: RGB, fake: RGB, palette: Palette) -> None:
        real_classes, fake_classes = classify(real, palette), classify(fake, palette)
        self._confusion += confusion(real_classes, fake_classes, len(palette.classes))
        self._roads += road_matches(
            road_mask(real_classes, palette), road_mask(fake_classes, palette), self._tolerance
        )


def score_pairs(pairs: Iterable[tuple[RGB, RGB]], palette: Palette | None) -> dict[str, Any]:
    """:meth:`PairedScores.result` over (true map, translated map)."""
    scores = PairedScores(palette)
    for real, fake in pairs:
        scores.update(real, fake)
    return scores.result()


def _windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian means over the windows inside (H, W, 3): (H - 10, W - 10, 3)."""
    half = SSIM_WINDOW // 2
    offsets = np.arange(-half, half + 1)
    kernel = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        along = np.moveaxis(values, axis, 0)
        length = len(along) - 2 * half
        total = kernel[half] * along[half : half + length]
        for step in range(1, half + 1):
            before, after = half - step, half + step
            both = along[before : before + length] + along[after : after + length]
            total += kernel[after] * both
        values = np.moveaxis(total, 0, axis)
    return values
