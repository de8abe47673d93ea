"""How a model sees a raster: which bands, what part, on which grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from eo_contrast.raster.crop import AreaSource, Region
from eo_contrast.raster.location import Location
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import RasterSource, Source, open_raster
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

    def over(self, dataset: Any, meta: RasterMeta) -> Source:
        """The source, which reads from ``dataset``."""
        source: Source = RasterSource(
            dataset,
            meta if self.units is None else _in_units(meta, self.indexes, self.units),
            self.indexes,
            physical=self.physical,
            own_mask_only=self.own_mask_only,
        )
        if self.area is not None:
            source = AreaSource(source, self.area, nodata=self.nodata)
        if self.grid is not None:
            source = ResampledSource(source, *self.grid)
        return source


def _in_units(meta: RasterMeta, indexes: tuple[int, ...], units: tuple[Unit, ...]) -> RasterMeta:
    scales, offsets, nodata = list(meta.scales), list(meta.offsets), list(meta.nodata)
    for index, unit in zip(indexes, units, strict=True):
        scales[index - 1], offsets[index - 1] = unit.scale, unit.offset
        nodata[index - 1] = unit.nodata
    return replace(meta, scales=tuple(scales), offsets=tuple(offsets), nodata=tuple(nodata))


@dataclass(frozen=True)
class Opener:
    """Opens a raster anew and shows it through a view: in any thread or process."""

    location: Location
    view: View

    @contextmanager
    def __call__(self) -> Iterator[Source]:
        with open_raster(self.location) as (dataset, meta):
            yield self.view.over(dataset, meta)
