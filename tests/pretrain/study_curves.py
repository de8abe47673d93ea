"""Curves of the synthetic study's runs, mean and span of their seeds: docs/pictures/README.md.

``python tests/pretrain/study_curves.py OUT.jpg FOLDER METHOD...`` reads FOLDER/METHOD-SEED of every
seed and draws accuracy of neighbours and the loss (over its greatest) by epoch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eo_contrast.files import whole_file
from eo_contrast.report.charts import COLOURS, STYLE, plain_axes
from eo_contrast.training.log import read_rows

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
            both = [points(run) for run in runs]
            spanned(found, [own for own, _ in both], method, colour)
            spanned(lost, [own for _, own in both], method, colour)
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


def points(run: Path) -> tuple[Points, Points]:
    """Accuracy of neighbours, per cent, and the loss over its greatest, each by epoch."""
    rows = read_rows(run / "metrics.jsonl")
    epochs = yaml.safe_load((run / "config.yaml").read_text())["schedule"]["epochs"]
    steps_per_epoch = max(row["step"] for row in rows) / epochs
    watched, accuracy = curve(rows, "watch", "knn")
    trained, loss = curve(rows, "train", "loss")
    return (watched / steps_per_epoch, 100 * accuracy), (
        trained / steps_per_epoch,
        loss / loss.max(),
    )


def curve(rows: list[dict[str, Any]], phase: str, name: str) -> Points:
    """Steps and values of one phase's rows."""
    own = [row for row in rows if row["phase"] == phase]
    return np.array([row["step"] for row in own]), np.array([row[name] for row in own])


if __name__ == "__main__":
    sys.exit(main())
