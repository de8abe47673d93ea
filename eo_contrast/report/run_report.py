"""The page of a run, whatever was trained."""

from __future__ import annotations

from pathlib import Path

from eo_contrast.errors import InputError
from eo_contrast.report.benchmark import benchmark_report
from eo_contrast.report.finetuning import finetuning_report
from eo_contrast.report.pretraining import pretraining_report
from eo_contrast.report.run_kind import kind_of_run
from eo_contrast.report.training import training_report


def run_report(run_folder: Path, *, embeddings: Path | None = None) -> Path:
    """Write ``report.html`` into a run folder, replacing an older one.

    Args:
        embeddings: of a pretraining run's encoder, for a map and neighbours.

    Returns: the page's path.

    Raises:
        InputError: no run lies there, a file of it is damaged, or the embeddings are of another.
        WorldError: the disk is full or failing.
    """
    kind = kind_of_run(run_folder)
    if kind == "pretraining":
        return pretraining_report(run_folder, embeddings)
    if embeddings is not None:
        raise InputError(
            f"--embeddings {embeddings}: {run_folder} is no pretraining run; leave it out"
        )
    if kind == "benchmark":
        return benchmark_report(run_folder)
    return finetuning_report(run_folder) if kind == "finetuning" else training_report(run_folder)
