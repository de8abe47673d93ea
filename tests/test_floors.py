"""Imports go down floors only, and torch stays off the lower two."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "eo_contrast"
ROOT = Path(__file__).parent.parent / PACKAGE

FLOORS = {
    "bands": 0,
    "cluster": 0,
    "errors": 0,
    "files": 0,
    "memory": 0,
    "progress": 0,
    "config": 0,
    "raster": 1,
    "catalog": 1,
    "synth": 1,
    "nets": 2,
    "objectives": 2,
    "augment": 2,
    "data": 2,
    "training": 3,
    "inference": 3,
    "evaluate": 3,
    "pretrain": 4,
    "translate": 4,
    "landcover": 4,
    "pipeline": 5,
    "report": 5,
    "bench": 5,
    "cli": 6,
}
STAGE_FLOOR = 4
LOWEST_FLOOR_WITH_TORCH = 2
TORCH_PACKAGES = {"torch", "torchvision", "lightning_fabric", "lightning", "safetensors.torch"}
# The package's own doors point at every floor; of them the inside uses the version alone.
DOORS = {"", "__main__"}
VERSION = "__version__"


def breaches(source: str, module: str) -> list[str]:
    """What is wrong with the imports in the ``source`` of ``module`` (dotted, absolute)."""
    room = _room(module)
    if room in DOORS:
        return []
    found = []
    for line, imported in _imports(source, module):
        fault = _fault(room, imported)
        if fault:
            found.append(f"{module}:{line} imports {imported}: {fault}")
    return found


def _fault(room: str, imported: str) -> str | None:
    floor = FLOORS[room]
    if imported.split(".")[0] != PACKAGE:
        is_torch = any(f"{imported}.".startswith(f"{name}.") for name in TORCH_PACKAGES)
        return "torch below floor 2" if is_torch and floor < LOWEST_FLOOR_WITH_TORCH else None
    other = _room(imported)
    if other in ("", VERSION):
        return None
    if other not in FLOORS:
        return f"{other} has no floor"
    if FLOORS[other] > floor:
        return f"up, from floor {floor} to {FLOORS[other]}"
    if other != room and FLOORS[other] == floor == STAGE_FLOOR:
        return "sideways, between stages"
    return None


def _room(module: str) -> str:
    return module.removeprefix(PACKAGE).removeprefix(".").split(".")[0]


def _imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import anywhere: in functions and TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            # 'from eo_contrast import cli' imports a module by its alias
            for alias in node.names:
                yield node.lineno, base if base != PACKAGE else f"{base}.{alias.name}"
        elif isinstance(node, ast.Attribute) and _name(node.value) == PACKAGE:
            # 'eo_contrast.load_model' leads, by the package's door, to another floor
            yield node.lineno, f"{PACKAGE}.{node.attr}"
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, name.value


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts)


SOURCES = sorted(ROOT.rglob("*.py"))


def test_every_module_stands_on_a_floor() -> None:
    rooms = {_room(_module_name(path)) for path in SOURCES}
    assert rooms - {"__init__", "__main__"} <= set(FLOORS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_downwards_only(path: Path) -> None:
    module = _module_name(path)
    if module == f"{PACKAGE}.__init__":
        module = PACKAGE
    assert breaches(path.read_text(), module) == []


def test_imports_of_lower_floors_are_allowed() -> None:
    source = """
import numpy
import torch

import eo_contrast
from eo_contrast.nets.norms import InstanceNorm

print(eo_contrast.__version__)
"""
    assert breaches(source, "eo_contrast.training.loop") == []


@pytest.mark.parametrize(
    ("statement", "module", "fault"),
    [
        ("from eo_contrast.nets import norms", "eo_contrast.raster.meta", "up, from floor 1 to 2"),
        ("import eo_contrast.cli.info", "eo_contrast.errors", "up, from floor 0 to 6"),
        ("from eo_contrast import report", "eo_contrast.translate.run", "up, from floor 4 to 5"),
        ("from ..cli import main", "eo_contrast.report.page", "up, from floor 5 to 6"),
        ("from .. import cli", "eo_contrast.report.page", "up, from floor 5 to 6"),
        (
            "importlib.import_module('eo_contrast.cli.info')",
            "eo_contrast.bench.loader",
            "up, from floor 5 to 6",
        ),
        ("from eo_contrast.landcover import probe", "eo_contrast.translate.run", "sideways"),
        ("import eo_contrast.pretrain.graph", "eo_contrast.landcover.probe", "sideways"),
        ("import torch", "eo_contrast.raster.meta", "torch below floor 2"),
        ("from torch import nn", "eo_contrast.config", "torch below floor 2"),
        ("import torch.nn.functional as F", "eo_contrast.synth.world", "torch below floor 2"),
        ("from torchvision import ops", "eo_contrast.catalog.table", "torch below floor 2"),
        ("from lightning_fabric import Fabric", "eo_contrast.files", "torch below floor 2"),
        ("from safetensors.torch import save", "eo_contrast.files", "torch below floor 2"),
        ("from eo_contrast.misc import thing", "eo_contrast.cli.info", "misc has no floor"),
        ("eo_contrast.load_model('m')", "eo_contrast.raster.meta", "load_model has no floor"),
        ("from eo_contrast import load_model", "eo_contrast.data.loader", "has no floor"),
        ("from eo_contrast.__main__ import main", "eo_contrast.cli.info", "has no floor"),
    ],
)
def test_a_breach_is_found(statement: str, module: str, fault: str) -> None:
    found = breaches(statement, module)
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    "source",
    [
        "def late():\n    import torch",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
        "class Lazy:\n    def load(self):\n        from torch import nn",
        "try:\n    import torch\nexcept ImportError:\n    torch = None",
    ],
)
def test_a_breach_is_found_wherever_it_hides(source: str) -> None:
    assert len(breaches(source, "eo_contrast.raster.windows")) == 1
