"""``eo-contrast benchmark``: a folder that a reviewer can read, and refusals in one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eo_contrast.cli import main

SMALL = """
name: Small
faults: [It has few places.]
protocols: [knn, linear]
fractions: [1]
seeds: [0, 1]
finetune: {encoder: {stem: small}}
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


@pytest.fixture(scope="module")
def eurosat(tmp_path_factory) -> Path:
    """A synthetic EuroSAT of classes that each have a place in every split, and a protocol."""
    folder = tmp_path_factory.mktemp("eurosat")
    made = run("synth", "eurosat-ms", folder / "world", "--places", 40, "--size", 16, "--quiet")
    assert made.exit_code == 0, made.output
    lines = ["file,label,split"]
    for own in sorted(path for path in (folder / "world").iterdir() if path.is_dir()):
        tiles = sorted(own.iterdir())
        for number, tile in enumerate(tiles):
            if len(tiles) < 3:
                tile.unlink()
                continue
            split = ("val", "test")[number] if number < 2 else "train"
            lines.append(f"{own.name}/{tile.name},{own.name},{split}")
    (folder / "world" / "split.csv").write_text("\n".join(lines) + "\n")
    assert run("ingest", folder / "world", "--out", folder / "c.parquet").exit_code == 0
    (folder / "small.yaml").write_text(SMALL)
    return folder


@pytest.fixture(scope="module")
def done(eurosat) -> tuple[Path, dict]:
    out = eurosat / "out"
    result = run(
        "benchmark",
        eurosat / "small.yaml",
        *("--data", eurosat / "c.parquet", "--encoders", "random,statistics", "--out", out),
        "--json",
    )
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def test_one_object_tells_what_was_measured(done):
    out, told = done
    assert {"out", "cells", "computed", "test", "classes", "seconds"} <= told.keys()
    assert told["cells"] == 8
    assert Path(told["report"]) == out / "report.html"


def test_the_folder_has_what_the_contract_names(done):
    out, _ = done
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["encoder"] for row in rows} == {"random", "statistics"}
    assert {row["metric"] for row in rows} >= {"accuracy", "average_accuracy", "macro_f1", "ece"}
    assert "| statistics |" in (out / "table.md").read_text()
    assert r"\toprule" in (out / "table.tex").read_text()
    assert sorted(path.name for path in (out / "plots").iterdir()) == ["knn.svg", "linear.svg"]


def test_the_page_stands_alone_and_names_the_faults(done):
    out, _ = done
    page = (out / "report.html").read_text()
    assert "It has few places." in page
    assert "Over a random encoder" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_report_makes_the_page_again(done):
    out, _ = done
    page = (out / "report.html").read_bytes()
    assert run("report", out, "--overwrite").exit_code == 0
    assert (out / "report.html").read_bytes() == page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--encoders", "nowhere"], "nowhere"),
        (["--encoders", "random", "--set", "fractions=[0.001]"], "label fraction 0.001"),
        (["--encoders", "random", "--set", "protocol=[knn]"], "protocols"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(eurosat, tmp_path, words, says):
    out = tmp_path / "out"
    file, data = eurosat / "small.yaml", eurosat / "c.parquet"
    result = run("benchmark", file, "--data", data, "--out", out, *words)
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ") and says in line
    assert not out.exists()
