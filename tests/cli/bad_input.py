"""Every kind of bad input as a user would give it; run as a script, it prints the table.

``PYTHONPATH=. python tests/cli/bad_input.py``, in a checkout, prints the table of
docs/results/bad-input.md. Each case gets a folder with good and bad files, types one command
there, and looks at what is left.
"""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_origin
from shapely import box

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from typed import done, typed

CHECKOUT = Path(__file__).resolve().parents[2]
PIXELS = np.random.default_rng(0)
TINY = {
    "recipe": "fastcut",
    "generator": {"width": 4, "blocks": 1},
    "discriminator": {"width": 4, "layers": 1},
    "patch_sampler": {"layers": ["stem.pad", "down2.conv"], "patches": 4, "projection": 8},
    "data": {"crop": {"load_size": None, "crop_size": 32}},
    "schedule": {"unit": "steps", "constant": 2, "decay": 0},
}


@dataclass(frozen=True)
class Case:
    """One wrong command line.

    Attributes:
        what: the fault, in a few words.
        command: what is typed after ``eo-contrast``.
        spoil: makes the fault, in the folder that :func:`good_files` filled.
        says: parts of the answer that name the place, the value found and the way out.
        exit_code: 2 for the user's input, 1 for the world.
        largest_file: bytes a file may have, as on a full disk; None: no limit.
    """

    what: str
    command: str
    says: tuple[str, ...]
    spoil: Callable[[Path], None] = lambda _: None
    exit_code: int = 2
    largest_file: int | None = None


@dataclass(frozen=True)
class Answer:
    """What a command answered, and what it changed on disk (paths added, altered or gone)."""

    exit_code: int
    stderr: str
    changed: tuple[str, ...]


def good_files(folder: Path) -> None:
    """Tiles, a configuration, a raster; all of them fine."""
    for split in ("train", "test"):
        for number in range(2):
            _save(folder / "tiles" / split / f"{number}.png", _noise(64, 128))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    _raster(folder / "scene.tif", bands=3, side=96)


def _two_folders(folder: Path) -> None:
    _save(folder / "two" / "trainA" / "1.png", _noise(64, 64))
    _save(folder / "two" / "trainB" / "1.png", _noise(64, 48))


def _damaged(folder: Path) -> None:
    whole = (folder / "tiles/train/1.png").read_bytes()
    (folder / "tiles/train/1.png").write_bytes(whole[: len(whole) // 2])


def _empty(folder: Path) -> None:
    (folder / "empty" / "train").mkdir(parents=True)
    (folder / "empty" / "train" / "notes.txt").write_text("no image")


def _thirteen_bands(folder: Path) -> None:
    _raster(folder / "thirteen.tif", bands=13, side=96)
    _model(folder / "model.safetensors")


def _cut_short(folder: Path) -> None:
    _model(folder / "model.safetensors")
    whole = (folder / "scene.tif").read_bytes()
    (folder / "short.tif").write_bytes(whole[: len(whole) // 2])


def _large_scene(folder: Path) -> None:
    _raster(folder / "large.tif", bands=3, side=600)


def _no_crs(folder: Path) -> None:
    _raster(folder / "plain.tif", bands=3, side=96, crs=None)
    _area(folder, west=500_020)


def _area_elsewhere(folder: Path) -> None:
    _area(folder, west=700_000)


def _area(folder: Path, *, west: float) -> None:
    square = box(west, 4_999_900, west + 50, 4_999_950)
    geopandas.GeoDataFrame(geometry=[square], crs="EPSG:32633").to_file(folder / "area.gpkg")


def _bomb(folder: Path) -> None:
    # A few kilobytes that declare 10^12 pixels.
    shape = {"width": 10**6, "height": 10**6, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    layout = {"tiled": True, "blockxsize": 16384, "blockysize": 16384, "BIGTIFF": "YES"}
    where = from_origin(0, 10**6, 1, 1)
    path = folder / "bomb.tif"
    with rasterio.open(path, "w", "GTiff", transform=where, SPARSE_OK=True, **shape, **layout):
        pass


def _tower(folder: Path) -> None:
    (folder / "tower.vrt").write_text(
        '<VRTDataset rasterXSize="100000" rasterYSize="2000000000">'
        "<SRS>EPSG:32633</SRS><GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )


def _half_done(folder: Path) -> None:
    _raster(folder / "tall.tif", bands=3, side=1200)
    half = "translate tall.tif map.tif --model identity --quiet --shard 0/2"
    done(half.split(), folder)


def _finished_run(folder: Path) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / "model.safetensors").write_text("mine")


def _foreign_checkpoint(folder: Path) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / "last.ckpt").write_text("no checkpoint")


def _written(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


TRAIN = "train-translator tiny.yaml --device cpu --quiet --out runs"
CASES = (
    Case(
        "folder without images",
        f"{TRAIN} --data empty",
        ("empty/train", "no image", ".png"),
        _empty,
    ),
    Case("no such folder", f"{TRAIN} --data absent", ("absent", "no such folder")),
    Case(
        "image that does not decode",
        f"{TRAIN} --data tiles",
        ("tiles/train/1.png", "not readable as an image", "replace or remove"),
        _damaged,
    ),
    Case(
        "pair of unequal size",
        f"{TRAIN} --data two",
        ("two/trainA/1.png", "64x64", "48x64", "one size"),
        _two_folders,
    ),
    Case(
        "unknown key in the configuration",
        f"{TRAIN} --data tiles --set generator.widht=8",
        ("generator.widht", "did you mean 'width'"),
    ),
    Case(
        "value outside of its range",
        f"{TRAIN} --data tiles --set data.crop.crop_size=30",
        ("data.crop.crop_size", "30", "multiple of 4"),
    ),
    Case(
        "unknown configuration",
        "train-translator fastcat --data tiles --out runs",
        ("fastcat", "fastcut"),
    ),
    Case(
        "crop larger than the tiles",
        f"{TRAIN} --data tiles --set data.crop.crop_size=128",
        ("tiles/train/", "64x64", "crop_size 128", "smaller crop_size"),
    ),
    Case(
        "run folder that exists",
        f"{TRAIN} --data tiles",
        ("runs", "already exists", "--overwrite"),
        _finished_run,
    ),
    Case(
        "checkpoint that is none",
        f"{TRAIN} --data tiles --resume",
        ("runs/last.ckpt", "checkpoint"),
        _foreign_checkpoint,
    ),
    Case(
        "resume without a checkpoint",
        f"{TRAIN} --data tiles --resume",
        ("runs/last.ckpt", "--resume"),
    ),
    Case(
        "model that is none",
        "translate scene.tif map.tif --model notes.safetensors",
        ("notes.safetensors", "model"),
        _written("notes.safetensors", "no model"),
    ),
    Case(
        "raster with other bands than the model's",
        "translate thirteen.tif map.tif --model model.safetensors",
        ("thirteen.tif", "13", "3", "--bands"),
        _thirteen_bands,
    ),
    Case(
        "raster cut short",
        "translate short.tif map.tif --model model.safetensors",
        ("short.tif",),
        _cut_short,
    ),
    Case(
        "raster that is none",
        "translate notes.tif map.tif --model identity",
        ("notes.tif", "raster"),
        _written("notes.tif", "no raster"),
    ),
    Case(
        "output that exists",
        "translate scene.tif map.tif --model identity",
        ("map.tif", "already exists", "--overwrite"),
        _written("map.tif", "mine"),
    ),
    Case(
        "output that is the source",
        "translate scene.tif scene.tif --model identity --overwrite",
        ("scene.tif", "source"),
    ),
    Case(
        "area for a raster without CRS",
        "translate plain.tif map.tif --model identity --aoi area.gpkg",
        ("plain.tif", "CRS"),
        _no_crs,
    ),
    Case(
        "area that lies elsewhere",
        "translate scene.tif map.tif --model identity --aoi area.gpkg",
        ("area.gpkg", "scene.tif"),
        _area_elsewhere,
    ),
    Case(
        "area that is no vector file",
        "translate scene.tif map.tif --model identity --aoi notes.gpkg",
        ("notes.gpkg",),
        _written("notes.gpkg", "no area"),
    ),
    Case(
        "bomb: 10^6 x 10^6 pixels in huge blocks",
        "translate bomb.tif map.tif --model identity",
        ("bomb.tif", "blocks", "MiB"),
        _bomb,
    ),
    Case(
        "more pixels than the disk has room for",
        "translate tower.vrt map.tif --model identity",
        ("map.tif", "GiB", "free"),
        _tower,
        exit_code=1,
    ),
    Case(
        "address that answers nothing",
        "translate http://127.0.0.1:9/scene.tif map.tif --model identity",
        ("http://127.0.0.1:9/scene.tif",),
    ),
    Case(
        "creation of an unknown format",
        "translate scene.tif map.tif --model identity --format jpeg",
        ("--format", "cog"),
    ),
    Case(
        "shard of how many is not said",
        "translate scene.tif map.tif --model identity --shard 3",
        ("--shard", "3"),
    ),
    Case(
        "merge of half the shards",
        "merge map.tif",
        ("map.tif",),
        _half_done,
    ),
    Case(
        "run gone on with other options",
        "translate tall.tif map.tif --model identity --resume --overlap 64",
        ("map.tif", "overlap"),
        _half_done,
    ),
    Case(
        "full disk under a map",
        "translate large.tif map.tif --model identity --quiet",
        ("map.tif", "free some space"),
        _large_scene,
        exit_code=1,
        largest_file=100_000,
    ),
    Case(
        "full disk under synthetic tiles",
        "synth sat2map made --pairs 4 --size 256",
        ("made", "free some space"),
        exit_code=1,
        largest_file=50_000,
    ),
    Case(
        "full disk under a training run",
        f"{TRAIN} --data tiles",
        ("runs", "free some space"),
        exit_code=1,
        largest_file=20_000,
    ),
    Case(
        "full disk under a checkpoint",
        f"{TRAIN} --data tiles --set watch.pictures=1",
        ("runs/last.ckpt", "free some space"),
        exit_code=1,
        largest_file=90_000,
    ),
    Case(
        "scores of folders that share no name",
        "evaluate translation --real tiles/train --fake tiles --paired",
        ("tiles",),
    ),
)


def answer(case: Case, folder: Path) -> Answer:
    """Type the command in ``folder``, which is empty, after its files are made."""
    good_files(folder)
    case.spoil(folder)
    before = dict(_contents(folder))
    words = shlex.split(case.command)
    if case.largest_file is None:
        ran = typed(words, folder)
        exit_code, stderr = ran.exit_code, ran.stderr
    else:
        exit_code, stderr = _limited(words, folder, case.largest_file)
    after = dict(_contents(folder))
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    return Answer(exit_code, stderr, tuple(sorted(changed)))


def _limited(words: list[str], folder: Path, largest_file: int) -> tuple[int, str]:
    """Exit code and standard error of a process that may write so many bytes a file."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    ran = subprocess.run(
        [sys.executable, "-m", "eo_contrast", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
        timeout=240,
    )
    return ran.returncode, ran.stderr


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def _noise(height: int, width: int) -> NDArray[np.uint8]:
    return PIXELS.integers(0, 256, (height, width, 3), np.uint8)


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _raster(path: Path, *, bands: int, side: int, crs: str | None = "EPSG:32633") -> None:
    values = PIXELS.integers(1, 256, (bands, side, side), np.uint8)
    transform = from_origin(500_000, 5_000_000, 2.0, 2.0)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=bands,
        dtype="uint8",
        crs=crs,
        transform=transform,
    ) as raster:
        raster.write(values)


def _model(path: Path) -> None:
    from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
    from eo_contrast.training.card import Card, save_model

    shape = GeneratorConfig(width=4, blocks=1)
    save_model(ResnetGenerator(shape), Card(architecture=shape, ground_resolution_m=2.0), path)


def _as_table() -> str:
    lines = [
        "| fault | typed after `eo-contrast` | answered | exit code | left on disk |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            given = answer(case, Path(folder))
        said = given.stderr.strip().replace("|", "\\|").replace("\n", " / ")
        left = ", ".join(_without_host(name) for name in given.changed) or "nothing new"
        lines.append(f"| {case.what} | `{case.command}` | {said} | {given.exit_code} | {left} |")
    return "\n".join(lines)


def _without_host(name: str) -> str:
    stem, found, _ = name.partition(".tfevents.")
    return stem + found + "*" if found else name


if __name__ == "__main__":
    print(_as_table())
