"""Images at another scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RGB = NDArray[np.uint8]


def resized(image: RGB, height: int, width: int) -> RGB:
    """Bicubic, over the whole footprint where it gets smaller; (H, W, 3 or a multiple of 3)."""
    if image.shape[:2] == (height, width):
        return image
    parts = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image[..., first : first + 3])).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        )
        for first in range(0, image.shape[2], 3)
    ]
    return np.concatenate(parts, axis=2)


def at_zoom(image: RGB, zoom: float, work: Callable[[RGB], RGB]) -> RGB:
    """``work`` on the image at another scale, brought back to the image's own size.

    Args:
        image: (H, W, 3).
        zoom: pixels that ``work`` sees for one of the image's, > 0.
        work: (h, w, 3) to the same.
    """
    height, width = image.shape[:2]
    scaled = resized(image, max(round(height * zoom), 1), max(round(width * zoom), 1))
    return resized(work(scaled), height, width)


def at_stride(image: RGB, stride: int, work: Callable[[RGB], RGB]) -> RGB:
    """``work`` on the image whose sides are filled up to multiples of ``stride``, and cut back.

    Args:
        image: (H, W, 3); the edge is repeated to the right and below.
        work: (h, w, 3) to the same.
    """
    height, width = image.shape[:2]
    filled = np.pad(image, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge")
    return work(filled)[:height, :width]
