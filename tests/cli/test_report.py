"""``eo-contrast report``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from eo_contrast.cli import main

CONFIG = """\
recipe: fastcut
generator: {width: 2, blocks: 1}
patch_sampler: {layers: [block1], patches: 16}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "first"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "metrics.jsonl").write_text('{"step": 5, "phase": "train", "loss_nce": 9.0}\n')
    return folder


def test_it_writes_the_page_and_says_where(run: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(run)])
    assert result.exit_code == 0
    assert f"{run}/report.html: written" in result.stderr
    assert "trained for 5 steps" in (run / "report.html").read_text()


def test_json_is_one_object_with_the_path_of_the_page(run: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(run), "--json"])
    assert json.loads(result.stdout) == {"run": str(run), "report": f"{run}/report.html"}


def test_quiet_says_nothing(run: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(run), "--quiet"])
    assert (result.exit_code, result.output) == (0, "")


def test_an_older_page_is_replaced_only_with_overwrite(run: Path) -> None:
    (run / "report.html").write_text("old")
    refused = CliRunner().invoke(main, ["report", str(run)])
    assert (refused.exit_code, "--overwrite" in refused.stderr) == (2, True)
    assert (run / "report.html").read_text() == "old"
    assert CliRunner().invoke(main, ["report", str(run), "--overwrite"]).exit_code == 0
    assert (run / "report.html").read_text() != "old"


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_folder_without_a_run_is_one_line_and_exit_code_2(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(main, ["report", str(tmp_path / name)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {tmp_path / name}: ")
    assert result.stderr.count("\n") == 1
