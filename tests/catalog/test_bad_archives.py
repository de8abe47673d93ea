"""An archive with a fault: the fault is named, and one bad file never stops a scan."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_archives import CASES, Case, answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_the_fault_is_named_and_the_rest_is_listed(case: Case, tmp_path: Path) -> None:
    code, said, rows = answer(case, tmp_path)
    assert rows == case.rows, said
    assert code == (2 if case.rows is None else 0)
    for part in case.says:
        assert part in said
    assert "Traceback" not in said
    if case.rows is None:
        assert said.startswith("error: ") and len(said.splitlines()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["archive"]
