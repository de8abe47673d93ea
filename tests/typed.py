"""``eo-contrast`` typed in this process, which has long imported what it needs.

A process of its own takes some seconds for that alone; it is for commands that are to be killed,
and for what only a process has: limits, an environment.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from eo_contrast.cli import main

UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""What Python leaves out of what it prints."""


def typed(words: Sequence[str | Path], folder: Path | None = None, **environment: str) -> Result:
    """Type a command after ``eo-contrast``, in a folder where one is given."""
    with contextlib.chdir(folder or Path.cwd()), warnings_printed():
        return CliRunner(env=environment).invoke(
            main, [str(word) for word in words], catch_exceptions=False
        )


def done(words: Sequence[str | Path], folder: Path | None = None) -> Result:
    """Type a command that is to do what it is told."""
    result = typed(words, folder)
    assert result.exit_code == 0, result.stderr
    return result


@contextlib.contextmanager
def warnings_printed() -> Iterator[None]:
    """Warnings go to standard error, as in a process, and not to the tests' own list."""

    def shown(message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))

    with warnings.catch_warnings():
        warnings.showwarning = shown
        warnings.resetwarnings()
        for category in UNSEEN:
            warnings.simplefilter("ignore", category)
        yield
