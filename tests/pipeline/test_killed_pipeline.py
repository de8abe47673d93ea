"""A pipeline killed in the middle of any stage ends with the bytes of one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from killed import wait_for
from pipelines_killed import contents, killed, run, taken_back

from eo_contrast.pipeline.record import read_record

STAGES = {
    "archive": {
        "kind": "synth", "layout": "ssl4eo-v1", "places": 6, "dates": 2, "size": 16,
        "out": "archive",
    },
    "catalogue": {"kind": "ingest", "root": "archive", "out": "archive.parquet"},
    "split": {
        "catalogue": "archive.parquet", "block_km": 50, "fractions": [1, 0, 0],
        "out": "split.parquet",
    },
    "pack": {"catalogue": "split.parquet", "out": "packed"},
    "pretrain": {
        "config": "simclr_small",
        "set": {
            "graph": {"sensors": {"image": {"product": "s2-l2a"}}},
            "data": {"size": 16, "batch_size": 2},
            "encoder": {"stem": "small"},
            "save_every": 2,
            "log_every": 1,
        },
        "data": "packed",
        "steps": 5,
        "out": "encoder",
    },
}  # fmt: skip
PREPARING = ["archive", "catalogue", "split", "pack"]


def write(folder: Path, stages: list[str]) -> None:
    values = {"stages": {name: STAGES[name] for name in stages}}
    (folder / "small.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that ran undisturbed."""
    folder = tmp_path_factory.mktemp("prepared")
    write(folder, PREPARING)
    assert run(folder) == PREPARING
    return folder


@pytest.mark.parametrize("stage", ["catalogue", "split", "pack"])
def test_killed_in_a_stage_and_run_again_the_bytes_are_the_same(prepared: Path, stage: str) -> None:
    straight = contents(prepared / "out")
    out = str(STAGES[stage]["out"])
    taken_back(prepared, stage, out)
    killed(prepared, out)
    assert not (prepared / "out" / out).exists()
    record = read_record(prepared / "out", stage)
    assert record is not None
    assert not record.done
    assert run(prepared) == [stage]
    assert contents(prepared / "out") == straight
    assert not list((prepared / "out").glob(".*.partial*"))


def test_killed_while_the_archive_is_made_all_is_the_same_but_times(
    prepared: Path, tmp_path: Path
) -> None:
    write(tmp_path, PREPARING)
    killed(tmp_path, "archive")
    assert not (tmp_path / "out" / "archive").exists()
    assert run(tmp_path) == PREPARING
    straight, broken = contents(prepared / "out"), contents(tmp_path / "out")
    assert straight.keys() == broken.keys()
    for name, content in straight.items():
        if name.endswith("/places.parquet") or not name.endswith(".parquet"):
            assert broken[name] == content, name
    # A catalogue tells where its images lie, and when they were written.
    for name in ("archive.parquet", "split.parquet"):
        tables = [pq.read_table(each / "out" / name) for each in (prepared, tmp_path)]
        kept = [each for each in tables[0].column_names if each not in PLACED]
        assert tables[0].select(kept) == tables[1].select(kept)


PLACED = ("href", "assets", "source_modified_ns")


def test_killed_before_and_after_the_first_checkpoint_a_training_is_the_same(
    prepared: Path,
) -> None:
    write(prepared, [*PREPARING, "pretrain"])
    killed(prepared, "last.ckpt")
    assert (prepared / "out" / "encoder" / ".last.partial.ckpt").exists()
    killed(prepared, "last.ckpt", times=2)
    assert (prepared / "out" / "encoder" / "last.ckpt").exists()
    assert not (prepared / "out" / "encoder" / "model.safetensors").exists()
    assert run(prepared) == ["pretrain"]
    broken = contents(prepared / "out")
    taken_back(prepared, "pretrain", "encoder")
    assert run(prepared) == ["pretrain"]
    assert contents(prepared / "out") == broken
    assert run(prepared) == []
    assert "encoder/model.safetensors" in broken


DRAWING = {
    "tiles": {
        "kind": "synth", "layout": "sat2map", "pairs": 2, "size": 32, "scene_size": 64,
        "out": "tiles",
    },
    "train": {
        "kind": "train_translator",
        "config": "fastcut-small",
        "set": {
            "generator": {"width": 4, "blocks": 1},
            "discriminator": {"width": 4, "layers": 1},
            "patch_sampler": {"layers": ["stem.pad", "down2.conv"], "patches": 4},
            "data": {"crop": {"load_size": None, "crop_size": 32}, "palette": "osm16"},
            "save_every": 1,
        },
        "steps": 3,
        "data": "tiles",
        "out": "translator",
    },
    "draw": {"kind": "translate", "source": "tiles/scene.tif", "model": "translator",
             "out": "map.tif"},
    "score": {"kind": "evaluate", "map": "map.tif", "truth": "tiles/scene_map.tif",
              "out": "scores.json"},
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline to a scored map that ran undisturbed."""
    folder = tmp_path_factory.mktemp("drawn")
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump({"stages": DRAWING}, sort_keys=False))
    assert run(folder) == list(DRAWING)
    return folder


@pytest.mark.parametrize(
    ("stage", "name", "times"),
    [
        ("train", "last.ckpt", 1), ("train", "last.ckpt", 3), ("train", "model.safetensors", 1),
        ("draw", "map.tif", 1), ("draw", "map.tif", 2), ("score", "scores.json", 1),
    ],
)  # fmt: skip
def test_killed_while_a_map_is_made_the_bytes_are_the_same(
    drawn: Path, stage: str, name: str, times: int
) -> None:
    straight = contents(drawn / "out")
    taken_back(drawn, stage, str(DRAWING[stage]["out"]))
    killed(drawn, name, times)
    assert run(drawn) == [stage]
    assert contents(drawn / "out") == straight


def test_told_to_stop_a_training_saves_its_state_and_the_run_says_75(prepared: Path) -> None:
    write(prepared, [*PREPARING, "pretrain"])
    words = ["run", str(prepared / "small.yaml"), "--out", str(prepared / "out"), "--device", "cpu"]
    more = ["--set", "pretrain.steps=2000", "--set", "pretrain.set.log_every=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eo_contrast", *words, *more], stderr=subprocess.PIPE, text=True
    )
    before = prepared / "out" / "encoder" / "model.safetensors"
    while before.exists() and process.poll() is None:  # of the test above
        time.sleep(0.05)
    wait_for(prepared / "out" / "encoder" / "last.ckpt", process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert said.splitlines()[-1] == (
        f"error: {prepared}/out: stopped in stage pretrain; the same run command goes on"
    )
    record = read_record(prepared / "out", "pretrain")
    assert record is not None
    assert not record.done


def test_a_training_is_shared_by_the_processes_that_its_stage_asks_for(prepared: Path) -> None:
    write(prepared, [*PREPARING, "pretrain"])
    assert run(prepared, "--set", "pretrain.processes=2", "--set", "pretrain.steps=2") == [
        "pretrain"
    ]
    assert (prepared / "out" / "encoder" / "model.safetensors").is_file()
    assert run(prepared, "--set", "pretrain.processes=2", "--set", "pretrain.steps=2") == []
