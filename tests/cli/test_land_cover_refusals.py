"""Wrong land-cover input gets one clear line and exit code 2, and nothing is half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from land_cover_refusals import CASES, Case, answer, prepare


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refusals")
    prepare(folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_it_is_one_line_that_says_what_to_do_and_leaves_nothing(case: Case, prepared: Path) -> None:
    given = answer(case, prepared)
    assert (given.exit_code, given.stdout) == (2, ""), given.stderr
    (line,) = given.stderr.splitlines()
    assert line.startswith("error: ")
    for part in case.says:
        assert part in line
    assert given.changed == ()
