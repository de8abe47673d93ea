"""``results.csv`` of a benchmark: a row a score, appended cell by cell."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eo_contrast.errors import InputError
from eo_contrast.files import whole_file

RESULTS = "results.csv"
HEADER = ("encoder", "protocol", "label_fraction", "seed", "metric", "value")


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
        name = re.sub(r"[^A-Za-z0-9._-]", "_", self.encoder)
        return f"{name}-{self.protocol}-{self.fraction:g}-{self.seed}"

    def __str__(self) -> str:
        return f"{self.encoder}, {self.protocol}, {self.fraction:.4g} of labels, seed {self.seed}"


class ResultRows:
    """The file, and which cells it has; rows are only ever added.

    A kill may leave a row cut short, or the last cell with some of its rows: so that cell is taken
    off when the file is opened, and is added again from its predictions.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cells: set[Cell] = set()
        kept = self._without_last() if path.is_file() else _line(HEADER)
        with whole_file(path) as partial:
            partial.write_text(kept)

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._cells

    def add(self, cell: Cell, scores: Mapping[str, float]) -> None:
        """Append a cell's rows, and wait until the disk has them."""
        text = "".join(
            _line((cell.encoder, cell.protocol, cell.fraction, cell.seed, name, value))
            for name, value in scores.items()
        )
        with self._path.open("a") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._cells.add(cell)

    def _without_last(self) -> str:
        """The text but for the last cell; notes the cells of it."""
        lines = self._path.read_text().splitlines(keepends=True)
        if not lines or lines[0] != _line(HEADER):
            raise InputError(
                f"{self._path}: is not what benchmark writes; take it away, or choose another "
                "folder"
            )
        of_lines = [next(csv.reader([line]))[:4] for line in lines[1:]]
        last = next((key for key in reversed(of_lines) if len(key) == 4), None)
        kept = [lines[0]]
        for line, key in zip(lines[1:], of_lines, strict=True):
            if key == last or not line.endswith("\n"):
                break
            kept.append(line)
            self._cells.add(Cell(key[0], key[1], float(key[2]), int(key[3])))
        return "".join(kept)


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


def _line(row: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(row)
    return buffer.getvalue()
