"""Samples a second that loaders give, beside what reading the same bytes takes.

All over the same synthetic archive in the layout of SSL4EO-S12 v1: ours from a pack and from the
files, torchgeo's data set, and the loop that one writes by hand.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from eo_contrast.bands import ORDERS
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.pack import plan_pack, write_pack
from eo_contrast.catalog.packed import open_pack
from eo_contrast.data.place_batches import Draw, PlaceBatch, Slot, place_batches
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan

PRODUCT = "s2-l1c"
FOLDER = "s2c"
LEAST_SECONDS = 4.0
SPELLED = tuple(name.replace("B0", "B") for name in ORDERS["ssl4eo-s2c"])
ENDLESS = 1 << 40


@dataclass(frozen=True)
class LoaderBench:
    """What is measured.

    Attributes:
        places: of the archive; each has one image of 13 bands.
        size: its side in pixels of 10 m.
        batch_size: samples a batch.
        workers: processes of each loader that takes them.
        rounds: times that all are measured, in turn; the best of each counts.
    """

    places: int = 64
    size: int = 264
    batch_size: int = 16
    workers: int = 2
    rounds: int = 3


def bench_loader(
    bench: LoaderBench, advance: Callable[[int, str], None] = lambda _done, _what: None
) -> dict[str, Any]:
    """Measure loaders in turn, several rounds, over one archive made for it.

    Args:
        advance: told the number of measurements done, and which.

    Returns: samples_per_s (by reader), ratios (ours to the raw reading of the same files, to
        torchgeo's and to the plain loop; absent where torchgeo is not installed), stall (share of
        a training loop's time that it waits for a batch from the pack), bytes_a_sample.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = ArchivePlan(places=bench.places, dates=1, size=bench.size)
        write_archive(folder / "archive", "ssl4eo-v1", plan, lambda *_: None)
        ingest(folder / "archive", folder / "catalogue.parquet")
        write_pack(plan_pack(folder / "catalogue.parquet"), folder / "pack")
        readers = _readers(folder, bench)
        best = dict.fromkeys(readers, 0.0)
        for done, (_, what) in enumerate(itertools.product(range(bench.rounds), readers), start=1):
            best[what] = max(best[what], _rate(readers[what](), bench.batch_size))
            advance(done, what)
        stall = _stall(folder / "pack", bench)
    return {
        "samples_per_s": {what: round(rate, 1) for what, rate in best.items()},
        "ratios": _ratios(best),
        "stall": round(stall, 4),
        "bytes_a_sample": len(SPELLED) * bench.size**2 * 2,
    }


def measurements(bench: LoaderBench) -> int:
    """How many measurements :func:`bench_loader` tells of."""
    return bench.rounds * len(_readers(Path(), bench))


def _readers(folder: Path, bench: LoaderBench) -> dict[str, Callable[[], Iterator[Any]]]:
    draw = Draw((Slot("view", PRODUCT),), batch_size=bench.batch_size)
    archive, pack = folder / "archive", folder / "pack"

    def ours(path: Path, workers: int) -> Iterator[PlaceBatch]:
        return place_batches(path, draw, 0, ENDLESS, workers=workers)

    def loaded(dataset: Dataset[Any]) -> Iterator[Any]:
        return iter(
            DataLoader(
                dataset,
                batch_size=bench.batch_size,
                num_workers=bench.workers,
                sampler=list(range(bench.places)) * 1000,
            )
        )

    readers: dict[str, Callable[[], Iterator[Any]]] = {
        "raw: the pack's bytes": lambda: _raw_pack(pack, bench),
        "ours: pack, counts": lambda: ours(pack, 0),
        "ours: pack, values": lambda: (batch.values("view") for batch in ours(pack, 0)),
        "raw: the files decoded": lambda: loaded(_Decoded(archive)),
        "ours: files, counts": lambda: ours(folder / "catalogue.parquet", bench.workers),
        "plain data set of the files": lambda: loaded(_Plain(archive, bench.size)),
    }
    torchgeo = _torchgeo()
    if torchgeo is not None:
        readers["torchgeo's data set"] = lambda: loaded(torchgeo(archive))
    return readers


def _ratios(rates: dict[str, float]) -> dict[str, float]:
    named = {
        "pack to raw": ("ours: pack, counts", "raw: the pack's bytes"),
        "files to raw": ("ours: files, counts", "raw: the files decoded"),
        "pack's values to plain": ("ours: pack, values", "plain data set of the files"),
        "files to plain": ("ours: files, counts", "plain data set of the files"),
        "pack's values to torchgeo": ("ours: pack, values", "torchgeo's data set"),
        "files to torchgeo": ("ours: files, counts", "torchgeo's data set"),
    }
    return {
        name: round(rates[one] / rates[other], 3)
        for name, (one, other) in named.items()
        if other in rates
    }


def _rate(batches: Iterator[Any], batch_size: int) -> float:
    """Samples a second over at least ``LEAST_SECONDS``, from the second batch on."""
    next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < LEAST_SECONDS:
        next(batches)
        count += batch_size
    rate = count / (time.perf_counter() - start)
    del batches
    return rate


def _raw_pack(pack: Path, bench: LoaderBench) -> Iterator[Any]:
    """The pack's rows in a random order, read as bytes into one array a batch."""
    array = open_pack(pack).arrays[PRODUCT]
    row = int(array[0].nbytes)
    order = np.random.default_rng(0)
    with (pack / f"{PRODUCT}.npy").open("rb", buffering=0) as file:
        begin = file.seek(0, 2) - row * len(array)
        while True:
            batch = np.empty((bench.batch_size, row), np.uint8)
            for place, target in zip(
                order.integers(len(array), size=len(batch)), batch, strict=True
            ):
                file.seek(begin + int(place) * row)
                file.readinto(target.data)
            yield batch


def _scene(root: Path, place: int) -> Path:
    return next((root / FOLDER / f"{place:07}").iterdir())


class _Decoded(Dataset[int]):
    """Every file of an image opened and decoded, and nothing done with it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, place: int) -> int:
        total = 0
        for name in SPELLED:
            with rasterio.open(_scene(self._root, place) / f"{name}.tif") as dataset:
                total += dataset.read(1).size
        return total


class _Plain(Dataset[Tensor]):
    """The loop that one writes: open each band, enlarge the coarse ones, stack."""

    def __init__(self, root: Path, size: int) -> None:
        self._root, self._size = root, size

    def __getitem__(self, place: int) -> Tensor:
        bands = []
        for name in SPELLED:
            with rasterio.open(_scene(self._root, place) / f"{name}.tif") as dataset:
                band = torch.from_numpy(dataset.read(1).astype(np.float32))
            if band.shape[0] != self._size:
                enlarged = F.interpolate(band[None, None], size=self._size, mode="bilinear")
                band = enlarged[0, 0]
            bands.append(band)
        return torch.stack(bands) / 10_000


def _torchgeo() -> Callable[[Path], Dataset[Any]] | None:
    """torchgeo's data set of this layout; None where torchgeo is not installed."""
    try:
        datasets = import_module("torchgeo.datasets")
    except ImportError:
        return None

    def data_set(root: Path) -> Dataset[Any]:
        found: Dataset[Any] = datasets.SSL4EOS12(str(root), split=FOLDER, seasons=1)
        return found

    return data_set


def _stall(pack: Path, bench: LoaderBench, steps: int = 20) -> float:
    """Share of the time of ``steps`` training steps that was spent waiting for batches.

    The step is that of a small convolutional encoder on crops of 224 pixels at most.
    """
    crop = min(224, bench.size)
    draw = Draw((Slot("view", PRODUCT),), batch_size=bench.batch_size, crop=crop)
    encoder = _encoder(len(SPELLED))
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1e-3)
    batches = place_batches(pack, draw, 0, steps + 1)
    _step(encoder, optimizer, next(batches))
    waited, start = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        _step(encoder, optimizer, batch)
    return waited / (time.perf_counter() - start)


def _encoder(bands: int) -> nn.Module:
    widths: Sequence[int] = (bands, 32, 64, 128)
    layers: list[nn.Module] = []
    for narrow, wide in itertools.pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), nn.BatchNorm2d(wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _step(encoder: nn.Module, optimizer: torch.optim.Optimizer, batch: PlaceBatch) -> None:
    values, _ = batch.values("view")
    loss = encoder(values).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
