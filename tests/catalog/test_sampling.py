"""Pixels that contradict the catalogue are named: power read as decibel, offsets, labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from archives import of_synth

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.verify import verify_table


def changed(path: Path, change) -> None:
    with rasterio.open(path, "r+") as dataset:
        dataset.write(change(dataset.read()).astype(dataset.dtypes[0]))


def told(root: Path, folder: Path):
    summary = ingest(root, folder / "c.parquet")
    problems = verify_table(read_catalogue(folder / "c.parquet"))
    return summary["warnings"], [(problem.kind, problem.rows) for problem in problems]


@pytest.fixture
def root(tmp_path):
    return of_synth("terramesh", places=3)(tmp_path / "root")


def test_an_archive_that_means_what_it_says_is_not_warned_of(root, tmp_path):
    assert told(root, tmp_path) == ([], [])


def test_linear_power_read_as_decibel(root, tmp_path):
    path = next(root.glob("S1RTC/001*"))
    changed(path, lambda decibel: 10 ** (decibel / 10))
    warnings, problems = told(root, tmp_path)
    assert "1 of 3 images of s1-rtc" in warnings[0] and "linear power" in warnings[0]
    assert problems == [("linear-power", (f"terramesh/{path.stem}/S1RTC",))]


@pytest.mark.parametrize("folder", ["S2L1C", "S2L2A"])
def test_counts_with_the_1000_of_baseline_4_still_in_them(root, tmp_path, folder):
    path = next(root.glob(f"{folder}/000*"))
    changed(path, lambda counts: np.maximum(counts, 0) + 1000)
    warnings, problems = told(root, tmp_path)
    assert "the 1000 counts" in warnings[0]
    assert problems == [("offset", (f"terramesh/{path.stem}/{folder}",))]


def test_a_label_outside_of_the_legend(root, tmp_path):
    path = next(root.glob("LULC/000*"))
    changed(path, lambda _: np.full_like(_, 77))
    warnings, problems = told(root, tmp_path)
    assert "values of lulc that the legend does not have: 77" in warnings[0]
    assert problems[0][0] == "label"


def test_several_baselines_are_told_with_what_is_added(tmp_path):
    root = of_synth("ssl4eo-v1", places=3)(tmp_path / "root")
    warnings, problems = told(root, tmp_path)
    assert problems == []
    assert sorted(warnings) == [
        f"ssl4eo-v1: {product} of several processing baselines; added to their counts on "
        "reading: 1 with -1000, 2 with 0"
        for product in ("s2-l1c", "s2-l2a")
    ]
