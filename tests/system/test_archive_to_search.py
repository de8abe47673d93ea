"""From an archive to neighbours and a page, by commands alone, as docs/search.md types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from eo_contrast.catalog.table import read_catalogue
from eo_contrast.cli import main


def run(*words: object) -> dict[str, object]:
    done = CliRunner().invoke(main, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("layout", ["eurosat-rgb", "ssl4eo-v1"])
def test_an_archive_is_pretrained_on_embedded_searched_and_reported(layout, tmp_path: Path):
    archive, catalogue, model = tmp_path / "world", tmp_path / "c.parquet", tmp_path / "run"
    run("synth", layout, archive, "--places", 8, "--dates", 2, "--size", 24)
    run("ingest", archive, "--out", catalogue)
    product = "rgb" if layout == "eurosat-rgb" else "s2-l2a"
    sizes = ["--set", "data.size=16", "--set", "data.batch_size=4"]
    sensor = ["--set", f"graph.sensors.image.product={product}"]
    words = ["pretrain", "simclr_small", "--data", catalogue, "--out", model, "--steps", 3]
    run(*words, *sizes, *sensor, "--device", "cpu")
    vectors = tmp_path / "e.parquet"
    told = run("embed", catalogue, "--model", model, "--out", vectors, "--device", "cpu")
    assert told["rows"] == (8 if layout == "eurosat-rgb" else 16)
    found = run("search", vectors, "--like", named(catalogue, product), "--top", 3)["found"]
    assert len(found) == 3
    page = Path(str(run("report", model, "--embeddings", vectors)["report"]))
    assert "Nearest neighbours" in page.read_text()


def named(catalogue: Path, product: str) -> str:
    rows = read_catalogue(catalogue).to_pylist()
    return next(str(row["id"]) for row in rows if row["product"] == product)
