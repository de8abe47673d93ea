"""The smallest training configuration that exercises everything."""

from __future__ import annotations

from typing import Any

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
