"""What inference is given: a model of tiles, and the plan by which it walks a raster."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, Protocol

import numpy as np
from torch import Tensor

from eo_contrast.errors import InputError
from eo_contrast.inference.settle import Settle
from eo_contrast.raster.pieces import BLOCK
from eo_contrast.raster.reader import Source
from eo_contrast.raster.resample import STEP, ResampledSource
from eo_contrast.raster.windows import (
    Span,
    Tiling,
    default_overlap,
    owned,
    plan_tiling,
    round_up,
    spans,
)

DEFAULT_TILE = 768
LARGEST_STRIP_BYTES = 1 << 30


class TileModel(Protocol):
    """Anything that turns tiles of a raster into tiles of another on the same grid.

    Attributes:
        bands_in: names of the bands it takes; empty: any.
        bands_out: names of the bands it gives; empty: as many as it is given.
        dtype_out: name of the result's type; None: the raster's own.
        halo: pixels around a pixel that its result depends on.
        stride: the tile's sides are multiples of this.
        joining: ``blend``: tiles come as float32 with invalid pixels filled, the results
            are blended; ``cut``: tiles come untouched in the raster's own type, none is
            skipped, and each pixel of the result is taken from one tile.
    """

    bands_in: tuple[str, ...]
    bands_out: tuple[str, ...]
    dtype_out: str | None
    halo: int
    stride: int
    joining: Literal["blend", "cut"]

    def scene_statistics(self, tiles: Tensor) -> dict[str, Tensor]:
        """What the model needs to know of a scene, from (N, bands, H, W) of it; may be empty."""
        ...

    def prepare(self, statistics: dict[str, Tensor] | None) -> None:
        """Treat all tiles alike, by these statistics of the scene; None: each by itself."""
        ...

    def __call__(self, tiles: Tensor) -> Tensor:
        """(N, bands in, H, W) to (N, bands out, H, W), values in the result's own unit."""
        ...


@dataclass(frozen=True)
class Plan:
    """How a raster is walked: rows of windows from top to bottom, each from left to right.

    Where the windows lie on another grid than the raster's own, ``own_width`` is the columns of
    that and ``own_row_bytes`` what one row of it takes; else 0.

    ``side`` is what every window is extended to, by reflection; None: what the model's stride asks
    for. ``together`` windows of a row are run at once. ``settle`` tells what blended values become
    before they are written; None: they stay. With ``one_thread`` groups of windows are run side by
    side, each in one thread, so that no result depends on how many there are.
    """

    height: int
    width: int
    bands_in: int
    bands_out: int
    dtype_in: np.dtype[np.generic]
    dtype_out: np.dtype[np.generic]
    may_be_invalid: bool
    joining: Literal["blend", "cut"]
    tiling: Tiling
    rows: Sequence[Span]
    columns: Sequence[Span]
    own_width: int = 0
    own_row_bytes: int = 0
    side: int | None = None
    together: int = 1
    settle: Settle | None = None
    one_thread: bool = False

    @property
    def masked(self) -> bool:
        """Whether what is written needs a mask to tell its invalid pixels."""
        return self.may_be_invalid and self.settle is None

    @property
    def groups(self) -> Sequence[Sequence[Span]]:
        """The columns of windows that are run at once."""
        starts = range(0, len(self.columns), self.together)
        return [self.columns[start : start + self.together] for start in starts]

    @property
    def tiles(self) -> int:
        """Number of windows."""
        return len(self.rows) * len(self.columns)

    def lacking_margin(self, halo: int) -> int:
        """Pixels by which the tiles' overlap falls short of showing no seam; 0: it shows none."""
        return max(0, halo - self.tiling.margin) if self.tiles > 1 else 0

    def rows_for(self, top: int, bottom: int) -> Sequence[Span]:
        """The rows of windows that output rows ``top .. bottom`` of the plan's grid are made of."""
        counted = [
            owned(row) if self.joining == "cut" else (row.begin, row.end) for row in self.rows
        ]
        first = bisect_right([end for _, end in counted], top)
        past = bisect_left([begin for begin, _ in counted], bottom)
        return self.rows[first:past]

    @property
    def strip_bytes(self) -> int:
        """Memory of one row of windows, read and joined, and what the next one needs of it."""
        rows = self.rows[0].length
        read = rows * (self.bands_in * self.dtype_in.itemsize + 1)
        joined = rows * self._given_bytes
        left_over = self.tiling.ramp * self.bands_out * np.dtype(np.int64).itemsize
        return self.width * (2 * read + joined + left_over) + self._resampling_bytes

    @property
    def _given_bytes(self) -> int:
        """Memory of a pixel of joined windows."""
        if self.settle is not None and not self.own_width:
            return self.settle.bands * np.dtype(self.settle.dtype).itemsize
        return self.bands_out * self.dtype_out.itemsize

    @property
    def _resampling_bytes(self) -> int:
        """Memory of what is read of the raster's own grid, and of what is laid back on it."""
        if not self.own_width:
            return 0
        given = self.bands_out * self.dtype_out.itemsize + 1
        # Twice: what a part of a raster's rows is made of is there until the part is. Where
        # pixels may be invalid, rows are read once more, for the holes of what is laid back.
        reads = 4 if self.may_be_invalid else 2
        blocks = BLOCK * (reads * self.own_row_bytes + 2 * self.own_width * given)
        sums = 4 * STEP * max(self.own_width, self.width) * np.dtype(np.float64).itemsize
        return blocks + sums + self.rows[0].length * self.width * given


def plan_inference(
    source: Source, model: TileModel, *, tile: int | None = None, overlap: int | None = None
) -> Plan:
    """Lay windows over a raster.

    Args:
        tile: side of a tile in pixels; None: ``DEFAULT_TILE``.
        overlap: pixels that neighbours share; None: what the model's halo asks for.

    Raises: InputError: tile and overlap do not fit each other, or one row of windows does
        not fit in memory.
    """
    plan = _plan(source, model, _tiling(model, tile, overlap))
    if plan.strip_bytes > LARGEST_STRIP_BYTES:
        _refuse_strip(plan, source, "take a smaller --tile, or a part of the raster")
    return plan


def plan_windows(
    source: Source,
    model: TileModel,
    tiling: Tiling,
    *,
    together: int,
    settle: Settle | None,
    one_thread: bool,
) -> Plan:
    """Lay windows of one size over a raster, for a network that sees no other.

    Windows that end with the raster are extended by reflection to the size of all others.

    Args:
        tiling: whose ``tile`` is that size.
        together: windows that are run at once.
        settle: what blended values become.
        one_thread: each group of windows is run in one thread.

    Raises: InputError: one row of windows does not fit in memory.
    """
    plan = replace(
        _plan(source, model, tiling),
        side=tiling.tile,
        together=together,
        settle=settle,
        one_thread=one_thread,
    )
    if plan.strip_bytes > LARGEST_STRIP_BYTES:
        _refuse_strip(plan, source, "take a part of the raster, as with --aoi")
    return plan


def _refuse_strip(plan: Plan, source: Source, way_out: str) -> NoReturn:
    """Raises: InputError: names the memory of a row of windows, and what it comes from."""
    raise InputError(
        f"{source.name}: one row of windows takes {plan.strip_bytes / 2**20:.0f} MiB "
        f"({source.width} pixels wide, {source.bands} bands, --tile {plan.tiling.tile}), more than "
        f"{LARGEST_STRIP_BYTES / 2**20:.0f}; {way_out}"
    )


def _plan(source: Source, model: TileModel, tiling: Tiling) -> Plan:
    own = source if isinstance(source, ResampledSource) else None
    return Plan(
        height=source.height,
        width=source.width,
        bands_in=source.bands,
        bands_out=len(model.bands_out) or source.bands,
        dtype_in=source.dtype,
        dtype_out=np.dtype(model.dtype_out or source.dtype),
        may_be_invalid=source.may_be_invalid,
        joining=model.joining,
        tiling=tiling,
        rows=spans(source.height, tiling),
        columns=spans(source.width, tiling),
        own_width=own.own_width if own else 0,
        own_row_bytes=own.own_row_bytes if own else 0,
    )


def padded_side(length: int, stride: int) -> int:
    """Side of the tile that a window of ``length`` pixels is extended to.

    Never less than four strides: networks reflect at a quarter of the size.
    """
    return max(4 * stride, round_up(length, stride)) if stride > 1 else length


def _tiling(model: TileModel, tile: int | None, overlap: int | None) -> Tiling:
    if tile is not None and tile < 1:
        raise InputError(f"--tile {tile}: must be at least 1 pixel")
    if overlap is not None and overlap < 0:
        raise InputError(f"--overlap {overlap}: must not be negative")
    if overlap is None:
        overlap = default_overlap(model.halo, model.stride)
        if tile is not None:
            # A small tile on purpose: more overlap than half of it would multiply the work.
            overlap = min(overlap, tile // 2 // model.stride * model.stride)
    if tile is None:
        tile = max(DEFAULT_TILE, 2 * round_up(overlap, model.stride))
    try:
        return plan_tiling(tile, overlap, halo=model.halo, stride=model.stride)
    except ValueError as error:
        raise InputError(
            f"--tile {tile} is too small for an overlap of {overlap} pixels; give "
            f"--tile {2 * round_up(overlap, model.stride)} or more, or a smaller --overlap"
        ) from error
