"""The script that prints the table of bad input prints nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_input import _half_done


def test_runs_that_only_prepare_a_fault_print_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _half_done(tmp_path)
    assert capfd.readouterr().out == ""
    assert list(tmp_path.glob(".map.tif.parts/run.json"))
