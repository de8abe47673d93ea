"""Small folders of pairs, one maker a layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def random_image(seed: int, width: int = 16, height: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain_image(level: int, side: int = 16) -> NDArray[np.uint8]:
    return np.full((side, side, 3), level, np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def numbered_pairs(root: Path, count: int, side: int = 16, split: str = "train") -> Path:
    """Side-by-side files 00.png, 01.png, ...: satellite all ``i``, map all ``100 + i``."""
    for number in range(count):
        both = np.hstack([plain_image(number, side), plain_image(100 + number, side)])
        save(root / split / f"{number:02}.png", both)
    return root


def tag_table(root: Path, rows: dict[str, str]) -> None:
    lines = ["file,tag", *(f"{file},{tag}" for file, tag in rows.items())]
    (root / "pairs.csv").write_text("\n".join(lines) + "\n")
