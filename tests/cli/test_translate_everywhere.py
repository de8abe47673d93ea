"""The same bytes however it is run: processes, shards, a dask cluster, killed and resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).parent.parent))

from dask_cluster import dask_cluster
from raster_factory import UTM_10M, write_raster
from translate_runs import (
    command,
    environment,
    killed_midway,
    names,
    tiny_model,
    wait_for_piece,
)
from typed import typed

HEIGHT, WIDTH = 2300, 300  # five pieces
TILES = ("--tile", "256", "--quiet", "--no-stac")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] / 20
    waves = [np.sin(rows + columns), np.cos(rows), np.sin(columns)]
    values = (127 + 100 * np.stack(waves)).astype(np.uint8)
    values[:, 600:700, 50:90] = 0
    return write_raster(tmp_path_factory.mktemp("scene") / "a.tif", values, nodata=0, **UTM_10M)


@pytest.fixture(scope="module")
def expected(scene: Path, model: Path) -> bytes:
    out = scene.parent / "expected.tif"
    translated(scene, out, model)
    return out.read_bytes()


def translated(scene: Path, out: Path, model: Path, *words: str, **more: str) -> None:
    done = typed(["translate", scene, out, "--model", model, *TILES, *words], **more)
    assert done.exit_code == 0, done.stderr


def test_two_processes(scene: Path, model: Path, expected: bytes, tmp_path: Path) -> None:
    translated(scene, tmp_path / "b.tif", model, "--workers", "2")
    assert (tmp_path / "b.tif").read_bytes() == expected
    assert names(tmp_path) == ["b.tif"]


def test_shards_of_an_array_and_merge(
    scene: Path, model: Path, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "b.tif"
    translated(scene, out, model, "--shard", "2/3")
    lacking = typed(["merge", out])
    assert lacking.exit_code == 2
    assert lacking.stderr.startswith(f"error: {out}: 3 of 5 pieces are missing")
    for task in ("5", "7"):  # numbers 0 and 2 of an array 5-7; the run above was number 2 of 3
        slurm = {"ID": task, "COUNT": "3", "MIN": "5"}
        array = {f"SLURM_ARRAY_TASK_{key}": value for key, value in slurm.items()}
        translated(scene, out, model, **array)
    translated(scene, out, model, "--shard", "1/3")
    assert typed(["merge", out]).exit_code == 0
    assert out.read_bytes() == expected
    assert names(tmp_path) == ["b.tif"]


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_goes_on_with_resume(
    scene: Path, model: Path, expected: bytes, tmp_path: Path, by: int
) -> None:
    out = tmp_path / "b.tif"
    words = ("translate", scene, out, "--model", model, *TILES)
    assert killed_midway(out, *words, by=by) == (75 if by == signal.SIGTERM else -by)
    assert not out.exists()
    refused = typed(words)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    other = typed([*words, "--resume", "--overlap", "64"])
    assert other.exit_code == 2
    assert "--overlap not given, this one 64" in other.stderr
    assert typed([*words, "--resume"]).exit_code == 0
    assert out.read_bytes() == expected
    assert names(tmp_path) == ["b.tif"]


def test_a_dask_cluster_one_of_whose_workers_dies(
    scene: Path, model: Path, expected: bytes, tmp_path: Path
) -> None:
    place = tmp_path / "cluster"
    place.mkdir()
    out = tmp_path / "b.tif"
    with dask_cluster(place) as (address, workers):
        translated(scene, tmp_path / "a.tif", model, "--scheduler", address)
        words = ("translate", scene, out, "--model", model, *TILES, "--scheduler", address)
        running = subprocess.Popen(command(*words), env=environment())
        wait_for_piece(out)
        workers[0].kill()
        assert running.wait(timeout=120) == 0
    assert (tmp_path / "a.tif").read_bytes() == expected
    assert out.read_bytes() == expected
    assert names(tmp_path) == ["a.tif", "b.tif", "cluster"]


def test_a_scheduler_that_is_not_there_is_named(
    scene: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eo_contrast.cluster.CONNECT_SECONDS", 1)
    words = ("translate", scene, tmp_path / "b.tif", "--model", model)
    done = typed([*words, "--scheduler", "tcp://127.0.0.1:9", "--quiet"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: --scheduler tcp://127.0.0.1:9: no dask scheduler")
    assert names(tmp_path) == []


def test_the_scene_is_not_one_colour(expected: bytes) -> None:
    with rasterio.MemoryFile(expected) as memory, memory.open() as dataset:
        assert dataset.read().std() > 5
        assert (dataset.dataset_mask() == 0).sum() == 100 * 40
