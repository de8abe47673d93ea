"""The stages from an encoder to a land-cover map and its pages, each killed and run again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pipelines_killed import contents, killed, run, taken_back

from eo_contrast.pipeline.record import read_record

SMALL = {"encoder": {"stem": "small"}, "data": {"batch_size": 4}, "schedule": {"epochs": 2}}
STAGES = {
    "world": {
        "kind": "synth", "layout": "dfc2020", "places": 24, "size": 16, "seed": 1, "out": "world",
    },
    "catalogue": {"kind": "ingest", "root": "world", "out": "world.parquet"},
    "pack": {"catalogue": "world.parquet", "out": "packed"},
    "pretrain": {
        "config": "simclr_small",
        "set": {
            "graph": {"sensors": {"image": {"product": "s2-l1c"}}},
            "data": {"size": 16, "batch_size": 2},
            "encoder": {"stem": "small"},
        },
        "data": "packed",
        "steps": 2,
        "out": "encoder",
    },
    "embed": {"catalogue": "world.parquet", "model": "encoder", "out": "vectors.parquet"},
    "benchmark": {
        "config": "dfc2020-single-label",
        "set": {
            "protocols": ["linear", "finetune"], "fractions": [1], "seeds": [0], "finetune": SMALL,
        },
        "data": "packed",
        "encoders": {"mine": "encoder"},
        "baselines": ["statistics"],
        "out": "table",
    },
    "finetune": {
        "config": "segmentation",
        "set": {
            "labels": {"scheme": "dfc2020-8", "train": "val", "val": None},
            "head": {"decoder_width": 16},
            **SMALL,
        },
        "data": "packed",
        "encoder": "encoder",
        "out": "classes",
    },
    "land_cover_map": {
        "source": "world/ROIs0000_test/s2_0/ROIs0000_test_s2_0_p5.tif",
        "model": "classes",
        "vector": "map.gpkg",
        "out": "map.tif",
    },
    "report": {"run": "encoder", "embeddings": "vectors.parquet", "out": "encoder.html"},
    "summary": {
        "title": "All of it",
        "rasters": {"Land cover": "map.tif"},
        "benchmarks": {"Mine against statistics": "table"},
        "pages": {"The encoder": "encoder.html"},
        "out": "page.html",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline, that ran undisturbed."""
    folder = tmp_path_factory.mktemp("straight")
    (folder / "small.yaml").write_text(yaml.safe_dump({"stages": STAGES}, sort_keys=False))
    assert sorted(run(folder)) == sorted(STAGES)
    return folder


@pytest.mark.parametrize(
    ("stage", "name", "times"),
    [
        ("embed", "vectors.parquet", 1),
        ("benchmark", "statistics-linear-1-0.safetensors", 1),
        ("benchmark", "last.ckpt", 2),
        ("benchmark", "mine-finetune-1-0.safetensors", 1),
        ("benchmark", "report.html", 1),
        ("finetune", "last.ckpt", 2),
        ("finetune", "model.safetensors", 1),
        ("land_cover_map", "map.tif", 1),
        ("land_cover_map", "map.gpkg", 1),
        ("report", "encoder.html", 1),
        ("summary", "page.html", 1),
    ],
)
def test_killed_in_a_stage_and_run_again_the_bytes_are_the_same(
    straight: Path, stage: str, name: str, times: int
) -> None:
    before = contents(straight / "out")
    outs = [str(STAGES[stage][key]) for key in ("out", "vector") if key in STAGES[stage]]
    taken_back(straight, stage, *outs)
    killed(straight, name, times)
    record = read_record(straight / "out", stage)
    assert record is not None
    assert not record.done
    assert run(straight) == [stage]
    after = contents(straight / "out")
    assert before.keys() == after.keys()
    assert [key for key in before if before[key] != after[key]] == []
    assert run(straight) == []
