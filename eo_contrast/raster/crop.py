"""A raster within an area: its bounding rectangle, invalid outside the area itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.rpc import RPC

from eo_contrast.raster.meta import RasterMeta, moved_gcps
from eo_contrast.raster.reader import Pixels, Source


class Region(Protocol):
    """A part of a raster, in its pixels."""

    @property
    def top(self) -> int: ...
    @property
    def bottom(self) -> int: ...
    @property
    def left(self) -> int: ...
    @property
    def right(self) -> int: ...

    def inside(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """Which pixels of a window of the raster belong to the region."""
        ...


class AreaSource:
    """A ``Source`` that shows the rectangle around a region of another, rows from 0.

    Args:
        nodata: value of the pixels outside the region, which marks them; None: they are 0
            and invalid.
    """

    def __init__(self, source: Source, region: Region, *, nodata: float | None = None) -> None:
        self._source = source
        self._region = region
        self._nodata = nodata
        self.may_be_invalid = nodata is None or source.may_be_invalid
        self.name = source.name
        self.height = region.bottom - region.top
        self.width = region.right - region.left
        self.bands = source.bands
        self.dtype: np.dtype[Any] = source.dtype

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The pixels of rows ``top .. bottom`` and columns ``left .. right`` of the rectangle."""
        down, across = self._region.top, self._region.left
        window = (top + down, bottom + down, left + across, right + across)
        inside = self._region.inside(*window)
        outside = np.array(self._nodata or 0, dtype=self.dtype)
        marked = np.full_like(inside, self._nodata is not None)
        if not inside.any():
            values = np.broadcast_to(outside, (self.bands, *inside.shape))
            return Pixels(values=values, valid=marked)
        pixels = self._source.read(*window)
        return Pixels(
            values=np.where(inside, pixels.values, outside),
            valid=np.where(inside, pixels.valid, marked),
        )


def cropped(meta: RasterMeta, region: Region) -> RasterMeta:
    """The metadata of the rectangle around a region: transform, GCPs and RPCs follow."""
    transform = meta.transform
    return replace(
        meta,
        height=region.bottom - region.top,
        width=region.right - region.left,
        transform=transform and transform @ transform.translation(region.left, region.top),
        gcps=moved_gcps(meta.gcps, -region.top, -region.left),
        rpcs=meta.rpcs and _moved(meta.rpcs, region),
    )


def _moved(rpcs: RPC, region: Region) -> RPC:
    changed = RPC.from_gdal(rpcs.to_gdal())
    changed.line_off = rpcs.line_off - region.top
    changed.samp_off = rpcs.samp_off - region.left
    return changed
