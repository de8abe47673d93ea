"""A tiny world and a tiny translator: whole training runs in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training and two test pairs, 40 px, side by side."""
    root = tmp_path_factory.mktemp("tiles")
    draws = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        (root / split).mkdir()
        for number in range(count):
            rough = draws.integers(0, 256, (5, 10, 3), dtype=np.uint8)
            image = Image.fromarray(rough).resize((80, 40), Image.Resampling.BILINEAR)
            image.save(root / split / f"{number}.png")
    return root
