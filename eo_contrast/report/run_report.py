"""The page of a run, whatever was trained."""

from __future__ import annotations

from pathlib import Path

import yaml

from eo_contrast.errors import InputError
from eo_contrast.report.benchmark import benchmark_report
from eo_contrast.report.finetuning import finetuning_report
from eo_contrast.report.pretraining import pretraining_report
from eo_contrast.report.training import training_report
from eo_contrast.training.describe import CONFIG_FILE


def run_report(run_folder: Path, *, embeddings: Path | None = None) -> Path:
    """Write ``report.html`` into a run folder, replacing an older one.

    What ran is told by the folder's configuration: a pretraining has a ``graph``, a fine-tuning a
    ``task``, a benchmark ``protocols``.

    Args:
        embeddings: of a pretraining run's encoder, for a map and neighbours.

    Returns: the page's path.

    Raises:
        InputError: no run lies there, a file of it is damaged, or the embeddings are of another.
        WorldError: the disk is full or failing.
    """
    keys = _keys_of(run_folder / CONFIG_FILE)
    if "graph" in keys:
        return pretraining_report(run_folder, embeddings)
    if embeddings is not None:
        raise InputError(
            f"--embeddings {embeddings}: {run_folder} is no pretraining run; leave it out"
        )
    if "protocols" in keys:
        return benchmark_report(run_folder)
    if "task" in keys:
        return finetuning_report(run_folder)
    return training_report(run_folder)


def _keys_of(path: Path) -> set[str]:
    """Of a run's configuration; none where it is missing or damaged, which its reader tells."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return set()
    return set(values) if isinstance(values, dict) else set()
