"""What ``translate`` refuses before it does any work, and how a folder's run ends early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.cli import main
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.training.card import Card, save_model

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*words: str | Path, model: str | Path = "identity") -> Result:
    return CliRunner().invoke(main, ["translate", *map(str, words), "--model", str(model)])


def refused(tmp_path: Path, *words: str | Path, model: str | Path = "identity") -> str:
    """The one line that a command is refused with; it must leave no file."""
    before = sorted(tmp_path.rglob("*"))
    result = run(*words, model=model)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    return result.stderr


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "a.tif", random_values(3, 60, 50), **UTM_10M)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a", "b"):
        write_raster(folder / f"{name}.tif", random_values(3, 20, 30), **UTM_10M)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = ResnetGenerator(GeneratorConfig(width=4, blocks=1))
    save_model(net, Card(architecture=net.config), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture
def array(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the second task of a Slurm array of three."""
    for name, value in {"ID": 1, "COUNT": 3, "MIN": 0, "MAX": 2, "STEP": 1}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))


def test_parts_of_several_rasters_are_refused(tmp_path, folder):
    said = refused(tmp_path, folder, tmp_path / "maps", "--shard", "0/2")
    assert "--shard: parts are of one raster" in said
    assert "--workers" in said
    assert "of one raster" in refused(tmp_path, folder / "*.tif", tmp_path / "m", "--shard", "1/2")


def test_the_tasks_of_an_array_do_not_all_do_the_same_folder(tmp_path, folder, array):
    said = refused(tmp_path, folder, tmp_path / "maps")
    assert "each task of this Slurm array would do them all" in said
    assert "unset SLURM_ARRAY_TASK_ID" in said


def test_an_array_s_task_says_that_it_does_a_part(tmp_path, source, array):
    result = run(source, tmp_path / "b.tif")
    assert result.exit_code == 0, result.output
    assert "part 1/3, as task of a Slurm array; unset SLURM_ARRAY_TASK_ID" in result.stderr
    assert "'merge' joins them" in result.stdout
    assert not (tmp_path / "b.tif").exists()


@pytest.mark.parametrize("kind", ["xyz", "mbtiles", "pmtiles"])
def test_a_page_of_a_map_that_is_tiles_is_refused(tmp_path, source, kind):
    out = tmp_path / ("tiles" if kind == "xyz" else f"b.{kind}")
    words = ("--format", kind, "--report", tmp_path / "p.html")
    assert f"--format {kind} makes tiles" in refused(tmp_path, source, out, *words)
    assert "makes tiles" in refused(tmp_path, source, out, *words, "--truth", source)


def test_a_page_of_a_picture_is_written(tmp_path, source):
    words = ("--format", "png", "--report", tmp_path / "p.html", "--truth", source)
    assert run(source, tmp_path / "b.png", *words).exit_code == 0
    assert (tmp_path / "p.html").exists()


@pytest.mark.parametrize(
    "words", [("--grid", "model"), ("--norm", "tile"), ("--norm", "scene"), ("--precision", "fp32")]
)
def test_a_copy_takes_no_options_of_networks(tmp_path, source, words):
    said = refused(tmp_path, source, tmp_path / "b.tif", *words)
    assert f"{words[0]}: does nothing with --model identity, a copy; leave it out" in said


@pytest.mark.parametrize("kind", ["xyz", "mbtiles", "pmtiles"])
@pytest.mark.parametrize("option", ["--compat", "--stac"])
def test_tiles_take_no_options_of_rasters(tmp_path, source, kind, option):
    out = tmp_path / ("tiles" if kind == "xyz" else f"b.{kind}")
    said = refused(tmp_path, source, out, "--format", kind, option)
    assert f"{option}: does nothing with --format {kind}" in said


def test_options_that_do_something_or_were_not_given_are_taken(tmp_path, source, model):
    words = ("--norm", "scene", "--grid", "model", "--precision", "fp32", "--compat", "--quiet")
    assert run(source, tmp_path / "b.tif", *words, model=model).exit_code == 0
    # No Item is what the tiles get, with or without the wish.
    result = run(source, tmp_path / "tiles", "--format", "xyz", "--no-stac")
    assert result.exit_code == 0, result.output


def test_results_within_the_sources_are_no_sources_of_the_next_run(tmp_path, folder):
    nested = tmp_path / "nested"
    (nested / "deeper").mkdir(parents=True)
    (folder / "a.tif").rename(nested / "deeper" / "a.tif")
    for more in ((), ("--overwrite",)):
        result = run(nested, nested / "maps", "--json", "--quiet", *more)
        assert result.exit_code == 0, result.output
        assert len(json.loads(result.stdout)["files"]) == 1


def test_sigterm_ends_a_folder_s_run_with_75_and_resume_goes_on(tmp_path, folder, model):
    for name in ("a", "b"):
        tall = np.broadcast_to(random_values(3, 1, 200), (3, 2300, 200))
        write_raster(folder / f"{name}.tif", tall, **UTM_10M)
    out = tmp_path / "maps"
    words = [sys.executable, "-m", "eo_contrast", "translate", str(folder), str(out)]
    words += ["--model", str(model), "--tile", "128", "--quiet", "--no-stac"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not list(out.glob(".a.tif.parts/*/*.tif")) and time.monotonic() < end:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert "interrupted at" in said
    assert "0 of 2 rasters are done, --resume goes on from there" in said
    assert not list(out.glob("*.tif"))
    again = subprocess.run([*words, "--resume"], env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in out.iterdir()) == ["a.tif", "b.tif"]
