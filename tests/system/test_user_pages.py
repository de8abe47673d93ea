"""Each user's page, typed in from top to bottom in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from eo_contrast.cli import main

DOCS = Path(__file__).parent.parent.parent / "docs"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LEFT = {
    "scientist": ["runs/benchmark/table.tex", "runs/simclr/report.html", "vectors.parquet"],
    "cartographer": ["map.tif", "map.html", "tiles", "part.tif", "runs/map/report.html"],
    "engineer": ["runs/one/model.safetensors", "vectors.parquet", "copy.tif"],
}


@pytest.mark.parametrize("page", LEFT)
def test_a_page_runs_as_it_stands(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        line
        for block in BLOCK.findall((DOCS / f"{page}.md").read_text())
        for line in block.replace("\\\n", " ").splitlines()
    ]
    for line in lines:
        name, *words = shlex.split(line)
        assert name == "eo-contrast"
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    assert not [name for name in LEFT[page] if not (tmp_path / name).exists()]
