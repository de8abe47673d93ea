"""The few curves of a run that tell a newcomer whether it learnt."""

from __future__ import annotations

from pathlib import Path

from eo_contrast.report.charts import Chart
from eo_contrast.report.finetuning_charts import finetuning_charts
from eo_contrast.report.finetuning_run import read_finetuning
from eo_contrast.report.pretraining_charts import look_charts, progress_chart, vector_charts
from eo_contrast.report.pretraining_run import read_pretraining
from eo_contrast.report.run_folder import read_run
from eo_contrast.report.run_kind import kind_of_run
from eo_contrast.report.training_charts import score_charts


def main_charts(run: Path) -> list[Chart]:
    """Of a pretraining, a fine-tuning or a translator's training.

    Those without a number to show, as accuracy of neighbours where nothing is labelled, are left to
    :func:`eo_contrast.report.charts.drawn_charts`, which leaves them out.

    Raises: InputError: no such run lies there, or a file of it is damaged.
    """
    kind = kind_of_run(run)
    if kind == "pretraining":
        told = read_pretraining(run)
        return [progress_chart(told), vector_charts(told)[0], look_charts(told)[0]]
    if kind == "finetuning":
        return finetuning_charts(read_finetuning(run))[:2]
    scores = score_charts(read_run(run))
    return [chart for chart in scores if chart.title.startswith(("PSNR", "Map classes"))]
