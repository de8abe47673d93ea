"""``results.csv`` of a benchmark: a row a score, appended cell by cell."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eo_contrast.errors import InputError
from eo_contrast.files import whole_file

RESULTS = "results.csv"
HEADER = ("encoder", "protocol", "label_fraction", "seed", "metric", "value")


def slug_of(name: str) -> str:
    """An encoder's name as a part of a file's."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def refuse_one_slug(names: Iterable[str]) -> None:
    """Raises InputError where files of two encoders would have one name."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(slug_of(name), name)
        if other != name:
            raise InputError(
                f"--encoders: {other} and {name} differ in what no file's name keeps; name one of "
                "them otherwise"
            )


@dataclass(frozen=True)
class Cell:
    """One measurement: an encoder, how it is asked, with how many labels, by which seed."""

    encoder: str
    protocol: str
    fraction: float
    seed: int

    @property
    def slug(self) -> str:
        """As a file's name."""
        return f"{slug_of(self.encoder)}-{self.protocol}-{self.fraction:g}-{self.seed}"

    def __str__(self) -> str:
        return f"{self.encoder}, {self.protocol}, {self.fraction:.4g} of labels, seed {self.seed}"


ScoresOf = Callable[[Cell], Mapping[str, float] | None]


class ResultRows:
    """The file, and which cells it has; rows are only ever added.

    A kill may leave a row cut short, or the last cell with some of its rows: so that cell's rows
    are made again when the file is opened.

    Args:
        scores_of: a cell's, from its predictions; None: there are none, and its rows are left out.
    """

    def __init__(self, path: Path, scores_of: ScoresOf) -> None:
        self._path = path
        self._cells: set[Cell] = set()
        text = self._mended(scores_of) if path.is_file() else _line(HEADER)
        with whole_file(path) as partial:
            partial.write_text(text)

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._cells

    def add(self, cell: Cell, scores: Mapping[str, float]) -> None:
        """Append a cell's rows, and wait until the disk has them."""
        text = _rows(cell, scores)
        with self._path.open("a") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._cells.add(cell)

    def _mended(self, scores_of: ScoresOf) -> str:
        """The text, the last cell's rows made anew; notes the cells that it has."""
        head, *lines = self._path.read_text().splitlines(keepends=True) or [""]
        whole = [line for line in lines if line.endswith("\n")]
        try:
            if head != _line(HEADER):
                raise ValueError("another header")
            cells = [_cell_of(next(csv.reader([line]))) for line in whole]
        except ValueError as error:
            raise InputError(
                f"{self._path}: is not what benchmark writes; take it away, or choose another "
                "folder"
            ) from error
        last = cells[-1] if cells else None
        kept = [line for line, cell in zip(whole, cells, strict=True) if cell != last]
        self._cells.update(cell for cell in cells if cell != last)
        scores = scores_of(last) if last is not None else None
        if last is not None and scores is not None:
            kept.append(_rows(last, scores))
            self._cells.add(last)
        return head + "".join(kept)


def read_rows(path: Path) -> dict[Cell, dict[str, float]]:
    """The scores of every cell of a file.

    Raises: InputError: it is not what benchmark writes.
    """
    found: dict[Cell, dict[str, float]] = {}
    try:
        with path.open() as file:
            for row in csv.DictReader(file):
                cell = Cell(
                    row["encoder"],
                    row["protocol"],
                    float(row["label_fraction"]),
                    int(row["seed"]),
                )
                found.setdefault(cell, {})[row["metric"]] = float(row["value"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: is not what benchmark writes: {error}") from error
    return found


def _cell_of(row: Sequence[str]) -> Cell:
    encoder, protocol, fraction, seed = row[:4]
    return Cell(encoder, protocol, float(fraction), int(seed))


def _rows(cell: Cell, scores: Mapping[str, float]) -> str:
    own = (cell.encoder, cell.protocol, cell.fraction, cell.seed)
    return "".join(_line((*own, name, value)) for name, value in scores.items())


def _line(row: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(row)
    return buffer.getvalue()
