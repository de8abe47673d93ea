"""Run folders as training leaves them, made in milliseconds, and pages as browsers see them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from eo_contrast.config import save_config
from eo_contrast.nets.generator import ResnetGenerator
from eo_contrast.training.card import Card, save_model
from eo_contrast.translate.config import TranslatorConfig

LAYERS = ("stem.pad", "down1.conv", "block1")
CONFIG: dict[str, Any] = {
    "recipe": "fastcut",
    "generator": {"width": 2, "blocks": 1},
    "discriminator": {"width": 2, "layers": 2},
    "patch_sampler": {"layers": list(LAYERS), "patches": 64},
    "data": {"crop": {"load_size": None, "crop_size": 64}},
}
SIDE = 32

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """A page as a browser sees it.

    ``text`` holds all words, ``sources`` every ``src`` and ``href``, ``alternatives`` what
    stands for pictures, ``unclosed`` the tags that are open at the end.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.sources: list[str] = []
        self.identifiers: list[str] = []
        self.alternatives: list[str] = []
        self.unclosed: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    @property
    def text(self) -> str:
        """All words, single spaces between."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.sources += [values[name] for name in ("src", "href") if name in values]
        self.identifiers += [values["id"]] if "id" in values else []
        if tag == "img":
            self.alternatives.append(values.get("alt", ""))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.unclosed and self.unclosed[-1] == tag:
            self.unclosed.pop()
        else:
            self.unclosed.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if "style" not in self.unclosed:
            self.words.append(data)


MakeRun = Callable[..., Path]


def train_row(step: int, **changes: float) -> dict[str, Any]:
    """A row of losses; PatchNCE at half of chance."""
    layers = {f"nce/{layer}": math.log(64) / 2 for layer in LAYERS}
    losses = {"loss_discriminator": 0.2, "loss_generator_adversarial": 0.4, "lr": 2e-4}
    logits = {"discriminator_real": 0.7, "discriminator_fake": 0.3}
    nce = {"loss_nce": 10 * math.log(64) / 2}
    return {"step": step, "phase": "train", **losses, **logits, **nce, **layers} | changes


def watch_row(step: int, **changes: float) -> dict[str, Any]:
    """A row of scores."""
    iou = {"iou/water": 0.5, "iou/road": 0.25, "iou/mean_iou": 0.375}
    scores = {"psnr": 18.0 + step / 100, "ssim": 0.5, "output_spread": 20.0}
    return {"step": step, "phase": "watch", **scores, **iou} | changes


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """``make_run(name, rows=..., finished=..., config=...)`` writes a new run folder."""

    def make(
        name: str = "first",
        rows: list[dict[str, Any]] | None = None,
        finished: bool = True,
        config: dict[str, Any] | None = None,
    ) -> Path:
        folder = tmp_path_factory.mktemp("runs") / name
        (folder / "samples").mkdir(parents=True)
        settings = TranslatorConfig.model_validate(CONFIG | (config or {}))
        save_config(settings, folder / "config.yaml")
        if rows is None:
            rows = [train_row(10), watch_row(10), train_row(20), watch_row(20)]
        _write_rows(folder / "metrics.jsonl", rows)
        timings = [
            {"step": step, "seconds": 5.0, "peak_rss_mib": 900.0 + step} for step in (10, 20)
        ]
        _write_rows(folder / "timings.jsonl", timings)
        for step in (10, 20):
            pixels = np.random.default_rng(step).integers(0, 256, (2 * SIDE, 3 * SIDE, 3))
            picture = Image.fromarray(pixels.astype(np.uint8))
            picture.save(folder / "samples" / f"step-{step:07d}.png")
        if finished:
            card = Card(
                architecture=settings.generator,
                ground_resolution_m=2.0,
                palette="osm16",
                trained={"steps": 20, "tiles": 6},
            )
            save_model(ResnetGenerator(settings.generator), card, folder / "model.safetensors")
        return folder

    return make


@pytest.fixture(scope="session")
def read_page() -> Callable[[Path], Page]:
    """``read_page(path)``: its words, and what it would fetch."""
    return Page


@pytest.fixture(scope="session")
def make_raster(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_raster(name, pixels, **profile)`` writes (bands, rows, columns) as a GeoTIFF."""

    def make(name: str, pixels: Any, colormap: Any = None, **profile: Any) -> Path:
        path = tmp_path_factory.mktemp("rasters") / name
        bands, rows, columns = pixels.shape
        shape = {"count": bands, "height": rows, "width": columns, "dtype": pixels.dtype}
        place = {
            "crs": "EPSG:32632",
            "transform": rasterio.Affine(2.0, 0, 5e5, 0, -2.0, 5.2e6),
        }
        with rasterio.open(path, "w", driver="GTiff", **(shape | place | profile)) as dataset:
            dataset.write(pixels)
            if colormap is not None:
                dataset.write_colormap(1, colormap)
            dataset.update_tags(EO_CONTRAST_MODEL="model.safetensors", EO_CONTRAST_NORM="scene")
        return path

    return make


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
