"""How a model sees a raster: which bands, what part, on which grid, and which others beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eo_contrast.catalog.grids import Grid
from eo_contrast.inference.stacked import StackedSource
from eo_contrast.raster.crop import AreaSource, Region
from eo_contrast.raster.location import Location
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import BLOCK_CACHE_BYTES, RasterSource, Source, open_raster
from eo_contrast.raster.resample import ResampledSource


@dataclass(frozen=True)
class Unit:
    """What one band's numbers mean: scale * number + offset; ``nodata`` is no number."""

    scale: float
    offset: float
    nodata: float | None


@dataclass(frozen=True)
class View:
    """From an open raster to the :class:`~eo_contrast.raster.reader.Source` of inference.

    Attributes:
        indexes: 1-based numbers of the bands.
        physical: scale * value + offset, where the raster states them.
        own_mask_only: nodata and alpha stay what they are, values; for copies.
        area: the part that is wanted; None: all.
        nodata: what a copy has outside the area; None: it is masked there.
        units: of the bands where they are others than the raster states; None: its own.
        grid: height and width in which the model sees it; None: as it is.
    """

    indexes: tuple[int, ...]
    physical: bool = False
    own_mask_only: bool = False
    area: Region | None = None
    nodata: float | None = None
    units: tuple[Unit, ...] | None = None
    grid: tuple[int, int] | None = None

    def over(
        self, dataset: Any, meta: RasterMeta, beside: Sequence[Source] = (), *, at: int = 0
    ) -> Source:
        """The source, which reads from ``dataset``.

        Args:
            beside: others on the raster's own grid, whose bands come along.
            at: how many of them stand before the raster.
        """
        source: Source = RasterSource(
            dataset,
            meta if self.units is None else in_units(meta, self.indexes, self.units),
            self.indexes,
            physical=self.physical,
            own_mask_only=self.own_mask_only,
        )
        if beside:
            source = StackedSource([*beside[:at], source, *beside[at:]])
        if self.area is not None:
            source = AreaSource(source, self.area, nodata=self.nodata)
        if self.grid is not None:
            source = ResampledSource(source, *self.grid)
        return source


def in_units(meta: RasterMeta, indexes: Sequence[int], units: Sequence[Unit]) -> RasterMeta:
    """The metadata as if the raster stated these units of these bands itself."""
    scales, offsets, nodata = list(meta.scales), list(meta.offsets), list(meta.nodata)
    for index, unit in zip(indexes, units, strict=True):
        scales[index - 1], offsets[index - 1] = unit.scale, unit.offset
        nodata[index - 1] = unit.nodata
    return replace(meta, scales=tuple(scales), offsets=tuple(offsets), nodata=tuple(nodata))


@dataclass(frozen=True)
class Companion:
    """Another raster of the same ground, laid on the first one's grid.

    Attributes:
        indexes, units: of its bands that are seen.
        onto: the first raster's own grid.
    """

    location: Location
    indexes: tuple[int, ...]
    units: tuple[Unit, ...]
    onto: Grid

    def over(self, dataset: Any, meta: RasterMeta) -> Source:
        """Its bands on the first raster's grid, read from ``dataset``."""
        # The archive's layouts that come along take their time to load; few runs need them.
        from eo_contrast.inference.aligned import AlignedSource

        own = RasterSource(
            dataset, in_units(meta, self.indexes, self.units), self.indexes, physical=True
        )
        return AlignedSource(own, grid_of_raster(meta), self.onto)


def grid_of_raster(meta: RasterMeta) -> Grid:
    """Where a raster's pixels lie; it has a CRS and a transform."""
    assert meta.transform is not None
    return Grid(meta.crs, meta.transform, meta.height, meta.width)


@dataclass(frozen=True)
class Opener:
    """Opens a raster anew and shows it through a view: in any thread or process.

    Attributes:
        companions: others whose bands come along, on its grid.
        at: how many of them stand before the raster.
        cache_bytes: of GDAL's memory for decoded blocks.
    """

    location: Location
    view: View
    companions: tuple[Companion, ...] = ()
    at: int = 0
    cache_bytes: int = BLOCK_CACHE_BYTES

    @contextmanager
    def __call__(self) -> Iterator[Source]:
        with ExitStack() as stack:
            beside = [
                each.over(*stack.enter_context(open_raster(each.location)))
                for each in self.companions
            ]
            # The last one opened decides how much memory blocks have.
            opened = open_raster(self.location, cache_bytes=self.cache_bytes)
            yield self.view.over(*stack.enter_context(opened), beside, at=self.at)

    def anywhere(self) -> Opener:
        """The same for a process that works in another folder."""
        companions = tuple(
            replace(each, location=_absolute(each.location)) for each in self.companions
        )
        return replace(self, location=_absolute(self.location), companions=companions)


def _absolute(location: Location) -> Location:
    return location.resolve() if isinstance(location, Path) else location
