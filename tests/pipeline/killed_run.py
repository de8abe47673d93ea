"""A run that kills itself just before a file or folder gets its name for the n-th time.

``python killed_run.py NAME TIMES WORDS...`` runs ``eo-contrast run WORDS...``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Run, and be killed."""
    name, times, *words = sys.argv[1:]
    replace, seen = os.replace, 0

    def replace_or_die(source: Any, target: Any) -> None:
        nonlocal seen
        seen += Path(target).name == name
        if seen == int(times):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = replace_or_die
    from eo_contrast.cli import main as command

    command(["run", *words], prog_name="eo-contrast")


if __name__ == "__main__":
    main()
