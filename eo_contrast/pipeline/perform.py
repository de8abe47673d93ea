"""One stage is carried out, in this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from eo_contrast.errors import InputError
from eo_contrast.files import locked, remove_partials
from eo_contrast.pipeline.json_values import plain_values
from eo_contrast.pipeline.stage import Call, Stage

PATIENCE_SECONDS = 20.0
"""As long may a process of a run that was killed take to notice."""
BETWEEN_TRIES_SECONDS = 0.2


def perform(stage: Stage, call: Call) -> dict[str, Any]:
    """Call a stage's function, where nothing half-written is left of a call that was killed.

    Returns: its result, as plain values.
    """
    for path in stage.outputs.values():
        remove_partials(path)
    # What a function prints is no result of the command's.
    with redirect_stdout(sys.stderr):
        result = stage.function(stage.config, call) or {}
    return plain_values(result)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock, once a process of an earlier run that still has it has ended.

    Raises: InputError: it does not end.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(path))
                break
            except InputError:
                if time.monotonic() > end:
                    raise
                time.sleep(BETWEEN_TRIES_SECONDS)
        yield
