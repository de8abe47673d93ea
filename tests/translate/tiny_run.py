"""The smallest training configuration that exercises everything, and the smallest model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.training.card import Card, save_model

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


def small_model(folder: Path, **card: Any) -> str:
    """A run folder with a tiny generator whose output has contrast."""
    torch.manual_seed(0)
    config = GeneratorConfig(width=4, blocks=1)
    net = ResnetGenerator(config)
    for weights in net.parameters():
        if weights.ndim == 4:
            torch.nn.init.normal_(weights, 0, 0.15)
    folder.mkdir()
    save_model(net, Card(architecture=config, **card), folder / "model.safetensors")
    return str(folder)
