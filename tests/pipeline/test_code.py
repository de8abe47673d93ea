"""Which code counts for a stage."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eo_contrast.pipeline import code
from eo_contrast.pipeline.code import code_of
from eo_contrast.pipeline.stages import STAGES

SOURCE = '''
"""A module of stages."""
import os
from numbers_of_mine import number

SIZE = 3

class Config:
    size = SIZE

def helper():
    from things.deep import deep
    return deep

def first(config: Config):
    return helper(), os.sep

def second(config):
    return number
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules."""
    (tmp_path / "stages_of_mine.py").write_text(SOURCE)
    (tmp_path / "numbers_of_mine.py").write_text("number = 1\n")
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "__init__.py").write_text("")
    (tmp_path / "things" / "deep.py").write_text("from .deeper import deep\n")
    (tmp_path / "things" / "deeper.py").write_text("deep = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("stages_of_mine", "numbers_of_mine"):
        sys.modules.pop(name, None)


def codes(name: str) -> dict[str, str]:
    """Of a function of the module as it is on disk now."""
    for cached in (code._digest, code._imports_of):
        cached.cache_clear()
    return code_of(getattr(importlib.import_module("stages_of_mine"), name))


def test_modules_that_a_function_reaches_count_and_no_others(home: Path) -> None:
    assert set(codes("first")) == {"stages_of_mine", "things.deep", "things.deeper"}
    assert set(codes("second")) == {"stages_of_mine", "numbers_of_mine"}


def test_of_its_own_module_what_the_function_names_counts(home: Path) -> None:
    file = home / "stages_of_mine.py"
    first, second = codes("first"), codes("second")
    file.write_text(SOURCE.replace("SIZE = 3", "SIZE = 4"))
    assert codes("first") != first
    assert codes("second") == second
    file.write_text(SOURCE.replace("return number", "return 2 * number"))
    assert codes("first") == first
    assert codes("second") != second


def test_a_change_below_is_a_change_of_that_module(home: Path) -> None:
    before = codes("first")
    (home / "things" / "deeper.py").write_text("deep = 2\n")
    after = codes("first")
    assert {name for name in after if after[name] != before[name]} == {"things.deeper"}


def test_training_counts_for_training_and_not_for_packing() -> None:
    packing, training = code_of(STAGES["pack"]), code_of(STAGES["pretrain"])
    assert "eo_contrast.catalog.pack" in packing
    assert "eo_contrast.pretrain.run" in training
    assert not [name for name in packing if name.startswith("eo_contrast.pretrain")]
    assert not [name for name in training if name.startswith("eo_contrast.report")]


def test_neither_the_list_of_stages_nor_the_version_counts_for_all() -> None:
    for kind, function in STAGES.items():
        assert not code.CALLERS & set(code_of(function)), kind
    assert "eo_contrast" not in code_of(STAGES["split"])
    assert "eo_contrast.pipeline.stages.archives" not in code_of(STAGES["pretrain"])
    assert "eo_contrast.pipeline.summary" in code_of(STAGES["summary"])


def test_templates_are_code_of_what_lies_beside_them(home: Path) -> None:
    before = codes("first")
    (home / "things" / "templates").mkdir()
    (home / "things" / "templates" / "page.j2").write_text("page")
    after = codes("first")
    assert {name for name in after if after[name] != before[name]} == {
        "things.deep", "things.deeper",
    }  # fmt: skip
