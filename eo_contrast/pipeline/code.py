"""Which code a stage's outputs come from: digests of every module that its function may reach.

Found by reading the sources, without running them: of the function's own module what the function
names, of every module that is imported there all of it, and so on. Modules of this package and
those beside the function's own count; other libraries and Python's version do not.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent
CALLERS = frozenset(f"{PACKAGE.name}.pipeline.{name}" for name in ("stage", "stages"))
"""Modules that tell what a stage is and which there are; neither decides what comes of one."""
TEMPLATES = "templates"
"""Folder beside a module whose files are code, too."""


def code_of(function: Callable[..., Any]) -> dict[str, str]:
    """Digests by module name."""
    home, file = function.__module__, Path(inspect.getfile(function)).resolve()
    folders = (PACKAGE.parent, _import_folder(home, file))
    text = file.read_text()
    named = list(_named(ast.parse(text), function.__name__))
    segments = "\n".join(ast.get_source_segment(text, node) or "" for node in named)
    found = {home: hashlib.sha256(segments.encode()).hexdigest()[:16]}
    waiting = [name for node in named for name in _imports(node, home, file)]
    while waiting:
        module = waiting.pop()
        source = _file_of(module, folders)
        if module in found or source is None or module in CALLERS:
            continue
        found[module] = _digest(source)
        waiting += _imports_of(module, source)
    return dict(sorted(found.items()))


def _import_folder(module: str, file: Path) -> Path:
    """The folder from which a module is imported by its name."""
    return file.parents[module.count(".") + (file.name == "__init__.py")]


def _file_of(module: str, folders: Sequence[Path]) -> Path | None:
    for folder in folders:
        path = folder.joinpath(*module.split("."))
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _named(source: ast.Module, function: str) -> Iterator[ast.stmt]:
    """The statements of a module that define a function, and all that it names there."""
    of_name = dict(_definitions(source))
    waiting, seen = [function], set()
    while waiting:
        name = waiting.pop()
        node = of_name.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        yield node
        waiting += sorted({each.id for each in ast.walk(node) if isinstance(each, ast.Name)})


def _definitions(source: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    for node in source.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, node


@cache
def _imports_of(module: str, file: Path) -> tuple[str, ...]:
    return tuple(_imports(ast.parse(file.read_text()), module, file))


def _imports(tree: ast.AST, module: str, file: Path) -> Iterator[str]:
    """Dotted names of what is imported anywhere in it, packages on the way included."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in _that_runs(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # A module may be imported from its package, as a function is from its module.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            # The outermost package counts where its version is asked for, not on the way.
            yield from (".".join(parts[:end]) for end in range(min(2, len(parts)), len(parts) + 1))


def _that_runs(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, without what is for type checkers alone."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield from _that_runs(node)


@cache
def _digest(file: Path) -> str:
    """Of a module, and of the templates beside it."""
    digest = hashlib.sha256(file.read_bytes())
    folder = file.parent / TEMPLATES
    if folder.is_dir():
        for path in sorted(each for each in folder.iterdir() if each.is_file()):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
