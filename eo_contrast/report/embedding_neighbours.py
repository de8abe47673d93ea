"""What neighbours by their vectors look like on a page, and how often they are of one class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eo_contrast.pretrain.embeddings import Embeddings
from eo_contrast.pretrain.search import nearest
from eo_contrast.report.embedding_map import evenly
from eo_contrast.report.neighbour_pictures import Shown, shown
from eo_contrast.report.pictures import Picture, png, shrunk

ROWS, NEIGHBOURS, PAGE_SIDE = 6, 7, 128
"""On a page: rows of each sensor, neighbours in a row, pixels of a picture."""
ASKED, COUNTED = 500, 10
"""Images whose neighbours' classes are counted, and neighbours of each."""


@dataclass(frozen=True)
class OnPage:
    """An image of a row on a page, with lines below it; ``picture`` None: it cannot be read."""

    picture: Picture | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """How often neighbours have the class of the image that they are like.

    Attributes:
        images: how many were asked for.
        neighbours: how many of each were looked at.
        share: of equal classes, 0..1.
        guess: the share among images drawn at random.
    """

    images: int
    neighbours: int
    share: float
    guess: float


def neighbour_rows(embeddings: Embeddings) -> list[list[OnPage]]:
    """Rows of an image and its neighbours at other places, chosen by order and not by success.

    Of labelled images the middle one of some classes; of others some evenly spaced ones.
    """
    queries = [
        query for name in sorted(set(embeddings.sensors)) for query in _queries(embeddings, name)
    ]
    rows = []
    for query, found in zip(
        queries, nearest(embeddings, queries, top=NEIGHBOURS, other_places=True), strict=True
    ):
        images = shown(
            [embeddings.row(number) for number in (query, *(each.number for each in found))],
            [each.similarity for each in found],
        )
        rows.append([_on_page(image) for image in images])
    return rows


def class_agreement(embeddings: Embeddings) -> Agreement | None:
    """Of labelled images, evenly chosen; None: fewer than two classes."""
    labels = np.array([name or "" for name in embeddings.table.column("label").to_pylist()])
    known = np.flatnonzero(labels != "")
    _, counts = np.unique(labels[known], return_counts=True)
    if len(counts) < 2:
        return None
    queries = evenly(known, ASKED)
    found = nearest(embeddings, queries.tolist(), top=COUNTED, other_places=True)
    same = [
        labels[each.number] == labels[query]
        for query, near in zip(queries, found, strict=True)
        for each in near
        if labels[each.number]
    ]
    shares = counts / counts.sum()
    guess = float((shares**2).sum())
    return Agreement(len(queries), COUNTED, float(np.mean(same)), guess) if same else None


def _queries(embeddings: Embeddings, sensor: str) -> list[int]:
    rows = np.flatnonzero(np.array(embeddings.sensors, dtype=object) == sensor)
    labels = embeddings.table.column("label").to_pylist()
    classes: dict[str, list[int]] = {}
    for row in rows.tolist():
        classes.setdefault(labels[row] or "", []).append(row)
    if len(classes) == 1:
        return [int(row) for row in evenly(rows, ROWS)]
    middles = [members[len(members) // 2] for name, members in sorted(classes.items()) if name]
    return [int(row) for row in evenly(np.array(middles), ROWS)]


def _on_page(image: Shown) -> OnPage:
    like = "like this" if image.similarity is None else f"{image.similarity:.3f}"
    lines = (*image.caption, like)
    if image.pixels is None:
        return OnPage(None, lines)
    levels = np.rint(image.pixels.clip(0, 1) * 255).astype(np.uint8)
    return OnPage(png(shrunk(levels, PAGE_SIDE), ", ".join(lines)), lines)
