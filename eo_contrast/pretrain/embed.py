"""One vector an image of a catalogue, in one process or on a dask cluster, with the same bytes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from eo_contrast.catalog.grids import Row
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.cluster import connected, results_in_order
from eo_contrast.errors import InputError
from eo_contrast.files import locked, refuse_existing
from eo_contrast.pretrain.eaters import Eaters, choose_eaters
from eo_contrast.pretrain.embeddings import new_embeddings
from eo_contrast.pretrain.image_vectors import NoVector, Vector, image_vectors
from eo_contrast.progress import progress
from eo_contrast.training.card import model_file
from eo_contrast.training.device import resolve_device
from eo_contrast.training.encoder_card import (
    EncoderCard,
    SensorEncoders,
    load_encoder,
    read_encoder_card,
)

CHUNK = 128
"""Rows that are embedded together, cut by the catalogue's order alone."""
CHUNKS_A_WORKER = 2

Result = list[Vector | NoVector]


@dataclass(frozen=True)
class EmbedOptions:
    """What a user says beside catalogue, model and output.

    Attributes:
        sensors: of the model, that are to see; empty: all.
        scheduler: address of a dask cluster that sees the same files and does the work.
    """

    sensors: tuple[str, ...] = ()
    device: str = "auto"
    scheduler: str | None = None
    overwrite: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class _Order:
    """What a worker needs to know beside the rows; a changed model is another one."""

    model: Path
    modified_ns: int
    device: str
    eaters: tuple[tuple[str, tuple[str, ...]], ...]


def embed(catalogue: Path, model: Path, out: Path, options: EmbedOptions) -> dict[str, Any]:
    """Write the rows of a catalogue that an encoder's sensors eat, each with its vector.

    Other rows, and images that show nothing, are skipped; an image that cannot be read stops
    nothing.

    Returns: output, rows, skipped, failed (a list of {id, error}), width, seconds.
    Raises:
        InputError: no encoder or catalogue, products or bands that do not fit, an output that
            exists, or no image that could be embedded.
        WorldError: the disk is full or failing, or the cluster lost its workers.
    """
    began = time.monotonic()
    refuse_existing(out, overwrite=options.overwrite)
    if out.resolve() == catalogue.resolve():
        raise InputError(f"--out {out}: is the catalogue itself; give another name")
    card = read_encoder_card(model)
    table = read_catalogue(catalogue)
    eaters = choose_eaters(card, table, options.sensors, catalogue)
    products = table.column("product").to_pylist()
    eaten = table.take([number for number, name in enumerate(products) if name in eaters])
    order = _order(model, options, eaters)
    net, _ = _loaded(order.model, order.modified_ns, "cpu" if options.scheduler else order.device)
    width = net.width * len(next(iter(eaters.values())))
    facts = _facts(card, order.model, width)
    failed: list[dict[str, str]] = []
    rows = 0
    with (
        locked(out),
        closing(_results(order, eaten, options.scheduler)) as results,
        progress("embed", eaten.num_rows, unit="images", quiet=options.quiet) as advance,
        new_embeddings(out, width, facts, dict(table.schema.metadata or {})) as add,
    ):
        for begin, result in zip(range(0, eaten.num_rows, CHUNK), results, strict=True):
            chunk = eaten.slice(begin, CHUNK)
            rows += _add(add, chunk, result, eaters)
            failed += _failures(chunk, result)
            advance(begin + chunk.num_rows)
        if not rows:
            raise InputError(_nothing(catalogue, failed))
    return {
        "output": str(out),
        "rows": rows,
        "skipped": table.num_rows - rows - len(failed),
        "failed": failed,
        "width": width,
        "seconds": round(time.monotonic() - began, 3),
    }


def _order(model: Path, options: EmbedOptions, eaters: Eaters) -> _Order:
    # Absolute: a worker stands in another folder.
    file = model_file(model).resolve()
    return _Order(file, file.stat().st_mtime_ns, options.device, tuple(eaters.items()))


def _facts(card: EncoderCard, file: Path, width: int) -> dict[str, Any]:
    """What made the vectors, without a word on where it lay."""
    told = card.model_dump(mode="json")
    return {
        "version": 1,
        "model_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "width": width,
        **{name: told[name] for name in ("architecture", "size", "sensors", "trained")},
    }


def _add(
    add: Callable[[pa.Table, Any, Sequence[str]], None],
    chunk: pa.Table,
    result: Result,
    eaters: Eaters,
) -> int:
    """Hand on the rows of a chunk that have vectors; how many these are."""
    vectors = {k: each for k, each in enumerate(result) if not isinstance(each, NoVector)}
    if vectors:
        kept = chunk.take(list(vectors))
        names = ["+".join(eaters[product]) for product in kept.column("product").to_pylist()]
        add(kept, np.stack(list(vectors.values())), names)
    return len(vectors)


def _failures(chunk: pa.Table, result: Result) -> list[dict[str, str]]:
    ids = chunk.column("id").to_pylist()
    return [
        {"id": name, "error": each.reason}
        for name, each in zip(ids, result, strict=True)
        if isinstance(each, NoVector) and each.damaged
    ]


def _nothing(catalogue: Path, failed: Sequence[dict[str, str]]) -> str:
    if not failed:
        return f"{catalogue}: none of its images has a pixel with data"
    first = failed[0]
    return f"{catalogue}: no image could be embedded; the first is {first['id']}: {first['error']}"


def _results(order: _Order, rows: pa.Table, scheduler: str | None) -> Generator[Result, None, None]:
    """Vectors of the rows, a chunk after another."""
    chunks = (rows.slice(at, CHUNK).to_pylist() for at in range(0, rows.num_rows, CHUNK))
    if scheduler is None:
        yield from (embed_chunk(order, chunk) for chunk in chunks)
    else:
        yield from _on_cluster(order, chunks, scheduler)


def _on_cluster(order: _Order, chunks: Iterator[list[Row]], address: str) -> Iterator[Result]:
    """Results in the order of the chunks."""
    with connected(address) as cluster:
        calls = ((embed_chunk, order, chunk) for chunk in chunks)
        yield from results_in_order(cluster, address, calls, a_worker=CHUNKS_A_WORKER)


_loading = threading.Lock()


def embed_chunk(order: _Order, rows: list[Row]) -> Result:
    """Vectors of a chunk, by a model that this process loads once; what a worker runs."""
    with _loading:
        net, card = _loaded(order.model, order.modified_ns, order.device)
    return image_vectors(net, card, dict(order.eaters), rows)


@lru_cache(maxsize=1)
def _loaded(model: Path, _modified_ns: int, device: str) -> tuple[SensorEncoders, EncoderCard]:
    net, card = load_encoder(model)
    return net.to(resolve_device(device)), card
