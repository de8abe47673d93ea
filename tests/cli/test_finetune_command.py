"""``eo-contrast finetune``: from an archive to scores, and refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eo_contrast.catalog.table import read_catalogue
from eo_contrast.cli import main

FAST = ["--set", "encoder.stem=small", "--set", "schedule.epochs=1", "--set", "schedule.warmup=0"]
FAST += ["--set", "data.batch_size=8", "--device", "cpu"]


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


def told(*words: object) -> dict:
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def eurosat(tmp_path_factory) -> Path:
    """A synthetic EuroSAT in splits."""
    folder = tmp_path_factory.mktemp("eurosat")
    told("synth", "eurosat-ms", folder / "world", "--places", 40, "--size", 16)
    split(folder / "world")
    told("ingest", folder / "world", "--out", folder / "c.parquet")
    return folder / "c.parquet"


def split(root: Path) -> None:
    """Of each class the first is in val, the second in test; classes of fewer than 3 go."""
    lines = ["file,label,split"]
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        tiles = sorted(folder.iterdir())
        for number, tile in enumerate(tiles):
            if len(tiles) < 3:
                tile.unlink()
                continue
            name = ("val", "test")[number] if number < 2 else "train"
            lines.append(f"{folder.name}/{tile.name},{folder.name},{name}")
    (root / "split.csv").write_text("\n".join(lines) + "\n")


def test_one_object_tells_what_came_of_it(eurosat, tmp_path):
    out = tmp_path / "run"
    result = told(
        "finetune", "classification", "--data", eurosat, "--encoder", "random", "--out", out, *FAST
    )
    assert {"run", "test", "seconds"} <= result.keys()
    assert {"accuracy", "average_accuracy", "macro_f1"} <= result["test"].keys()
    assert (out / "model.safetensors").is_file()
    splits = read_catalogue(eurosat).column("split").to_pylist()
    assert result["labels"] == splits.count("train")
    assert told("info", out / "model.safetensors")["task"] == "land-cover"


def test_a_model_for_land_cover_draws_no_maps(eurosat, tmp_path):
    out = tmp_path / "run"
    words = ["finetune", "classification", "--data", eurosat, "--encoder", "random", "--out", out]
    told(*words, *FAST)
    refused = run("translate", eurosat.parent / "world", tmp_path / "map", "--model", out)
    assert refused.exit_code == 2
    assert "is a land-cover model, not a translator" in refused.stderr


def test_a_pretrained_encoder_is_tuned(eurosat, tmp_path):
    encoder, out = tmp_path / "encoder", tmp_path / "run"
    sizes = ["--set", "data.size=16", "--set", "data.batch_size=4", "--device", "cpu"]
    told("pretrain", "simclr_small", "--data", eurosat, "--out", encoder, "--steps", 2, *sizes)
    words = ["finetune", "classification", "--data", eurosat, "--encoder", encoder, "--out", out]
    told(*words, *FAST, "--set", "mode=linear")
    trained = told("info", out / "model.safetensors")["trained"]
    assert trained["encoder"].startswith(str(encoder))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--label-fraction", "0.01"], "label fraction 0.01: leaves class"),
        (["--label-fraction", "0"], "--label-fraction 0: is a share, above 0 and at most 1"),
        (["--set", "task=segmentation"], "has no label maps, but s2-l1c"),
        (["--set", "labels.test=holdout"], "no place in the split 'holdout'"),
        (["--set", "data.sensors=[s1]"], "sensor s1: there are images of s2-l1c"),
        (["--encoder", "nowhere"], "nowhere: no such file"),
    ],
)
def test_a_refusal_is_one_line(eurosat, tmp_path, words, says):
    out = tmp_path / "run"
    given = ["finetune", "classification", "--data", eurosat, "--encoder", "random", "--out", out]
    refused = run(*given, *FAST, *words)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 1
    assert says in refused.stderr
    assert not out.exists()
