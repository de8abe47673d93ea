"""A file of embeddings: the rows of a catalogue, each with its vector, and what made them.

It is a catalogue itself (stac-geoparquet), so its images can be read and drawn again; the columns
``embedding`` (a list of fixed length, float32) and ``embedding_sensor`` stand beside the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eo_contrast.catalog.grids import Row
from eo_contrast.catalog.table import SCHEMA
from eo_contrast.errors import InputError
from eo_contrast.files import whole_file

EMBEDDING, EMBEDDING_SENSOR = "embedding", "embedding_sensor"
KEY = "eo_contrast.embeddings"
ROWS_A_GROUP = 4096
TEXT = pa.string()

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Embeddings:
    """A file of embeddings.

    Attributes:
        facts: what made them: model_sha256, width, size, architecture, sensors, trained.
        table: all columns but the vectors.
        sensors: of each row, which of the encoder's sensors it was seen by.
    """

    path: Path
    facts: dict[str, Any]
    table: pa.Table
    sensors: Sequence[str]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def row(self, number: int) -> Row:
        """A row as the catalogue has it."""
        found: Row = self.table.slice(number, 1).to_pylist()[0]
        return found

    def batches(self) -> Iterator[Vectors]:
        """Vectors (n, width) of all rows in order, a few thousand at a time."""
        width = int(self.facts["width"])
        file = pq.ParquetFile(self.path)
        for batch in file.iter_batches(ROWS_A_GROUP, columns=[EMBEDDING]):
            flat = batch.column(EMBEDDING).flatten()
            yield np.asarray(flat, dtype=np.float32).reshape(-1, width)

    def vectors(self, numbers: NDArray[np.int64]) -> Vectors:
        """Vectors (len(numbers), width) of these rows, which rise."""
        found, start = [], 0
        for batch in self.batches():
            first, past = np.searchsorted(numbers, [start, start + len(batch)])
            found.append(batch[numbers[first:past] - start])
            start += len(batch)
        return np.concatenate(found)


def open_embeddings(path: Path) -> Embeddings:
    """Read all of a file but its vectors.

    Raises: InputError: no such file, or not one that ``embed`` made.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; make one with eo-contrast embed")
    try:
        table = pq.read_table(path, columns=[*SCHEMA.names, EMBEDDING_SENSOR])
        facts = json.loads((table.schema.metadata or {})[KEY.encode()])
        sensors = table.column(EMBEDDING_SENSOR).to_pylist()
        int(facts["width"])
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: holds no embeddings; give a .parquet file that eo-contrast embed made"
        ) from error
    return Embeddings(path, facts, table.select(SCHEMA.names), sensors)


@contextmanager
def new_embeddings(
    path: Path, width: int, facts: dict[str, Any], metadata: dict[bytes, bytes]
) -> Iterator[Callable[[pa.Table, Vectors, Sequence[str]], None]]:
    """Yield a function that adds rows, their vectors and sensors; the file appears at the end.

    Args:
        metadata: of the catalogue's table, which is kept: it says which column is geometry.

    Raises: WorldError: the disk is full or failing.
    """
    more = [pa.field(EMBEDDING, pa.list_(pa.float32(), width)), pa.field(EMBEDDING_SENSOR, TEXT)]
    told = metadata | {KEY.encode(): json.dumps(facts, sort_keys=True).encode()}
    schema = pa.schema([*SCHEMA, *more], metadata=told)
    with whole_file(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as file:
        pending: list[pa.Table] = []

        def add(rows: pa.Table, vectors: Vectors, sensors: Sequence[str]) -> None:
            """Rows of a catalogue with a vector (N, width) each, and the sensor that it is of."""
            flat = pa.array(np.ascontiguousarray(vectors).ravel(), pa.float32())
            columns = [
                *rows.columns,
                pa.FixedSizeListArray.from_arrays(flat, width),
                pa.array(sensors, TEXT),
            ]
            pending.append(pa.table(columns, schema=schema))
            if sum(table.num_rows for table in pending) >= ROWS_A_GROUP:
                write()

        def write() -> None:
            file.write_table(pa.concat_tables(pending).combine_chunks())
            pending.clear()

        yield add
        if pending:
            write()
