"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference numbers and real data; tests that need it skip without it."""
    default = Path(__file__).parent.parent.parent / "shared"
    folder = Path(os.environ.get("EO_CONTRAST_SHARED", default))
    if not (folder / "golden").is_dir():
        pytest.skip(f"{folder} is absent: set EO_CONTRAST_SHARED to run this test")
    return folder
