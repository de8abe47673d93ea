"""The stage that splits: its lists are inputs, and options that decide nothing are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from pipelines_made import ran, reasons
from test_definition import refusal

sys.path.insert(0, str(Path(__file__).parents[1] / "catalog"))

from archives import eurosat_ms

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a catalogue of six tiles and two lists."""
    ingest(eurosat_ms(tmp_path / "ms", tiles=3), tmp_path / "c.parquet")
    (tmp_path / "train.txt").write_text("Forest_1\nForest_2\n")
    (tmp_path / "test.txt").write_text("River_1.tif\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pipeline(folder: Path, **options: object) -> Path:
    stage = {"catalogue": "c.parquet", "out": "s.parquet", **options}
    file = folder / "p.yaml"
    file.write_text(yaml.safe_dump({"stages": {"split": stage}}))
    return file


def splits(folder: Path) -> list[str]:
    """In the order of places: three forests, three rivers."""
    return list(read_catalogue(folder / "out" / "s.parquet").column("split").to_pylist())


LISTS = {"train": "train.txt", "test": "test.txt"}


def test_a_list_that_changed_makes_the_stage_stale(folder: Path) -> None:
    file = pipeline(folder, files=LISTS)
    assert ran(file) == ["split"]
    assert splits(folder) == ["train", "train", "", "test", "", ""]
    assert ran(file) == []
    (folder / "test.txt").write_text("River_3\n")
    assert reasons(file) == {"split": ["input changed: files.test"]}
    assert ran(file) == ["split"]
    assert splits(folder) == ["train", "train", "", "", "", "test"]


def test_by_longitude(folder: Path) -> None:
    file = pipeline(folder, by="longitude", fractions=[0.34, 0.33, 0.33])
    assert ran(file) == ["split"]
    assert splits(folder) == ["train", "val", "test"] * 2


@pytest.mark.parametrize("options", [{"files": LISTS}, {"by": "longitude"}, {"block_km": 2.0}])
def test_what_is_written_out_runs_again(folder: Path, options: dict[str, object]) -> None:
    ran(pipeline(folder, **options))
    written = yaml.safe_load((folder / "out" / "pipeline.yaml").read_text())
    file = folder / "again.yaml"
    file.write_text(yaml.safe_dump(written))
    assert ran(file) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"files": LISTS, "by": "longitude"}, "by does nothing with files; leave it out"),
        ({"files": LISTS, "block_km": 3}, "block_km does nothing with files; leave it out"),
        ({"by": "longitude", "seed": 3}, "seed does nothing with by: longitude; leave it out"),
        (
            {"files": {"tran": "train.txt"}},
            "--files tran=train.txt: no such split; did you mean 'train'?; there are train, val, "
            "test",
        ),
        ({"fractions": [0.5, 0.5, 0.5]}, "--fractions 0.5,0.5,0.5: must be 0 or more and sum to 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, options: dict[str, object], said: str
) -> None:
    assert refusal(pipeline(folder, **options)) == f"FILE: stage split: {said}"


def test_a_list_that_is_missing_is_refused(folder: Path) -> None:
    said = refusal(pipeline(folder, files={"train": "trian.txt"}))
    assert said.startswith(
        "FILE: stage split: its files.train is trian.txt, which no stage makes and no file is"
    )
