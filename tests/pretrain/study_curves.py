"""Curves of the synthetic study's runs, mean and span of their seeds: docs/pictures/README.md.

``python tests/pretrain/study_curves.py OUT.jpg FOLDER METHOD...`` reads FOLDER/METHOD-SEED of every
seed and draws accuracy of neighbours and the loss (over its greatest) by epoch.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import click
import matplotlib as mpl
import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eo_contrast.files import whole_file
from eo_contrast.report.charts import COLOURS, STYLE, plain_axes

Row = dict[str, float]
Points = tuple[NDArray[np.float64], NDArray[np.float64]]


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("methods", nargs=-1, required=True)
def main(out: Path, folder: Path, methods: tuple[str, ...]) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.6), layout="constrained", dpi=110)
        found, lost = figure.subplots(1, 2)
        for method, colour in zip(methods, COLOURS, strict=False):
            runs = sorted(folder.glob(f"{method}-[0-9]"))
            if not runs:
                raise click.ClickException(f"{folder}: holds no run of {method}")
            spanned(found, [neighbours(run) for run in runs], method, colour)
            spanned(lost, [losses(run) for run in runs], method, colour)
        found.set_title("20 nearest neighbours, per cent of validation", fontsize=9, loc="left")
        lost.set_title("Loss over its greatest", fontsize=9, loc="left")
        for axes in (found, lost):
            plain_axes(axes)
            axes.set_xlabel("epoch")
        figure.legend(
            *found.get_legend_handles_labels(),
            loc="outside upper center",
            ncols=len(methods),
            frameon=False,
        )
        with whole_file(out) as partial:
            figure.savefig(partial, format="jpeg", pil_kwargs={"quality": 90})


def spanned(axes: Axes, runs: list[Points], label: str, colour: str) -> None:
    """The mean of a method's seeds and, faint, their span."""
    epochs, values = runs[0][0], np.stack([own for _, own in runs])
    axes.plot(epochs, values.mean(0), color=colour, label=label, linewidth=1.6)
    axes.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.12, linewidth=0)


def neighbours(run: Path) -> Points:
    """Accuracy, per cent, by epoch."""
    rows = rows_of(run, "watch")
    steps = np.array([row["step"] for row in rows])
    return steps / steps_per_epoch(run), 100 * np.array([row["knn"] for row in rows])


def losses(run: Path) -> Points:
    """Loss over the greatest of the run, by epoch."""
    rows = rows_of(run, "train")
    values = np.array([row["loss"] for row in rows])
    steps = np.array([row["step"] for row in rows])
    return steps / steps_per_epoch(run), values / values.max()


def rows_of(run: Path, phase: str) -> list[Row]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["phase"] == phase and math.isfinite(row["step"])]


def steps_per_epoch(run: Path) -> float:
    """Of the last step and the epochs that the run was set to."""
    epochs = yaml.safe_load((run / "config.yaml").read_text())["schedule"]["epochs"]
    return max(row["step"] for row in rows_of(run, "watch")) / epochs


if __name__ == "__main__":
    sys.exit(main())
