"""The page and the tables of a benchmark."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from eo_contrast.config import load_config
from eo_contrast.errors import InputError
from eo_contrast.files import whole_file
from eo_contrast.landcover.benchmark import read_benchmark
from eo_contrast.landcover.benchmark_config import BenchmarkConfig
from eo_contrast.landcover.benchmark_table import (
    HEADLINE,
    PROTOCOLS,
    SPELT,
    Group,
    Summarised,
    columns_of,
    encoders_of,
    latex_table,
    markdown_table,
    over,
    summarised,
)
from eo_contrast.report.benchmark_plots import protocol_plots
from eo_contrast.report.page import write_page
from eo_contrast.report.pictures import Picture
from eo_contrast.report.score_table import Score, Table
from eo_contrast.training.describe import CONFIG_FILE, REPORT_FILE
from eo_contrast.training.land_cover_card import LandCoverTask

PLOTS = "plots"
SHOWN: Mapping[LandCoverTask, tuple[str, ...]] = {
    "classification": ("accuracy", "average_accuracy", "macro_f1", "kappa"),
    "multi-label": ("macro_map", "micro_map", "macro_f1", "micro_f1"),
    "segmentation": ("mean_iou", "accuracy", "average_accuracy", "macro_f1", "kappa"),
}
"""In tables; results.csv has all."""
REFERENCE = "random"
MEANINGS = {
    "accuracy": "share of places whose class is right",
    "average_accuracy": "mean over classes of the share of their places that is right",
    "macro_f1": "mean over classes of F1",
    "micro_f1": "F1 of all pairs of place and class",
    "macro_map": "mean over classes of average precision",
    "micro_map": "average precision of all pairs of place and class",
    "mean_iou": "mean over classes of the overlap with the truth",
    "kappa": "accuracy beyond chance",
}


@dataclass(frozen=True)
class Plot:
    """A protocol's curves, under a heading."""

    heading: str
    picture: Picture


def benchmark_report(out: Path) -> Path:
    """Write ``table.md``, ``table.tex``, ``plots/*.svg`` and ``report.html`` beside the results.

    Returns: the page's path.

    Raises:
        InputError: no benchmark lies there, or it has no finished cell.
        WorldError: the disk is full or failing.
    """
    config = load_config(BenchmarkConfig, out / CONFIG_FILE)
    cells = read_benchmark(out)
    if not cells:
        raise InputError(f"{out}: has no finished cell yet; go on with benchmark ... --resume")
    groups = summarised(cells)
    metric = HEADLINE[config.finetune.task]
    shown = _shown(config)
    _write(out / "table.md", _markdown(config, groups, shown))
    _write(out / "table.tex", latex_table(groups, metric))
    plots = protocol_plots(groups, metric)
    for protocol, picture in plots.items():
        _write_svg(out / PLOTS / f"{protocol}.svg", picture)
    unfinished = _unfinished(config, groups)
    return write_page(
        out / REPORT_FILE,
        "benchmark",
        title=f"Benchmark: {config.name or out.resolve().name}",
        summary=_summary(config, groups),
        unfinished=unfinished,
        faults=config.faults,
        metric=_begun(SPELT[metric]),
        meaning=_begun(MEANINGS[metric]),
        headline=_table(groups, metric),
        differences=_differences(groups, metric),
        plots=[Plot(PROTOCOLS[name], picture) for name, picture in plots.items()],
        others=[
            (_begun(SPELT[name]), _begun(MEANINGS[name]), _table(groups, name))
            for name in shown
            if name != metric
        ],
        config_text=yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
    )


def _shown(config: BenchmarkConfig) -> list[str]:
    """Scores that mean something of the task, the headline first."""
    task = config.finetune.task
    return [HEADLINE[task], *(name for name in SHOWN[task] if name != HEADLINE[task])]


def _markdown(config: BenchmarkConfig, groups: Mapping[Group, Summarised], shown: list[str]) -> str:
    parts = [f"# {config.name or 'Benchmark'}\n", _summary(config, groups) + "\n"]
    parts += [f"- {fault}" for fault in config.faults]
    for name in shown:
        parts.append(f"\n## {_begun(SPELT[name])} ({MEANINGS[name]})\n")
        parts.append(markdown_table(groups, name))
    return "\n".join(parts)


def _summary(config: BenchmarkConfig, groups: Mapping[Group, Summarised]) -> str:
    seeds = max(own.seeds for own in groups.values())
    return (
        f"Per cent on the test split, mean of {seeds} seed{'s' if seeds > 1 else ''}, with 95 % "
        "intervals by a bootstrap over test places and seeds. Shares of labels are drawn without "
        "replacement, by class, one within the next; what is chosen is chosen on validation, and "
        "the test split is looked at once a configuration."
    )


def _unfinished(config: BenchmarkConfig, groups: Mapping[Group, Summarised]) -> str:
    lacking = [group for group, own in groups.items() if own.seeds < len(config.seeds)]
    if not lacking:
        return ""
    return (
        f"{len(lacking)} cells have fewer than {len(config.seeds)} seeds yet; the same benchmark "
        "command with --resume goes on."
    )


def _table(groups: Mapping[Group, Summarised], metric: str) -> Table:
    columns = columns_of(groups)
    rows, values = [], []
    for encoder in encoders_of(groups):
        found = [groups.get(Group(encoder, *column)) for column in columns]
        scores = [None if each is None else each.scores[metric] for each in found]
        rows.append(
            (
                encoder,
                [
                    "–"
                    if score is None
                    else f"{100 * score.mean:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
                    for score in scores
                ],
            )
        )
        values.append([float("-inf") if score is None else score.mean for score in scores])
    highest = [max(column) for column in zip(*values, strict=True)]
    best = [[each == top for each, top in zip(row, highest, strict=True)] for row in values]
    heads = [
        Score(PROTOCOLS[protocol], f"{100 * share:g} % of labels") for protocol, share in columns
    ]
    return Table(heads, rows, best)


def _differences(groups: Mapping[Group, Summarised], metric: str) -> Table | None:
    """What each encoder has over a random one, paired; None: there is none."""
    columns = columns_of(groups)
    rows, best = [], []
    for encoder in encoders_of(groups):
        texts, above = [], []
        for column in columns:
            own, reference = (groups.get(Group(name, *column)) for name in (encoder, REFERENCE))
            apart = None if own is None or reference is None else over(own, reference, metric)
            if apart is None:
                texts.append("–")
            else:
                texts.append(
                    f"{100 * apart.mean:+.1f} [{100 * apart.low:+.1f}, {100 * apart.high:+.1f}]"
                )
            above.append(apart is not None and apart.low > 0)
        if encoder != REFERENCE:
            rows.append((encoder, texts))
            best.append(above)
    if REFERENCE not in encoders_of(groups) or not rows:
        return None
    heads = [
        Score(PROTOCOLS[protocol], f"{100 * share:g} % of labels") for protocol, share in columns
    ]
    return Table(heads, rows, best)


def _begun(text: str) -> str:
    """As a sentence begins; names such as mAP stay as they are."""
    return text if text[:1].isupper() else text[:1].upper() + text[1:]


def _write(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _write_svg(path: Path, picture: Picture) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(base64.b64decode(picture.uri.partition(",")[2]))
