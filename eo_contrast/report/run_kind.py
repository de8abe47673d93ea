"""What a run folder is of, told by its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml

from eo_contrast.training.describe import CONFIG_FILE

RunKind = Literal["pretraining", "benchmark", "finetuning", "translator"]


def kind_of_run(folder: Path) -> RunKind:
    """A pretraining has a ``graph``, a benchmark ``protocols``, a fine-tuning a ``task``.

    What has none of them, or cannot be read, is a translator's, whose reader tells what is amiss.
    """
    keys = _keys_of(folder / CONFIG_FILE)
    if "graph" in keys:
        return "pretraining"
    if "protocols" in keys:
        return "benchmark"
    return "finetuning" if "task" in keys else "translator"


def _keys_of(path: Path) -> set[str]:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return set()
    return set(values) if isinstance(values, dict) else set()
