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
    """The row of an image by its id, or by the beginning or end of it that no other has.

    Raises: InputError: none or several; names those that are near.
    """
    ids: list[str] = embeddings.table.column("id").to_pylist()
    if like in ids:
        return ids.index(like)
    alike = [k for k, name in enumerate(ids) if name.startswith(like) or name.endswith(like)]
    if len(alike) == 1 and like:
        return alike[0]
    if alike:
        named = ", ".join(ids[k] for k in alike[:MOST_NAMED])
        raise InputError(f"--like {like}: {len(alike)} images are called so, as {named}; give more")
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
    similarities = _similarities(embeddings, queries)
    sensors = np.array(embeddings.sensors, dtype=object)
    places = np.array(embeddings.table.column("place_id").to_pylist(), dtype=object)
    found = []
    for query, own in zip(queries, similarities, strict=True):
        allowed = sensors == sensors[query]
        allowed[query] = False
        if other_places:
            allowed &= places != places[query]
        rows = np.flatnonzero(allowed)
        best = rows[np.argsort(-own[rows], kind="stable")[:top]]
        found.append([Neighbour(int(row), float(own[row])) for row in best])
    return found


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rows (N, D) of length 1; a row of zeros stays."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, np.finfo(np.float64).tiny))


def _similarities(embeddings: Embeddings, queries: Sequence[int]) -> NDArray[np.float64]:
    """(queries, rows), the vectors read a few thousand at a time."""
    order, back = np.unique(np.array(queries, dtype=np.int64), return_inverse=True)
    asked = normalised(embeddings.vectors(order))[back]
    parts = [asked @ normalised(batch).T for batch in embeddings.batches()]
    return np.concatenate(parts, axis=1)


def _near(like: str, ids: Sequence[str]) -> str:
    some = ids[:: max(1, len(ids) // LOOKED_THROUGH)]
    close = difflib.get_close_matches(like, some, n=MOST_NAMED, cutoff=0.3)
    return ", ".join(close or some[:MOST_NAMED])
