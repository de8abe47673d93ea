"""Scores of a saved translator on the pairs of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from eo_contrast.data.ground_resolution import median_ground_resolution_m
from eo_contrast.data.image_pairs import ImagePairs, read_pair
from eo_contrast.data.resize import at_stride, at_zoom
from eo_contrast.errors import InputError
from eo_contrast.evaluate.folders import palette_for, plain_maps
from eo_contrast.evaluate.map_agreement import Palette, commonest_colour
from eo_contrast.evaluate.paired import score_pairs
from eo_contrast.inference.grid import RESOLUTION_TOLERANCE
from eo_contrast.translate.tile_models import Model

RGB = NDArray[np.uint8]
Say = Callable[[str], None]

COLOURS = ("red", "green", "blue")


def score_model(
    pairs: ImagePairs,
    model: Model,
    palette: Palette,
    *,
    baselines: bool,
    done: Callable[[int], None],
) -> dict[str, Any]:
    """Translate each satellite image whole and score it against its map.

    Images whose names tell their ground resolution are translated at the model's, others as
    the tiles were that the model was trained on.

    Args:
        pairs: a paired split.
        model: takes RGB; normalises each image by its own statistics.
        palette: of the maps.
        baselines: score, beside the model, a map of the commonest colour and the untranslated
            satellite image.
        done: told the number of images translated so far.

    Returns: ``PairedScores.result``; with ``baselines`` they stand under that key.
    Raises: InputError: a model of other bands, images that are no pairs, or of unequal size.
    """
    _require_rgb(model)
    model.tiles.prepare(None)
    scores = score_pairs(_translated(pairs, model, _zoom(pairs, model), done), palette)
    if baselines:
        colour = commonest_colour(_maps(pairs))
        scores["baselines"] = {
            "commonest_colour": score_pairs(plain_maps(_maps(pairs), colour), palette),
            "untranslated": score_pairs(((b, a) for a, b in _all_pairs(pairs)), palette),
        }
    return scores


def palette_of(model: Model, pairs: ImagePairs, wanted: str | None, say: Say) -> Palette:
    """The palette named ``wanted``, else the one on the model's card, else the best fit."""
    on_card = model.card.palette if model.card else None
    return palette_for(_maps(pairs), wanted or on_card, say)


def satellite_side_of(model: Model) -> Literal["left", "right"]:
    """The half of side-by-side files that the model was trained to read; left if unknown."""
    trained = model.card.trained if model.card else {}
    config = yaml.safe_load(trained.get("config", "")) or {}
    return "right" if config.get("data", {}).get("satellite_side") == "right" else "left"


def translate_image(model: Model, image: RGB) -> RGB:
    """Translate one whole image, (H, W, 3) uint8 to the same.

    Sides are padded to the network's stride by repeating the edge, and cut back.
    """

    @torch.inference_mode()
    def translated(padded: RGB) -> RGB:
        tensor = torch.from_numpy(padded.transpose(2, 0, 1)[None].astype(np.float32))
        levels = model.tiles(tensor).round().clamp(0, 255).to(torch.uint8)
        pixels: RGB = levels[0].permute(1, 2, 0).cpu().numpy()
        return pixels

    return at_stride(image, model.tiles.stride, translated)


def _require_rgb(model: Model) -> None:
    card = model.card
    for bands in (card.bands_in, card.bands_out) if card else ():
        if tuple(bands) != COLOURS:
            raise InputError(
                f"--model {model.name}: its bands are {' '.join(bands)}, images of pairs have "
                f"{' '.join(COLOURS)}; give a model of these"
            )


def _zoom(pairs: ImagePairs, model: Model) -> float:
    if model.card is None:
        return 1.0
    wanted, given = model.card.ground_resolution_m, median_ground_resolution_m(pairs.a)
    if wanted is None or given is None:
        return model.card.zoom
    return 1.0 if abs(given / wanted - 1) <= RESOLUTION_TOLERANCE else given / wanted


def _translated(
    pairs: ImagePairs, model: Model, zoom: float, done: Callable[[int], None]
) -> Iterator[tuple[RGB, RGB]]:
    def translated(image: RGB) -> RGB:
        return translate_image(model, image)

    for number, (satellite, real) in enumerate(_all_pairs(pairs), start=1):
        yield real, at_zoom(satellite, zoom, translated)
        done(number)


def _all_pairs(pairs: ImagePairs) -> Iterator[tuple[RGB, RGB]]:
    return (read_pair(pairs, index) for index in range(len(pairs.a)))


def _maps(pairs: ImagePairs) -> Iterator[RGB]:
    return (pairs.read(ref) for ref in pairs.b)
