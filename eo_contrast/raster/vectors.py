"""A finished map as polygons of its classes: neighbours share their edges exactly.

The raster is worked through in square chunks. In each, pixels become classes, specks and
fringes give way to what surrounds them, outlines are traced and all simplified together.
What a chunk says of a pixel's class does not depend on where chunks were cut, and outlines
stay as they are along the cuts, so that pieces of one polygon can be joined across them.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as transform_points

from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.raster.class_map import is_class_map
from eo_contrast.raster.ground_size import ECCENTRICITY_SQUARED, EQUATOR_RADIUS_M
from eo_contrast.raster.map_classes import UNSEEN, Chunk, ClassReader, NearestColours, OwnNumbers
from eo_contrast.raster.meta import (
    RasterMeta,
    ground_pixel_size_m,
)
from eo_contrast.raster.outlines import Joiner, Polygons, chunk_polygons
from eo_contrast.raster.reader import RasterSource, open_raster
from eo_contrast.raster.vector_files import (
    WRITERS,
    Features,
    Target,
    failures_named,
    refuse_unwritable,
    verify,
)

Colours = Mapping[str, Sequence[tuple[int, int, int]]]

CHUNK_PX = 2048
BATCH = 20_000
AREA_STEP_PX = 8
"""Length of what is taken for straight in measuring: errs by 2e-3 beside a pole, else 1e-6."""


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

    Of a picture a pixel has the class of the palette colour nearest in CIELAB (exactly, ΔE 1976;
    of equals the first listed); of a map of class numbers that of its number. Invalid pixels have
    none. Polygons are sorted by class, in the
    palette's order, then by first vertex; together they are a valid coverage. They are in
    the raster's CRS, for GeoJSON in longitude and latitude; without a transform in pixels.
    ``area_m2`` is measured on the ellipsoid, null where the raster has no place on it.
    Memory is that of a chunk, of polygons that wait for chunks to come (at most
    ``MOST_PENDING_VERTICES``) and some 200 bytes a polygon; .gpkg and .parquet are written in
    batches, .geojson and .fgb with all polygons in memory.

    Args:
        out: its suffix tells the format; see :func:`refuse_unwritable`. Replaced if there.
        colours: RGB colours of each class; of class numbers in their order from 0.
        simplify_px: as of ``shapely.coverage_simplify``; 0 keeps the edges of the pixels.
        sieve_px: parts of fewer pixels, and lines one pixel wide, go to their neighbours,
            up to ``FILL_ROUNDS`` pixels deep; below 2 nothing does. At most ``chunk_px``.
        chunk_px: side of a chunk.
        advance: told after each of :func:`polygon_steps` chunks.

    Returns: the number of polygons.
    Raises:
        InputError: neither a map in red, green and blue nor one of class numbers, or a format
            that cannot hold its polygons.
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
            reader = _reader(dataset, meta, colours, sieve_px)
            joiner = Joiner(meta.height, meta.width)
            for done, chunk in enumerate(_chunks(meta, chunk_px), start=1):
                pieces = chunk_polygons(reader.read(chunk), chunk, simplify_px)
                for number, polygon in joiner.joined(*pieces, chunk):
                    spool.add(number, polygon)
                advance(done)
        with failures_named(out):
            out.unlink(missing_ok=True)
            WRITERS[out.suffix.lower()](target, _features(spool, meta, colours))
            verify(out, spool.count)
    return spool.count


def polygon_steps(meta: RasterMeta, chunk_px: int = CHUNK_PX) -> int:
    """Chunks that :func:`write_polygons` reports for a raster of this size."""
    return math.ceil(meta.height / chunk_px) * math.ceil(meta.width / chunk_px)


def refuse_no_polygons(raster: Path, out: Path, meta: RasterMeta) -> None:
    """Refuse what :func:`write_polygons` cannot make polygons of, from its metadata alone.

    Raises: InputError: neither a map in red, green and blue nor one of class numbers, or ``out``
        needs a place on the Earth.
    """
    _refuse_no_map(raster, meta)
    _target(raster, out, "", meta)


def _reader(dataset: Any, meta: RasterMeta, colours: Colours, sieve_px: int) -> ClassReader:
    if is_class_map(meta):
        return ClassReader(RasterSource(dataset, meta, (1,)), OwnNumbers(len(colours)), sieve_px)
    nearest = NearestColours(list(colours.values()))
    return ClassReader(RasterSource(dataset, meta, (1, 2, 3)), nearest, sieve_px)


def _refuse_no_map(raster: Path, meta: RasterMeta) -> None:
    if is_class_map(meta):
        return
    if meta.count not in (3, 4) or set(meta.dtypes[:3]) != {"uint8"}:
        raise InputError(
            f"{raster}: has {meta.count} band(s) of {meta.dtypes[0]}; polygons are made from "
            "a map in red, green and blue of uint8, or of class numbers with a colour table"
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
