"""A finished map as polygons of its classes: neighbours share their edges exactly.

The raster is worked through in square chunks. In each, pixels become classes, specks and
fringes give way to what surrounds them, outlines are traced and all simplified together.
What a chunk says of a pixel's class does not depend on where chunks were cut, and outlines
stay as they are along the cuts, so that pieces of one polygon can be joined across them.
"""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.features import shapes
from rasterio.warp import transform as transform_points
from shapely.geometry import shape

from eo_contrast.errors import InputError, WorldError, disk_errors_named
from eo_contrast.raster.meta import (
    ECCENTRICITY_SQUARED,
    EQUATOR_RADIUS_M,
    RasterMeta,
    ground_pixel_size_m,
)
from eo_contrast.raster.reader import RasterSource, open_raster

Colours = Mapping[str, Sequence[tuple[int, int, int]]]
Classes = NDArray[np.uint8]
Polygons = NDArray[np.object_]

CHUNK_PX = 2048
READ_ROWS = 256
NO_CLASS, THIN, UNSEEN = 255, 254, 253
FILL_ROUNDS = 8
"""A pixel further than this from every larger part keeps its class: noise stays noise."""
MOST_PENDING_VERTICES = 4_000_000
"""Vertices (some 100 MB) of unfinished polygons; beyond, the largest is cut at a chunk's edge."""
BATCH = 20_000
AREA_STEP_PX = 8
"""Length of what is taken for straight in measuring: errs by 2e-3 beside a pole, else 1e-6."""
GEOJSON_DIGITS = 7
EPOCH = "1970-01-01T00:00:00Z"


class Chunk(NamedTuple):
    """Rows ``top .. bottom`` and columns ``left .. right`` of a raster, ends exclusive."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Features:
    """Polygons in the raster's CRS with their columns; ``area_m2`` is NaN where not known."""

    classes: NDArray[np.object_]
    area_m2: NDArray[np.float64]
    colours: NDArray[np.object_]
    polygons: Polygons


@dataclass(frozen=True)
class Target:
    """What to write and where; ``pixel_m`` is None without a place on the Earth."""

    path: Path
    layer: str
    crs: CRS | None
    pixel_m: float | None


def write_polygons(
    raster: Path,
    out: Path,
    colours: Colours,
    *,
    simplify_px: float = 0.75,
    sieve_px: int = 12,
    layer: str = "map",
    chunk_px: int = CHUNK_PX,
    advance: Callable[[int], None] = lambda _done: None,
) -> int:
    """Write a map's polygons: columns ``class``, ``area_m2``, ``colour`` (the class's first, hex).

    A pixel has the class of the palette colour nearest in CIELAB (exactly, ΔE 1976; of
    equals the first listed); masked pixels have none. Polygons are sorted by class, in the
    palette's order, then by first vertex; together they are a valid coverage. They are in
    the raster's CRS, for GeoJSON in longitude and latitude; without a transform in pixels.
    ``area_m2`` is measured on the ellipsoid, null where the raster has no place on it.
    Memory is that of a chunk, of polygons that wait for chunks to come (at most
    ``MOST_PENDING_VERTICES``) and some 200 bytes a polygon; .gpkg and .parquet are written in
    batches, .geojson and .fgb with all polygons in memory.

    Args:
        out: its suffix tells the format; see :func:`refuse_unwritable`. Replaced if there.
        colours: RGB colours of each class.
        simplify_px: as of ``shapely.coverage_simplify``; 0 keeps the edges of the pixels.
        sieve_px: parts of fewer pixels, and lines one pixel wide, go to their neighbours,
            up to ``FILL_ROUNDS`` pixels deep; below 2 nothing does. At most ``chunk_px``.
        chunk_px: side of a chunk.
        advance: told after each of :func:`polygon_steps` chunks.

    Returns: the number of polygons.
    Raises:
        InputError: no map in red, green and blue, or a format that cannot hold its polygons.
        WorldError: the disk is full or failing.
        ValueError: an argument is out of its range.
    """
    if not 0 < len(colours) < UNSEEN or not all(colours.values()):
        raise ValueError(f"{len(colours)} classes: give 1 to {UNSEEN - 1}, each with a colour")
    if simplify_px < 0 or chunk_px < 1 or sieve_px > chunk_px:
        raise ValueError(f"simplify {simplify_px}, sieve {sieve_px}, chunk {chunk_px}")
    refuse_unwritable(out)
    with disk_errors_named(out), tempfile.TemporaryFile(dir=out.parent) as scratch:
        spool = _Spool(scratch)
        with open_raster(raster) as (dataset, meta):
            _refuse_no_map(raster, meta)
            target = _target(raster, out, layer, meta)
            source = RasterSource(dataset, meta, (1, 2, 3))
            reader = _ClassReader(source, list(colours.values()), sieve_px)
            joiner = _Joiner(meta.height, meta.width)
            for done, chunk in enumerate(_chunks(meta, chunk_px), start=1):
                pieces = _chunk_polygons(reader.read(chunk), chunk, simplify_px)
                for number, polygon in joiner.joined(*pieces, chunk):
                    spool.add(number, polygon)
                advance(done)
        with _failures_named(out):
            out.unlink(missing_ok=True)
            WRITERS[out.suffix.lower()](target, _features(spool, meta, colours))
            _verify(out, spool.count)
    return spool.count


def polygon_steps(meta: RasterMeta, chunk_px: int = CHUNK_PX) -> int:
    """Chunks that :func:`write_polygons` reports for a raster of this size."""
    return math.ceil(meta.height / chunk_px) * math.ceil(meta.width / chunk_px)


def refuse_unwritable(out: Path) -> None:
    """Refuse a path that polygons cannot be written to, before any work.

    Raises:
        InputError: the suffix is not one of ``WRITERS``, or its format needs a package.
    """
    if out.suffix.lower() not in WRITERS:
        raise InputError(
            f"{out}: polygons are written as {', '.join(WRITERS)}; give a name that ends so"
        )
    if out.suffix.lower() == ".parquet":
        try:
            import_module("pyarrow")
        except ImportError as error:
            raise InputError(
                f"{out}: GeoParquet needs the package pyarrow; install it, or write .gpkg"
            ) from error


def _refuse_no_map(raster: Path, meta: RasterMeta) -> None:
    if meta.count not in (3, 4) or set(meta.dtypes[:3]) != {"uint8"}:
        raise InputError(
            f"{raster}: has {meta.count} band(s) of {meta.dtypes[0]}; polygons are made from "
            "a map in red, green and blue of uint8"
        )


def _target(raster: Path, out: Path, layer: str, meta: RasterMeta) -> Target:
    size = ground_pixel_size_m(meta)
    if out.suffix.lower() == ".geojson" and size is None:
        raise InputError(
            f"{raster}: has no place on the Earth (no CRS or no transform), and GeoJSON holds "
            "longitudes and latitudes only; write .gpkg"
        )
    # Without a transform vertices are pixels, whatever the CRS.
    crs = None if meta.transform is None else meta.crs
    return Target(path=out, layer=layer, crs=crs, pixel_m=size and min(size))


def _chunks(meta: RasterMeta, side: int) -> Iterator[Chunk]:
    """Row by row, each from left to right."""
    for top in range(0, meta.height, side):
        for left in range(0, meta.width, side):
            bottom, right = min(top + side, meta.height), min(left + side, meta.width)
            yield Chunk(top, bottom, left, right)


class _ClassReader:
    """Cleaned classes of any chunk, the same for a pixel whatever the chunk."""

    def __init__(
        self, source: RasterSource, colours: Sequence[Sequence[Sequence[int]]], sieve_px: int
    ) -> None:
        self._source = source
        self._sieve_px = sieve_px
        self._lab = _cielab(np.array([colour for each in colours for colour in each], np.uint8))
        sizes = [len(each) for each in colours]
        self._owner = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
        # Colours are met again and again, so each is looked for once: exact, and 16 MB.
        self._class_of = np.full(2**24, UNSEEN, np.uint8)

    def read(self, chunk: Chunk) -> Classes:
        """Classes of a chunk and one pixel around it, ``NO_CLASS`` beyond the raster."""
        # A part too small reaches less than sieve_px far; it is filled from FILL_ROUNDS
        # around; whether a pixel is thin shows in its neighbours.
        reach = 1 + (self._sieve_px + FILL_ROUNDS + 1 if self._sieve_px > 1 else 0)
        seen = self._within(chunk, reach)
        classes = np.concatenate(
            [
                self._snapped(top, min(top + READ_ROWS, seen.bottom), seen)
                for top in range(seen.top, seen.bottom, READ_ROWS)
            ]
        )
        if self._sieve_px > 1:
            classes = _cleaned(classes, self._sieve_px)
        kept = self._within(chunk, 1)
        rows = slice(kept.top - seen.top, kept.bottom - seen.top)
        columns = slice(kept.left - seen.left, kept.right - seen.left)
        above, before = kept.top - chunk.top + 1, kept.left - chunk.left + 1
        below, after = chunk.bottom + 1 - kept.bottom, chunk.right + 1 - kept.right
        border = ((above, below), (before, after))
        return np.pad(classes[rows, columns], border, constant_values=NO_CLASS)

    def _within(self, chunk: Chunk, reach: int) -> Chunk:
        return Chunk(
            max(chunk.top - reach, 0),
            min(chunk.bottom + reach, self._source.height),
            max(chunk.left - reach, 0),
            min(chunk.right + reach, self._source.width),
        )

    def _snapped(self, top: int, bottom: int, seen: Chunk) -> Classes:
        pixels = self._source.read(top, bottom, seen.left, seen.right)
        red, green, blue = pixels.values.astype(np.int32)
        packed = red << 16 | green << 8 | blue
        new = np.unique(packed[self._class_of[packed] == UNSEEN])
        for start in range(0, len(new), 1 << 16):
            part = new[start : start + (1 << 16)]
            rgb = np.stack([part >> 16, part >> 8 & 255, part & 255], axis=1).astype(np.uint8)
            squared = ((_cielab(rgb)[:, None] - self._lab) ** 2).sum(axis=2)
            self._class_of[part] = self._owner[squared.argmin(axis=1)]
        return np.where(pixels.valid, self._class_of[packed], np.uint8(NO_CLASS))


def _cielab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of sRGB colours, both (N, 3)."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _cleaned(classes: Classes, least: int) -> Classes:
    """Classes with small parts and thin lines given to the classes around them.

    Fringes of blended colour, one pixel wide, are the worst of both: nearest to a third class.
    """
    core = _in_a_square(classes)
    cores = np.where(core, classes, np.uint8(THIN))
    settled = core & ~_in_small_part(cores, least)
    return _filled(classes, settled)


def _in_a_square(classes: Classes) -> NDArray[np.bool_]:
    """Where a pixel is one of 2 x 2 of the same class."""
    across = classes[:, 1:] == classes[:, :-1]
    square = across[1:] & across[:-1] & (classes[1:, 1:] == classes[:-1, 1:])
    core = np.zeros(classes.shape, bool)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            core[rows, columns] |= square
    return core


def _in_small_part(classes: Classes, least: int) -> NDArray[np.bool_]:
    """Where a pixel is in a 4-connected part of fewer than ``least`` pixels of one class."""
    begins = np.ones(classes.shape, bool)
    begins[:, 1:] = classes[:, 1:] != classes[:, :-1]
    run = (np.cumsum(begins, dtype=np.int32) - 1).reshape(classes.shape)
    lengths = np.diff(np.append(np.flatnonzero(begins), classes.size))
    # Where two runs touch, their first common column stands for all.
    touching = (classes[1:] == classes[:-1]) & (begins[1:] | begins[:-1])
    part = _joined_labels(len(lengths), run[:-1][touching], run[1:][touching])
    sizes = np.bincount(part, weights=lengths, minlength=len(lengths))
    small: NDArray[np.bool_] = (sizes < least)[part][run]
    return small


def _joined_labels(
    count: int, one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]
) -> NDArray[np.intp]:
    """The least member of each member's set, where ``one[i]`` and ``other[i]`` are together."""
    label = np.arange(count)
    while len(one):
        least = np.minimum(label[one], label[other])
        np.minimum.at(label, label[one], least)
        np.minimum.at(label, label[other], least)
        while not np.array_equal(label, shorter := label[label]):
            label = shorter
        apart = label[one] != label[other]
        one, other = one[apart], other[apart]
    return label


def _filled(classes: Classes, settled: NDArray[np.bool_]) -> Classes:
    """Pixels not settled take the commonest class of their 4 settled neighbours, inwards.

    Of equals the one above, then left, right, below. Those out of reach stay as they are.
    """
    known = np.pad(np.where(settled, classes, np.uint8(NO_CLASS)), 1, constant_values=NO_CLASS)
    flat, across = known.ravel(), known.shape[1]
    rows, columns = np.nonzero(~settled & (classes != NO_CLASS))
    at = (rows + 1) * across + columns + 1
    for _ in range(FILL_ROUNDS):
        around = flat[at[:, None] + np.array([-across, -1, 1, across])]
        votes = (around[:, :, None] == around[:, None, :]).sum(axis=2) * (around != NO_CLASS)
        reached = votes.max(axis=1, initial=0) > 0
        winners = np.take_along_axis(around, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
        flat[at[reached]] = winners[reached]
        at = at[~reached]
        if not reached.any():
            break
    filled = known[1:-1, 1:-1]
    return np.where(filled == NO_CLASS, classes, filled)


def _chunk_polygons(
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
class _Joiner:
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


class _Spool:
    """Finished polygons in a file, given back in their order of (class, first vertex)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._keys: list[tuple[int, float, float]] = []
        self._ends = [0]

    @property
    def count(self) -> int:
        """Polygons held."""
        return len(self._keys)

    def add(self, number: int, polygon: Any) -> None:
        """Take a polygon of class ``number``."""
        polygon = shapely.normalize(polygon)
        x, y = shapely.get_coordinates(polygon.exterior)[0]
        self._keys.append((number, x, y))
        written = self._file.write(shapely.to_wkb(polygon))
        self._ends.append(self._ends[-1] + written)

    def batches(self) -> Iterator[tuple[NDArray[np.intp], Polygons]]:
        """Class numbers and polygons, at least one batch and that maybe empty."""
        order = sorted(range(self.count), key=self._keys.__getitem__)
        for start in range(0, max(self.count, 1), BATCH):
            part = order[start : start + BATCH]
            numbers = np.array([self._keys[each][0] for each in part], np.intp)
            yield numbers, np.array([self._read(each) for each in part], object)

    def _read(self, index: int) -> Any:
        self._file.seek(self._ends[index])
        return shapely.from_wkb(self._file.read(self._ends[index + 1] - self._ends[index]))


def _features(spool: _Spool, meta: RasterMeta, colours: Colours) -> Iterator[Features]:
    names = np.array(list(colours), object)
    hexes = np.array(["#{:02x}{:02x}{:02x}".format(*each[0]) for each in colours.values()], object)
    for numbers, polygons in spool.batches():
        placed = shapely.transform(polygons, lambda pixels: _placed(pixels, meta))
        yield Features(
            classes=names[numbers],
            area_m2=_areas_m2(polygons, meta),
            colours=hexes[numbers],
            polygons=shapely.orient_polygons(placed),
        )


def _placed(pixels: NDArray[np.float64], meta: RasterMeta) -> NDArray[np.float64]:
    """Pixel (column, row) to the raster's CRS, both (N, 2)."""
    if meta.transform is None:
        return pixels
    a, b, c, d, e, f = meta.transform[:6]
    x, y = pixels.T
    # Not as a matrix product, whose rounding may differ from row to row: a vertex that
    # two polygons share must stay one.
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def _areas_m2(polygons: Polygons, meta: RasterMeta) -> NDArray[np.float64]:
    """Areas on the WGS 84 ellipsoid of polygons in pixels; NaN where they cannot be known.

    By Green's theorem, with the area between each edge and the pole: also right for what
    holds a pole or crosses the antimeridian.
    """
    unknown = np.full(len(polygons), math.nan)
    if meta.crs is None or meta.transform is None or not len(polygons):
        return unknown
    fine = shapely.segmentize(polygons, AREA_STEP_PX)
    _, points, (rings, parts) = shapely.to_ragged_array(fine)
    x, y = _placed(points, meta).T
    try:
        longitudes, latitudes = transform_points(meta.crs, "OGC:CRS84", x.tolist(), y.tolist())
    except (CRSError, RasterioError, rasterio._err.CPLE_BaseError):
        return unknown
    turns = np.diff(longitudes, append=longitudes[-1]) / 360
    swept = 2 * math.pi * (turns - np.rint(turns))
    swept[rings[1:] - 1] = 0
    height = _below_rad(np.array(latitudes))
    # Heights are measured from a ring's own first point, for precision, or if it goes once
    # around from the pole inside.
    around = np.abs(np.add.reduceat(swept, rings[:-1])) > math.pi
    first = height[rings[:-1]]
    base = np.where(around, np.sign(first) * _below_rad(np.array([90.0])), first)
    above = height - np.repeat(base, np.diff(rings))
    middles = (above + np.append(above[1:], 0)) / 2
    ring_areas = np.abs(np.add.reduceat(swept * middles, rings[:-1]))
    ring_areas[parts[:-1]] *= -1  # what is left are holes
    areas = -np.add.reduceat(ring_areas, parts[:-1])
    return np.where(np.isfinite(areas), areas, math.nan)


def _below_rad(latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area in m² from the equator to a latitude (degrees, north > 0), by radian of longitude.

    Snyder, Map Projections (1987), equation 3-12, times half the squared radius.
    """
    e = math.sqrt(ECCENTRICITY_SQUARED)
    sine = np.sin(np.radians(latitudes))
    q = sine / (1 - ECCENTRICITY_SQUARED * sine**2) + np.arctanh(e * sine) / e
    below: NDArray[np.float64] = EQUATOR_RADIUS_M**2 / 2 * (1 - ECCENTRICITY_SQUARED) * q
    return below


def _write_gpkg(target: Target, batches: Iterator[Features]) -> None:
    # GeoPackages note when they were changed; the same map is to give the same bytes.
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": EPOCH})
    try:
        for index, features in enumerate(batches):
            _write_layer(target, features, "GPKG", append=index > 0)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _write_fgb(target: Target, batches: Iterator[Features]) -> None:
    _write_layer(target, _together(batches), "FlatGeobuf")


def _write_geojson(target: Target, batches: Iterator[Features]) -> None:
    # A hundredth of a pixel; a degree is about 111 km.
    digits = math.ceil(-math.log10((target.pixel_m or 1) / 111_000 / 100))
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": str(max(digits, GEOJSON_DIGITS))}
    _write_layer(target, _together(batches), "GeoJSON", options=options)


def _write_layer(
    target: Target,
    features: Features,
    driver: str,
    *,
    append: bool = False,
    options: Mapping[str, str] | None = None,
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        pyogrio.raw.write(
            target.path,
            geometry=shapely.to_wkb(features.polygons),
            field_data=[features.classes, features.area_m2, features.colours],
            fields=["class", "area_m2", "colour"],
            layer=target.layer,
            driver=driver,
            # RFC 7946 cuts polygons in two at the antimeridian.
            geometry_type="Unknown" if driver == "GeoJSON" else "Polygon",
            crs=target.crs and target.crs.to_wkt(version="WKT2_2019"),
            append=append,
            layer_options=dict(options or {}),
        )


def _write_parquet(target: Target, batches: Iterator[Features]) -> None:
    import pyarrow
    from pyarrow import parquet

    # 'crs' left out would mean longitude and latitude.
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": target.crs and target.crs.to_dict(projjson=True),
        "orientation": "counterclockwise",
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    schema = pyarrow.schema(
        [
            ("class", pyarrow.string()),
            ("area_m2", pyarrow.float64()),
            ("colour", pyarrow.string()),
            ("geometry", pyarrow.binary()),
        ],
        metadata={"geo": json.dumps(geo)},
    )
    with parquet.ParquetWriter(target.path, schema) as writer:
        for features in batches:
            columns = [
                pyarrow.array(features.classes, pyarrow.string()),
                pyarrow.array(features.area_m2, from_pandas=True),  # NaN to null
                pyarrow.array(features.colours, pyarrow.string()),
                pyarrow.array(shapely.to_wkb(features.polygons), pyarrow.binary()),
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))


def _together(batches: Iterator[Features]) -> Features:
    every = list(batches)
    return Features(
        classes=np.concatenate([each.classes for each in every]),
        area_m2=np.concatenate([each.area_m2 for each in every]),
        colours=np.concatenate([each.colours for each in every]),
        polygons=np.concatenate([each.polygons for each in every]),
    )


WRITERS: dict[str, Callable[[Target, Iterator[Features]], None]] = {
    ".gpkg": _write_gpkg,
    ".geojson": _write_geojson,
    ".parquet": _write_parquet,
    ".fgb": _write_fgb,
}


def _verify(out: Path, count: int) -> None:
    """Count what is in the file: GDAL's close stays silent about what was lost."""
    if out.suffix.lower() == ".parquet":
        from pyarrow import parquet

        held = parquet.read_metadata(out).num_rows
    else:
        held = pyogrio.read_info(out, force_feature_count=True)["features"]
    if held != count:
        raise WorldError(f"{out}: holds {held} of {count} polygons; free some space and run again")


@contextmanager
def _failures_named(out: Path) -> Iterator[None]:
    try:
        yield
    except (DataSourceError, DataLayerError) as error:
        cause = " ".join(str(error).split())
        raise WorldError(
            f"{out}: writing failed ({cause}); free some space and run again"
        ) from error
