"""Which images of a file of embeddings are most like one, by the cosine of their vectors."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eo_contrast.errors import InputError
from eo_contrast.pretrain.embeddings import Embeddings

MOST_NAMED = 3
LOOKED_THROUGH = 20_000
"""Ids that a mistyped one is compared with: all of a small file, evenly chosen ones of a large."""


@dataclass(frozen=True)
class Neighbour:
    """An image and how like another it is.

    Attributes:
        number: its row.
        similarity: cosine of the vectors, -1..1.
    """

    number: int
    similarity: float


def find_image(embeddings: Embeddings, like: str) -> int:
    """The row of an image by its id, or by a part of it that no other has, best an end.

    Raises: InputError: none or several; names those that are near.
    """
    ids: list[str] = embeddings.table.column("id").to_pylist()
    if like in ids:
        return ids.index(like)
    alike = [k for k, name in enumerate(ids) if name.startswith(like) or name.endswith(like)]
    alike = alike or [k for k, name in enumerate(ids) if like in name]
    if len(alike) == 1:
        return alike[0]
    if alike:
        named = ", ".join(ids[k] for k in alike[:MOST_NAMED])
        raise InputError(
            f"--like {like}: {len(alike)} images have that in their names, as {named}; give more"
        )
    raise InputError(
        f"--like {like}: no such image in {embeddings.path}; near are {_near(like, ids)}"
    )


def nearest(
    embeddings: Embeddings,
    queries: Sequence[int],
    *,
    top: int = 12,
    other_places: bool = False,
) -> list[list[Neighbour]]:
    """The images most like each of some, which are left out themselves; best first.

    Images that another sensor of the encoder saw are no neighbours: their vectors mean other
    things. Of equal similarity the first in the file comes first.

    Args:
        queries: rows.
        other_places: leave out all images of the query's place.

    Returns: up to ``top`` a query.
    """
    order, back = np.unique(np.array(queries, dtype=np.int64), return_inverse=True)
    asked = normalised(embeddings.vectors(order))[back]
    sensors = _numbered(embeddings.sensors)
    places = _numbered(embeddings.table.column("place_id").to_pylist())
    best = np.full((len(queries), 0), -np.inf)
    numbers = np.zeros((len(queries), 0), np.int64)
    start = 0
    for batch in embeddings.batches():
        rows = np.arange(start, start + len(batch))
        out = sensors[rows][None] != sensors[queries][:, None]
        out |= rows[None] == np.array(queries)[:, None]
        if other_places:
            out |= places[rows][None] == places[queries][:, None]
        cosines = np.where(out, -np.inf, asked @ normalised(batch).T)
        best = np.concatenate([best, cosines], axis=1)
        numbers = np.concatenate([numbers, np.broadcast_to(rows, cosines.shape)], axis=1)
        first = np.argsort(-best, axis=1, kind="stable")[:, :top]
        best, numbers = (np.take_along_axis(each, first, axis=1) for each in (best, numbers))
        start += len(batch)
    return [
        [Neighbour(int(k), float(s)) for k, s in zip(*one, strict=True) if np.isfinite(s)]
        for one in zip(numbers, best, strict=True)
    ]


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rows (N, D) of length 1; a row of zeros stays."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, np.finfo(np.float64).tiny))


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """A number for each name, the same for the same."""
    return np.asarray(np.unique(np.array(names, dtype=str), return_inverse=True)[1])


def _near(like: str, ids: Sequence[str]) -> str:
    some = ids[:: max(1, len(ids) // LOOKED_THROUGH)]
    close = difflib.get_close_matches(like, some, n=MOST_NAMED, cutoff=0.3)
    return ", ".join(close or some[:MOST_NAMED])
