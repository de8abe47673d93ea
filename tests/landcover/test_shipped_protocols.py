"""Every shipped protocol runs, unchanged but for its length, on an archive of its layout."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow as pa
import pytest

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue, write_catalogue
from eo_contrast.config import find_config, load_config, shipped_folder
from eo_contrast.landcover.benchmark import BenchmarkOptions, benchmark
from eo_contrast.landcover.benchmark_config import BenchmarkConfig
from eo_contrast.landcover.benchmark_rows import read_rows
from eo_contrast.landcover.contenders import contenders_of
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan

KIND = "configs/landcover/benchmark"
NAMES = sorted(path.stem for path in shipped_folder(KIND).glob("*.yaml"))
LAYOUTS = {
    "eurosat": "eurosat-rgb",
    "eurosat-spatial": "eurosat-ms",
    "bigearthnet-v1": "bigearthnet-v1",
    "bigearthnet-v2": "bigearthnet-v2",
    "dfc2020-single-label": "dfc2020",
    "dfc2020-multi-label": "dfc2020",
    "dfc2020-segmentation": "dfc2020",
    "sen12ms": "sen12ms",
    "sen12ms-multi-label": "sen12ms",
    "so2sat": "so2sat",
}
SHORT = [
    "fractions=[1]",
    "seeds=[0]",
    "finetune.schedule.epochs=2",
    "finetune.data.batch_size=8",
    "finetune.encoder.stem=small",
    "finetune.head.decoder_width=32",
]


def archived(layout: str, folder: Path) -> Path:
    """A catalogue of a small archive, its places dealt out to the splits in turn."""
    write_archive(folder / layout, layout, ArchivePlan(places=16, dates=1, size=32), _silent)
    ingest(folder / layout, folder / "all.parquet")
    table = read_catalogue(folder / "all.parquet")
    places = table.column("place_id").to_pylist()
    splits = {
        place: ("train", "val", "val", "test")[number % 4]
        for number, place in enumerate(sorted(set(places)))
    }
    at = table.schema.get_field_index("split")
    column = pa.array([splits[place] for place in places], pa.string())
    write_catalogue(folder / "split.parquet", table.set_column(at, table.field(at), column))
    return folder / "split.parquet"


def _silent(done: int, note: str = "") -> None:
    pass


def test_there_is_a_layout_for_each():
    assert set(LAYOUTS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_runs_on_its_layout(name, tmp_path):
    config = load_config(BenchmarkConfig, find_config(name, KIND), SHORT)
    data = archived(LAYOUTS[name], tmp_path)
    told = benchmark(
        config, data, contenders_of("random"), tmp_path / "out", BenchmarkOptions(device="cpu")
    )
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert told["computed"] == len(rows) == len(config.protocols)
    assert config.name and config.faults


@pytest.mark.parametrize("name", NAMES)
def test_what_its_remarks_propose_is_possible(name):
    file = find_config(name, KIND)
    remarks = [line.lstrip("# ") for line in file.read_text().splitlines() if line.startswith("#")]
    words = " ".join(remarks).split()
    proposed = [after for before, after in itertools.pairwise(words) if before == "--set"]
    load_config(BenchmarkConfig, file, [each.rstrip(".:;,") for each in proposed])
