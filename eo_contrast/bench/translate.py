"""What translating costs apart from the network, and how well the network is kept busy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
import torch
from rasterio.transform import Affine
from rasterio.windows import Window

from eo_contrast.bench.inference_levers import measure_levers
from eo_contrast.bench.seams import measure_seams
from eo_contrast.inference.job import Job
from eo_contrast.inference.statistics import sample_tiles
from eo_contrast.inference.stream import as_tile
from eo_contrast.raster.pieces import BLOCK
from eo_contrast.raster.reader import BLOCK_CACHE_BYTES, open_raster
from eo_contrast.raster.writer import COG_OPTIONS
from eo_contrast.training.card import load_model
from eo_contrast.training.device import resolve_device
from eo_contrast.translate.apply import translate_raster
from eo_contrast.translate.finish import Finish
from eo_contrast.translate.job import TranslateOptions, prepare_job
from eo_contrast.translate.tile_models import IDENTITY, GeneratorTiles, Model, load_tile_model

OCTAVES = (512, 128, 32, 8)
BAND_SHIFT = 13
LEVER_BATCH = 2


def bench_engine(
    *, side: int, repeats: int, folder: Path | None = None, advance: Callable[[int], None]
) -> dict[str, Any]:
    """CPU seconds a megapixel of ``identity``, COG to COG, beside GDAL's own copy.

    Both read the same tiled ZSTD raster of bytes and write the same COG, turn by turn.

    Args:
        side: of the raster in pixels.
        folder: on the disk to be measured; None: where temporary files go.
        advance: told the number of rounds done.

    Returns: side, megapixels, engine_cpu_s_per_mpx, gdal_cpu_s_per_mpx (medians), ratio (the
        median of the rounds'), engine_wall_s, same_pixels.
    """
    rounds = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        source = _scene(Path(scratch) / "source.tif", side)
        model = load_tile_model(IDENTITY, torch.device("cpu"))
        ours, theirs = Path(scratch) / "ours.tif", Path(scratch) / "theirs.tif"
        for done in range(1, repeats + 1):
            engine = _timed(lambda: _engine(source, ours, model))
            gdal = _timed(lambda: _gdal(source, theirs))
            rounds.append((*engine, *gdal))
            advance(done)
        same = _same_pixels(ours, theirs)
    megapixels = side * side / 1e6
    engine_cpu, engine_wall, gdal_cpu, _ = (median(column) for column in zip(*rounds, strict=True))
    return {
        "side": side,
        "megapixels": round(megapixels, 3),
        "engine_cpu_s_per_mpx": round(engine_cpu / megapixels, 4),
        "gdal_cpu_s_per_mpx": round(gdal_cpu / megapixels, 4),
        "ratio": round(median(one[0] / one[2] for one in rounds), 3),
        "engine_wall_s": round(engine_wall, 2),
        "same_pixels": same,
    }


def bench_model(
    source: Path, model_name: str, device: str, *, tile: int | None, repeats: int
) -> dict[str, Any]:
    """A model on a raster: its share of the wall time, its seams, what makes it faster.

    Returns: translate (what :func:`~eo_contrast.translate.apply.translate_raster` tells, and
        network_share_of_wall), seams (under each norm), levers (on the CPU alone).
    """
    where = torch.device(resolve_device(device))
    model = load_tile_model(model_name, where)
    options = TranslateOptions(tile=tile)
    with open_raster(source) as (dataset, meta):
        job = prepare_job(dataset, meta, model, options, source)
    side = job.plan.tiling.tile
    norms: tuple[Literal["scene", "tile"], ...] = ("scene", "tile")
    seams = [measure_seams(job.opener, model, norm=norm, tile=side, overlap=None) for norm in norms]
    levers = _levers(job, model_name, repeats) if where.type == "cpu" and model.card else []
    return {
        "translate": _network_share(source, model, options),
        "seams": seams,
        "levers": levers,
    }


def _levers(job: Job, model_name: str, repeats: int) -> list[dict[str, Any]]:
    net, card = load_model(model_name)
    model = GeneratorTiles(net, card, torch.device("cpu"))
    with job.opener() as source:
        sample = sample_tiles(source, stride=model.stride)
        side = min(job.plan.tiling.tile, source.height, source.width)
        pixels = source.read(0, side, 0, side)
    if sample is None:
        return []
    statistics = model.scene_statistics(sample)
    tiles = model.scaled(as_tile(pixels, model.stride)).expand(LEVER_BATCH, -1, -1, -1)
    rows = measure_levers(net, statistics, tiles.contiguous(), repeats=repeats)
    return [asdict(row) for row in rows]


def _network_share(source: Path, model: Model, options: TranslateOptions) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "map.tif"
        told = translate_raster(source, out, model, options, finish=Finish(stac=False), quiet=True)
    seconds = told["seconds"]
    share = seconds["infer"] / seconds["total"]
    return {**told, "output": None, "network_share_of_wall": round(share, 4)}


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """CPU and wall seconds, all threads together."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def _engine(source: Path, out: Path, model: Model) -> None:
    finish = Finish(stac=False)
    options = TranslateOptions()
    translate_raster(source, out, model, options, finish=finish, overwrite=True, quiet=True)


def _gdal(source: Path, out: Path) -> None:
    out.unlink(missing_ok=True)
    with rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_BYTES):
        rasterio.shutil.copy(str(source), str(out), driver="COG", **COG_OPTIONS)


def _scene(path: Path, side: int) -> Path:
    """A raster with the texture of an aerial image: noise of many scales, and grain."""
    rng = np.random.default_rng(0)
    rows = min(side, 4 * BLOCK)
    relief = np.zeros((rows, side), np.float32)
    for scale in OCTAVES:
        coarse = rng.normal(size=(rows // scale + 1, side // scale + 1)).astype(np.float32)
        fine = np.repeat(np.repeat(coarse, scale, axis=0), scale, axis=1)
        relief += 2 * scale**0.5 * fine[:rows, :side]
    grain = rng.normal(scale=2, size=relief.shape)
    plane = np.clip(120 + relief + grain, 0, 255).astype(np.uint8)
    profile = {"width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True}
    profile |= {"blockxsize": BLOCK, "blockysize": BLOCK, "compress": "ZSTD", "predictor": 2}
    profile |= {"crs": "EPSG:32633", "transform": Affine(1, 0, 5e5, 0, -1, 5e6)}
    with rasterio.open(path, "w", driver="GTiff", photometric="RGB", **profile) as dataset:
        for top in range(0, side, rows):
            height = min(rows, side - top)
            bands = [np.roll(plane, top + BAND_SHIFT * band, axis=1)[:height] for band in range(3)]
            dataset.write(np.stack(bands), window=Window(0, top, side, height))
    return path


def _same_pixels(one: Path, other: Path) -> bool:
    with rasterio.open(one) as a, rasterio.open(other) as b:
        windows = [window for _, window in a.block_windows(1)]
        return all(np.array_equal(a.read(window=w), b.read(window=w)) for w in windows)
