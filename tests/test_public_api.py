"""``import eo_contrast`` is free, and every public name leads somewhere."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import eo_contrast


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, eo_contrast; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize("name", eo_contrast.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(eo_contrast, name) is not None
    assert name in dir(eo_contrast)


@pytest.mark.parametrize("name", sorted(set(eo_contrast.__all__) - {"__version__"}))
def test_no_public_name_is_hidden_by_a_folder_of_the_same_name(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"eo_contrast.{name}")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'train_everything'"):
        eo_contrast.train_everything  # noqa: B018
