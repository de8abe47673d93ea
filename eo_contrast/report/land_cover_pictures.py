"""Test places of a land-cover run to look at: confident mistakes, maps beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.views import View
from eo_contrast.data.place_sources import PlaceSource, open_places
from eo_contrast.errors import InputError
from eo_contrast.evaluate.land_cover import THRESHOLD
from eo_contrast.landcover.class_colours import NO_LABEL, class_colours, painted
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.predictions import PixelPredictions, PlacePredictions, Told
from eo_contrast.report.finetuning_run import FinetuningRun, Tested
from eo_contrast.report.image_colours import Contrast, colours, contrast, shown_bands
from eo_contrast.report.pictures import RGB, Picture, png, shrunk
from eo_contrast.training.land_cover_card import LandCoverCard

MISTAKES = 12
PAGE_SIDE = 256


@dataclass(frozen=True)
class Mistake:
    """A place that was told wrongly; ``picture`` None: its image is not to be had."""

    place: str
    said: str
    confidence: str
    true: str
    picture: Picture | None


@dataclass(frozen=True)
class Example:
    """A place of segmentation; ``picture`` None: its image is not to be had."""

    place: str
    picture: Picture | None
    true: Picture
    predicted: Picture


@dataclass(frozen=True)
class LegendEntry:
    """A class and its colour, as CSS has it."""

    name: str
    colour: str


@dataclass(frozen=True)
class Images:
    """Images of test places, or one sentence that says why there are none."""

    by_row: dict[int, RGB]
    lacking: str = ""


def mistakes_of(run: FinetuningRun, tested: Tested) -> tuple[list[Mistake], str]:
    """The wrong answers that the model was surest of, a place at most once, surest first.

    Returns: them, and why they have no pictures; empty where they have.
    """
    predictions, told = tested.predictions, tested.told
    if not isinstance(predictions, PlacePredictions) or run.card is None:
        return [], ""
    wrong = _wrong_of_several if predictions.true.ndim == 2 else _wrong_of_one
    found = wrong(predictions, told.classes)
    images = _images(run.card, told, [row for row, *_ in found], run.card.size)
    mistakes = [
        Mistake(
            told.places[row],
            said,
            f"{100 * confidence:.0f}\N{NO-BREAK SPACE}%",
            true,
            _shown(images, row, f"{told.places[row]}: {said}; truth: {true}"),
        )
        for row, said, confidence, true in found
    ]
    return mistakes, images.lacking


def examples_of(run: FinetuningRun, tested: Tested) -> tuple[list[Example], str]:
    """Places chosen by order and not by success, with what was true and what was predicted.

    Returns: them, and why they have no pictures; empty where they have.
    """
    predictions, told = tested.predictions, tested.told
    if not isinstance(predictions, PixelPredictions) or run.card is None:
        return [], ""
    images = _images(run.card, told, predictions.shown, predictions.true.shape[-1])
    examples = []
    for row, true, said in zip(
        predictions.shown, predictions.true, predictions.predicted, strict=True
    ):
        name = told.places[row]
        maps = [painted(each.numpy(), told.classes) for each in (true, said)]
        examples.append(
            Example(
                name,
                _shown(images, row, f"{name}: the image"),
                png(maps[0], f"{name}: true classes"),
                png(maps[1], f"{name}: predicted classes"),
            )
        )
    return examples, images.lacking


def legend_of(tested: Tested) -> list[LegendEntry]:
    """The classes that the maps of :func:`examples_of` have."""
    predictions, classes = tested.predictions, tested.told.classes
    if not isinstance(predictions, PixelPredictions):
        return []
    there = set(torch.cat([predictions.true.flatten(), predictions.predicted.flatten()]).tolist())
    found = [
        LegendEntry(name, _css(colour))
        for number, (name, colour) in enumerate(
            zip(classes, class_colours(classes).tolist(), strict=True)
        )
        if number in there
    ]
    return [*found, LegendEntry("no label", _css(NO_LABEL))] if IGNORED in there else found


def _wrong_of_one(
    predictions: PlacePredictions, classes: Sequence[str]
) -> list[tuple[int, str, float, str]]:
    confidence, said = predictions.probabilities.max(1)
    surest = _largest(confidence.masked_fill(said == predictions.true, -1))
    return [
        (
            row,
            classes[int(said[row])],
            float(confidence[row]),
            classes[int(predictions.true[row])],
        )
        for row in surest
        if said[row] != predictions.true[row]
    ]


def _wrong_of_several(
    predictions: PlacePredictions, classes: Sequence[str]
) -> list[tuple[int, str, float, str]]:
    """Of each place the class that it was surest of and wrong."""
    probabilities, true = predictions.probabilities, predictions.true == 1
    given = probabilities >= THRESHOLD
    sure = torch.where(given, probabilities, 1 - probabilities).masked_fill(given == true, -1)
    confidence, wrong = sure.max(1)
    found = []
    for row in _largest(confidence):
        if confidence[row] < 0:
            continue
        name = classes[int(wrong[row])]
        said = name if given[row, wrong[row]] else f"no {name}"
        names = [each for each, there in zip(classes, true[row].tolist(), strict=True) if there]
        found.append((row, said, float(confidence[row]), ", ".join(names) or "none"))
    return found


def _largest(values: Tensor) -> list[int]:
    chosen: list[int] = values.sort(descending=True, stable=True).indices[:MISTAKES].tolist()
    return chosen


def _images(card: LandCoverCard, told: Told, rows: Sequence[int], side: int) -> Images:
    """The middles of places, in one contrast."""
    data = card.trained.get("data")
    if not data:
        return Images({}, "Pictures are not shown: this run did not note where its data lie.")
    if not Path(data).exists():
        return Images({}, f"Pictures are not shown: the data are no longer at {data}.")
    try:
        source = open_places(Path(data))
        names = source.names
    except InputError as error:
        return Images({}, f"Pictures are not shown: {error}.")
    product = _product(card)
    same = product in source.layers and all(
        told.numbers[row] < len(names) and names[told.numbers[row]] == told.places[row]
        for row in rows
    )
    if not same:
        return Images({}, f"Pictures are not shown: other data lie at {data} by now.")
    views = {}
    for row in rows:
        view = _view(source, product, told.numbers[row], side)
        if view is not None:
            views[row] = view
    limits = _middle_contrast(list(views.values()))
    image = {"product": product, "sensor": _sensor(product)}
    return Images(
        {
            row: np.rint(colours(image, view, limits).clip(0, 1) * 255).astype(np.uint8)
            for row, view in views.items()
        }
    )


def _middle_contrast(views: Sequence[View]) -> Contrast | None:
    """One contrast for all, that a cloud in one of them does not decide."""
    limits = [each for each in (contrast([view]) for view in views) if each is not None]
    if not limits:
        return None
    low, high = np.median(limits, axis=0).tolist()
    return low, high


def _view(source: PlaceSource, product: str, number: int, side: int) -> View | None:
    """The middle of a place, first date, in the bands that are shown; None: cannot be read."""
    layer, side = source.layers[product], min(side, source.size)
    begin = (source.size - side) // 2
    try:
        counts = source.crop(number, product, 0, begin, begin, side)
    except InputError:
        return None
    bands = tuple(shown_bands(_sensor(product), layer.bands))
    chosen = np.asarray(counts[[layer.bands.index(name) for name in bands]])
    valid = (chosen != layer.storage.nodata).all(axis=0)
    values = np.where(valid, chosen * np.float32(layer.storage.scale), np.float32(0))
    return View(bands, values.astype(np.float32), valid)


def _product(card: LandCoverCard) -> str:
    """Optics, where the model sees them: they are what a person can judge."""
    products = [card.encoder.sensors[name].product for name in card.sensors]
    return min(products, key=lambda each: (_sensor(each) == "s1", products.index(each)))


def _sensor(product: str) -> str:
    return PRODUCTS[product].sensor if product in PRODUCTS else product


def _shown(images: Images, row: int, alt: str) -> Picture | None:
    pixels = images.by_row.get(row)
    return None if pixels is None else png(shrunk(pixels, PAGE_SIDE), alt)


def _css(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
