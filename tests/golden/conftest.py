"""Reference numbers of the translation stage, made by the original implementations."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conformance import Golden


@pytest.fixture(scope="session")
def golden(shared: Path) -> Callable[[str], Golden]:
    return lambda name: Golden(shared / "golden" / "translation" / f"{name}.npz")


@pytest.fixture(scope="session")
def pretraining(shared: Path) -> Callable[[str], Golden]:
    return lambda name: Golden(shared / "golden" / "pretraining" / f"{name}.npz")
