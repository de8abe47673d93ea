"""A tiny world and a tiny translator: whole training runs in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TINY: dict[str, Any] = {
    "recipe": "fastcut",
    "generator": {"width": 2, "blocks": 1},
    "discriminator": {"width": 2, "layers": 2},
    "patch_sampler": {"layers": ["stem.pad", "down1.conv", "block1"], "patches": 8}
    | {"projection": 8},
    "schedule": {"unit": "steps", "constant": 6, "decay": 6},
    "data": {"crop": {"load_size": None, "crop_size": 32}},
    "watch": {"every": 4, "images": 2, "pictures": 2},
    "average": 0.9,
    "log_every": 3,
    "save_every": 5,
}


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
