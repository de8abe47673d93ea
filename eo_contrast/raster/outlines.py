"""Outlines of classes as polygons, chunk by chunk, and their pieces joined across the cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely.geometry import shape

from eo_contrast.raster.map_classes import NO_CLASS, Chunk, Classes

Polygons = NDArray[np.object_]
MOST_PENDING_VERTICES = 4_000_000
"""Vertices (some 100 MB) of unfinished polygons; beyond, the largest is cut at a chunk's edge."""


def chunk_polygons(
    classes: Classes, chunk: Chunk, simplify_px: float
) -> tuple[NDArray[np.intp], Polygons]:
    """Class numbers and polygons of a chunk, in raster pixels (column, row).

    Masked parts are simplified along, as one more class: left out, their edges would be
    the outside of the coverage, which stays as it is for the sake of the next chunk.

    Args:
        classes: of the chunk and one pixel around.
    """
    found = list(shapes(classes[1:-1, 1:-1], connectivity=4))
    numbers = np.array([int(value) for _, value in found], np.intp)
    traced = np.array([shape(outline) for outline, _ in found], object)
    polygons = _outlines(traced, _meeting_points(classes), smooth=simplify_px > 0)
    if simplify_px > 0:
        polygons = shapely.coverage_simplify(polygons, simplify_px, simplify_boundary=False)
    kept = numbers != NO_CLASS
    corner = np.array([chunk.left, chunk.top], float)
    return numbers[kept], shapely.transform(polygons[kept], lambda points: points + corner)


def _meeting_points(classes: Classes) -> NDArray[np.bool_]:
    """Pixel corners (height + 1, width + 1) of a chunk at which outlines meet, and its own.

    Every polygon there needs a vertex. Along the chunk's edges, where outlines run anyway,
    that is wherever the class changes on either side.

    Args:
        classes: of the chunk and one pixel around.
    """
    a, b, c, d = classes[:-1, :-1], classes[:-1, 1:], classes[1:, :-1], classes[1:, 1:]
    above, below, before, after = a != b, c != d, a != c, b != d
    meeting = above.astype(np.uint8) + below + before + after >= 3
    for end in (0, -1):
        meeting[end] = (above | below)[end]
        meeting[:, end] = (before | after)[:, end]
    meeting[:: len(meeting) - 1, :: meeting.shape[1] - 1] = True
    result: NDArray[np.bool_] = meeting
    return result


def _outlines(traced: Polygons, meeting: NDArray[np.bool_], *, smooth: bool) -> Polygons:
    """Traced polygons with a vertex at every meeting point, so that they are a coverage.

    Args:
        smooth: replace other corners by the middles of the pixel edges beside them, and
            treads of stairs, between steps of one pixel, by their middles: these lie on the
            line that the stairs stand for. No outline leaves the pixels that it runs
            between, so none meets another that it did not meet.
    """
    kind, points, (rings, parts) = shapely.to_ragged_array(traced)
    stops, meets, rings = _stops(points.astype(np.int64), rings, meeting)
    following = np.arange(1, len(stops) + 1)
    following[rings[1:] - 1] = rings[:-1]
    before = np.empty_like(following)
    before[following] = np.arange(len(stops))

    runs = stops[following] - stops
    lengths = np.abs(runs).sum(axis=1)
    ahead = np.sign(runs)
    behind = ahead[before]
    turns = np.where(meets, 0, behind[:, 0] * ahead[:, 1] - behind[:, 1] * ahead[:, 0])
    treads = (turns * turns[following] < 0) & (lengths[before] == 1) & (lengths[following] == 1)
    begin = np.where(treads[:, None], runs / 2, ahead / 2)
    vertices = np.stack([stops, stops + begin, stops + runs - ahead / 2], axis=1)
    kept = np.ones((len(stops), 3), bool)
    if smooth:
        kept[:, 0] = meets
        kept[:, 1] = treads | ~meets
        kept[:, 2] = ~treads & ~meets[following] & ((lengths > 1) | meets)
    else:
        kept[:, 1:] = False
    counts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])[rings]
    open_rings = vertices[kept]
    closed = np.insert(open_rings, counts[1:], open_rings[counts[:-1]], axis=0)
    rings_closed = counts + np.arange(len(counts))
    result: Polygons = shapely.from_ragged_array(kind, closed, (rings_closed, parts))
    return result


def _stops(
    corners: NDArray[np.int64], rings: NDArray[np.int64], meeting: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Corners and meeting points along rings of axis-parallel edges, and where rings start.

    Args:
        corners: (N, 2), each ring's last its first.
        rings: of each ring the first of ``corners``, and N.

    Returns: (M, 2) without the repeated ends; which are meeting points; of each ring the
        first, and M.
    """
    steps = np.diff(corners, axis=0, append=corners[-1:])
    steps[rings[1:] - 1] = 0
    lengths = np.abs(steps).sum(axis=1)
    edge = np.repeat(np.arange(len(corners)), lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    along = np.arange(len(edge)) - starts[edge]
    places = corners[edge] + np.sign(steps)[edge] * along[:, None]
    meets = meeting[places[:, 1], places[:, 0]]
    kept = meets | (along == 0)
    counts = np.concatenate([[0], np.cumsum(kept)])
    return places[kept], meets[kept], counts[starts[rings]]


@dataclass
class Joiner:
    """Joins pieces of one class across the edges between chunks, which come row by row.

    A piece waits as long as it, or one joined to it, touches chunks still to come.
    """

    height: int
    width: int
    _pieces: dict[int, list[Any]] = field(default_factory=dict)
    _classes: dict[int, int] = field(default_factory=dict)
    _group_of: dict[int, int] = field(default_factory=dict)
    _open_edges: dict[tuple[float, ...], int] = field(default_factory=dict)
    _came: int = 0
    _pending: int = 0

    def joined(
        self, numbers: NDArray[np.intp], polygons: Polygons, chunk: Chunk
    ) -> Iterator[tuple[int, Any]]:
        """Take a chunk's pieces; yields class number and polygon of what is finished."""
        bounds = shapely.bounds(polygons)
        inner = np.zeros(len(polygons), bool)
        for column, line in enumerate((chunk.left, chunk.top, chunk.right, chunk.bottom)):
            end = self.width if column % 2 == 0 else self.height
            inner |= (bounds[:, column] == line) & (0 < line < end)
        for number, polygon, waits in zip(numbers, polygons, inner, strict=True):
            if waits:
                self._add(int(number), polygon, chunk)
            else:
                yield int(number), polygon
        if chunk.right == self.width:
            yield from self._finished(chunk.bottom)
        while self._pending > MOST_PENDING_VERTICES:
            largest = max(self._pieces, key=self._size)
            yield from self._close([largest])

    def _add(self, number: int, polygon: Any, chunk: Chunk) -> None:
        piece = self._came
        self._came += 1
        self._pieces[piece], self._classes[piece] = [polygon], number
        self._group_of[piece] = piece
        self._pending += shapely.get_num_coordinates(polygon)
        for edge in _edges_along(polygon, chunk):
            before = self._open_edges.pop(edge, None)
            if before is None:
                self._open_edges[edge] = piece
            elif self._classes[self._group(before)] == number:
                self._unite(before, piece)

    def _group(self, piece: int) -> int:
        while (group := self._group_of[piece]) != piece:
            self._group_of[piece] = piece = self._group_of[group]
        return piece

    def _unite(self, one: int, other: int) -> None:
        kept, gone = sorted((self._group(one), self._group(other)))
        if kept != gone:
            self._group_of[gone] = kept
            self._pieces[kept] += self._pieces.pop(gone)
            del self._classes[gone]

    def _finished(self, bottom: int) -> Iterator[tuple[int, Any]]:
        """What no longer touches a chunk to come once the row of chunks above is complete."""
        self._open_edges = {
            edge: self._group(piece)
            for edge, piece in self._open_edges.items()
            if edge[1] == edge[3] == bottom < self.height
        }
        waiting = set(self._open_edges.values())
        yield from self._close([group for group in self._pieces if group not in waiting])
        self._group_of = {group: group for group in self._pieces}

    def _close(self, groups: Sequence[int]) -> Iterator[tuple[int, Any]]:
        closed = set(groups)
        self._open_edges = {
            edge: piece
            for edge, piece in self._open_edges.items()
            if self._group(piece) not in closed
        }
        for group in groups:
            self._pending -= self._size(group)
            pieces, number = self._pieces.pop(group), self._classes.pop(group)
            for polygon in shapely.get_parts(_united(pieces)):
                yield number, polygon

    def _size(self, group: int) -> int:
        return int(shapely.get_num_coordinates(self._pieces[group]).sum())


def _united(pieces: list[Any]) -> Any:
    if len(pieces) == 1:
        return pieces[0]
    whole = shapely.coverage_union_all(pieces)
    # Before GEOS 3.14 a ring that touches itself is not made a ring and a hole.
    return whole if shapely.is_valid(whole) else shapely.union_all(pieces)


def _edges_along(polygon: Any, chunk: Chunk) -> list[tuple[float, ...]]:
    """Edges of a polygon on its chunk's edges, each as (x, y, x, y) in ascending order."""
    found: list[tuple[float, ...]] = []
    for ring in (polygon.exterior, *polygon.interiors):
        points = shapely.get_coordinates(ring)
        x, y = points.T
        upright = (x[1:] == x[:-1]) & ((x[1:] == chunk.left) | (x[1:] == chunk.right))
        level = (y[1:] == y[:-1]) & ((y[1:] == chunk.top) | (y[1:] == chunk.bottom))
        on_edge = np.flatnonzero(upright | level)
        low = np.minimum(points[on_edge], points[on_edge + 1])
        high = np.maximum(points[on_edge], points[on_edge + 1])
        found += map(tuple, np.hstack([low, high]).tolist())
    return found
