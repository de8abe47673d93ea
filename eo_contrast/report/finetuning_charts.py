"""Which curves of a fine-tuning run are drawn, and how to read each."""

from __future__ import annotations

from collections.abc import Sequence

from eo_contrast.report.charts import Chart, Mark, curves_of
from eo_contrast.report.finetuning_run import FinetuningRun
from eo_contrast.report.land_cover_scores import LOWER_IS_BETTER, OF_TASK, SCORES


def finetuning_charts(run: FinetuningRun) -> list[Chart]:
    """Loss, scores on validation and the rate, with the step whose net is kept."""
    chosen = run.chosen
    marks = [] if chosen is None else [Mark("kept" if run.card else "best so far", chosen["step"])]
    deciding = SCORES[run.chosen_by]
    others = [name for name in OF_TASK[run.config.task] if name != run.chosen_by]
    shares = [name for name in others if name not in LOWER_IS_BETTER]
    return [
        Chart(
            "Loss on training places",
            "Cross entropy, mean since the point before; augmented images where there are any.",
            curves_of(run.log.train, {"loss": "loss"}),
            from_zero=True,
            marks=marks,
        ),
        Chart(
            f"{deciding.label} on validation",
            f"Share, 0 to 1: {deciding.meaning}. The net of its best epoch, the first of several, "
            "is kept.",
            curves_of(run.log.watch, {run.chosen_by: _lower(deciding.label)}),
            marks=marks,
        ),
        _of_validation(run, "Other scores on validation", "1 is perfect.", shares, marks),
        _of_validation(
            run,
            "Doubt on validation",
            "A rise while accuracy stays: the model grows surer than it may be.",
            [name for name in others if name in LOWER_IS_BETTER],
            marks,
        ),
        Chart(
            "Learning rate",
            "Of the head (AdamW); the encoder's, where it is trained, moves alike.",
            curves_of(run.log.train, {"lr": "learning rate"}),
            from_zero=True,
        ),
    ]


def _of_validation(
    run: FinetuningRun, title: str, note: str, names: Sequence[str], marks: Sequence[Mark]
) -> Chart:
    labels = {name: _lower(SCORES[name].label) for name in names}
    return Chart(title, note, curves_of(run.log.watch, labels), marks=marks)


def _lower(label: str) -> str:
    """Without the capital of a sentence's beginning; F1, mAP and IoU keep theirs."""
    return label if label[:2] in ("mA", "F1") else f"{label[0].lower()}{label[1:]}"
