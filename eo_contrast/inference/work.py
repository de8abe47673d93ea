"""The work of one raster, in pieces that any process may make, in any order."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from eo_contrast.inference.overlap import ahead, behind
from eo_contrast.inference.plan import Plan, TileModel
from eo_contrast.inference.settle import settled
from eo_contrast.inference.stream import Fill, OpenSource, Tally, infer, read_rows
from eo_contrast.raster.pieces import BLOCK, in_pieces, piece_rows, write_piece
from eo_contrast.raster.reader import Pixels
from eo_contrast.raster.resample import ResampledSource, axis_map, resample_strips


@dataclass(frozen=True)
class Work:
    """A raster, a model and the grid of the result.

    Attributes:
        plan: on the grid that the model sees.
        height, width: of the result; where they differ from the plan's, it is resampled.
        fill: what stands for invalid pixels, one number a band; None: each tile's own means.
    """

    open_source: OpenSource
    model: TileModel
    plan: Plan
    height: int
    width: int
    fill: Fill = None

    @property
    def resampled_back(self) -> bool:
        """Whether the result has another grid than the model sees."""
        return (self.plan.height, self.plan.width) != (self.height, self.width)

    @property
    def masked(self) -> bool:
        """Whether the result needs a mask."""
        return self.plan.masked

    def windows_for(self, pieces: Sequence[int]) -> int:
        """Windows that making these pieces takes."""
        rows = sum(
            len(self.plan.rows_for(*self._planned(first, past)))
            for first, past in consecutive(pieces)
        )
        return rows * len(self.plan.columns)

    def make_pieces(
        self,
        pieces: Sequence[int],
        folder: Path,
        *,
        tally: Tally,
        advance: Callable[[int], None] = lambda _done: None,
    ) -> None:
        """Make these pieces of the result in ``folder``.

        Reading, the network and writing overlap: one row of windows is read ahead, one
        piece is written behind.

        Raises: InputError: a block cannot be read. WorldError: the disk is full or failing.
        """
        for first, past in consecutive(pieces):
            strips = closing(self._strips(first, past, tally, advance))
            with strips as made, behind() as later:
                for piece, pixels in zip(range(first, past), in_pieces(made), strict=True):
                    later(partial(self._write, folder, piece, pixels, tally))

    def _strips(
        self, first: int, past: int, tally: Tally, advance: Callable[[int], None]
    ) -> Generator[Pixels, None, None]:
        part = self._planned(first, past)
        rows = self.plan.rows_for(*part)
        with closing(ahead(read_rows(self.open_source, rows, tally))) as read:
            inferred = infer(
                read,
                self.model,
                self.plan,
                part=part,
                fill=self.fill,
                settle=None if self.resampled_back else self.plan.settle,
                tally=tally,
                advance=advance,
            )
            with closing(inferred) as made:
                yield from self._on_own_grid(made, first, past)

    def _on_own_grid(self, strips: Iterable[Pixels], first: int, past: int) -> Iterator[Pixels]:
        if not self.resampled_back:
            yield from strips
            return
        rows = axis_map(self.plan.height, self.height)
        columns = axis_map(self.plan.width, self.width)
        part = (first * BLOCK, piece_rows(past - 1, self.height)[1])
        with self.open_source() as source:
            # The model's grid holds holes but coarsely: the raster's own grid has them as they are.
            own_valid = None
            if self.plan.may_be_invalid and isinstance(source, ResampledSource):
                own_valid = source.own_valid
            laid_back = resample_strips(
                strips, rows, columns, dtype=self.plan.dtype_out, part=part, own_valid=own_valid
            )
            for strip in laid_back:
                settle = self.plan.settle
                yield strip if settle is None else settled(strip, settle)

    def _planned(self, first: int, past: int) -> tuple[int, int]:
        """Rows of the plan's grid that pieces ``first .. past`` are made of."""
        top, bottom = first * BLOCK, piece_rows(past - 1, self.height)[1]
        if not self.resampled_back:
            return top, bottom
        return axis_map(self.plan.height, self.height).needed(top, bottom)

    def _write(self, folder: Path, piece: int, pixels: Pixels, tally: Tally) -> None:
        start = time.perf_counter()
        write_piece(folder, piece, pixels, masked=self.masked)
        tally.timed("write", start)


def consecutive(pieces: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring numbers, first and past-last of each."""
    first = 0
    for k in range(1, len(pieces) + 1):
        if k == len(pieces) or pieces[k] != pieces[k - 1] + 1:
            yield pieces[first], pieces[k - 1] + 1
            first = k
