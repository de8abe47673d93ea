"""Looks at a generator while it trains: pictures, scores, and whether it collapses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from eo_contrast.data.image_pairs import ImagePairs, read_image
from eo_contrast.data.loader import NETWORK_STRIDE, to_network_range, to_pixels
from eo_contrast.data.resize import at_stride, at_zoom
from eo_contrast.evaluate.map_agreement import Palette
from eo_contrast.evaluate.paired import PairedScores
from eo_contrast.files import whole_file
from eo_contrast.training.log import RunLog
from eo_contrast.translate.config import WatchConfig

RGB = NDArray[np.uint8]
COLLAPSED_SPREAD = 2.0


@dataclass(frozen=True)
class Watch:
    """A fixed set of unseen tiles to judge by.

    Attributes:
        pairs: of the watch split; ``None`` looks at nothing.
        folder: for pictures, ``samples/`` of the run.
        palette: of the maps, for class scores; ``None`` leaves them out.
        say: takes a warning for the user.
        zoom: pixels that the generator was trained on for one of the tiles'.
    """

    pairs: ImagePairs | None
    config: WatchConfig
    folder: Path
    palette: Palette | None
    device: torch.device
    say: Callable[[str], None]
    zoom: float = 1.0

    def look(self, generator: nn.Module, step: int, log: RunLog) -> None:
        """Translate the tiles, save pictures, add scores to the log."""
        if self.pairs is None:
            return
        places = _spread(len(self.pairs.a), self.config.images)
        sources = [read_image(self.pairs.a[place]) for place in places]
        maps = [read_image(self.pairs.b[place % len(self.pairs.b)]) for place in places]

        def translated(tile: RGB) -> RGB:
            return translate_tile(generator, tile, self.device)

        fakes = [at_zoom(source, self.zoom, translated) for source in sources]
        shown = slice(0, self.config.pictures)
        picture = triptychs(sources[shown], fakes[shown], maps[shown])
        path = self.folder / f"step-{step:07d}.png"
        with whole_file(path) as partial:
            Image.fromarray(picture).save(partial)
        scores = {"output_spread": output_spread(fakes)}
        if self.pairs.paired:
            scores |= _scores(maps, fakes, self.palette)
        log.metrics(step, "watch", scores)
        if scores["output_spread"] < COLLAPSED_SPREAD:
            self.say(
                f"warning: at step {step} all translations look alike "
                f"(spread {scores['output_spread']:.1f} of 255): the generator has collapsed"
            )


@torch.no_grad()
def translate_tile(generator: nn.Module, source: RGB, device: torch.device) -> RGB:
    """Translate one whole tile, (H, W, 3) uint8 to the same; sides are padded to the stride."""

    def translated(tile: RGB) -> RGB:
        pixels: RGB = to_pixels(generator(to_network_range(tile[None]).to(device)))[0]
        return pixels

    return at_stride(source, NETWORK_STRIDE, translated)


def triptychs(sources: list[RGB], fakes: list[RGB], maps: list[RGB]) -> RGB:
    """A row a tile: satellite, translated, map."""
    height = min(image.shape[0] for image in (*sources, *maps))
    width = min(image.shape[1] for image in (*sources, *maps))
    rows = [
        np.hstack([image[:height, :width] for image in row])
        for row in zip(sources, fakes, maps, strict=True)
    ]
    return np.vstack(rows)


def output_spread(images: list[RGB]) -> float:
    """Mean absolute difference between neighbouring translations, in grey levels of 255.

    Near 0 when every source gives the same map: mode collapse.
    """
    small = [image[::4, ::4].astype(np.float64) for image in images]
    height = min(image.shape[0] for image in small)
    width = min(image.shape[1] for image in small)
    cut = [image[:height, :width] for image in small]
    pairs = zip(cut, cut[1:] + cut[:1], strict=True)
    return float(np.mean([np.abs(one - other).mean() for one, other in pairs]))


def _spread(available: int, wanted: int) -> list[int]:
    return [int(place) for place in np.linspace(0, available - 1, min(wanted, available))]


def _scores(maps: list[RGB], fakes: list[RGB], palette: Palette | None) -> dict[str, float]:
    scores = PairedScores(palette)
    for real, fake in zip(maps, fakes, strict=True):
        scores.update(real, fake)
    result = scores.result()
    return {
        "psnr": result["psnr"],
        "ssim": result["ssim"],
        **{f"iou/{name}": value for name, value in result.get("agreement", {}).items()},
    }
