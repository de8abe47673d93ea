"""Bad input gets one clear line and the right exit code, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_input import CASES, Case, answer

LEFT_BY_A_RUN = tuple(
    f"runs/{name}"
    for name in ("config.yaml", "metrics.jsonl", "timings.jsonl", "events.", "samples/")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_bad_input_is_answered_by_one_line_and_leaves_nothing(case: Case, tmp_path: Path) -> None:
    given = answer(case, tmp_path)
    assert given.exit_code == case.exit_code, given.stderr
    *before, line = given.stderr.splitlines()
    assert line.startswith("error: ")
    # libtiff itself reports a failed write to the terminal, before the answer.
    assert [other for other in before if not other.startswith("_tiffWriteProc: ")] == []
    for part in case.says:
        assert part in line
    # A training run that the world stopped keeps its settings and log; wrong input leaves none.
    allowed = LEFT_BY_A_RUN if case.exit_code == 1 else ()
    assert [name for name in given.changed if not name.startswith(allowed)] == []
