"""A benchmark's cells over seeds: means, intervals, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eo_contrast.evaluate.drawn_scores import (
    DRAWS,
    MULTI_LABEL_DRAWS,
    Draws,
    Summary,
    confusion_draws,
    difference,
    draw_places,
    multi_label_draws,
)
from eo_contrast.evaluate.intervals import of_single_labels
from eo_contrast.landcover.benchmark_rows import Cell
from eo_contrast.landcover.predictions import PixelPredictions, Predictions
from eo_contrast.training.land_cover_card import LandCoverTask

HEADLINE: Mapping[LandCoverTask, str] = {
    "classification": "accuracy",
    "multi-label": "macro_map",
    "segmentation": "mean_iou",
}
"""The score that tables and curves show; results.csv has all."""
SPELT = {
    "accuracy": "overall accuracy",
    "average_accuracy": "average accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "macro_map": "macro mAP",
    "micro_map": "micro mAP",
    "mean_iou": "mean IoU",
    "kappa": "kappa",
}
PROTOCOLS = {"knn": "kNN", "linear": "linear probe", "finetune": "fine-tuned"}


@dataclass(frozen=True)
class Group:
    """What the seeds of a table's cell share."""

    encoder: str
    protocol: str
    fraction: float


@dataclass(frozen=True)
class Summarised:
    """A group's scores over its seeds.

    Attributes:
        seeds: how many are finished.
        scores: by name, 0..1.
    """

    seeds: int
    scores: Mapping[str, Summary]


def summarised(cells: Mapping[Cell, Predictions]) -> dict[Group, Summarised]:
    """Every group's scores with intervals over its seeds and over test places.

    Groups of as many seeds are drawn alike, so that their differences can be paired.
    """
    of_groups: dict[Group, list[Predictions]] = {}
    for cell, predictions in cells.items():
        group = Group(cell.encoder, cell.protocol, cell.fraction)
        of_groups.setdefault(group, []).append(predictions)
    kept: dict[tuple[int, int, int], Draws] = {}
    return {
        group: Summarised(len(seeds), _scores(seeds, kept)) for group, seeds in of_groups.items()
    }


def over(first: Summarised, second: Summarised, metric: str) -> Summary | None:
    """How much more the first scores, paired; None: of other numbers of seeds."""
    if first.seeds != second.seeds:
        return None
    return difference(first.scores[metric], second.scores[metric])


def markdown_table(groups: Mapping[Group, Summarised], metric: str) -> str:
    """Encoders by protocols and shares of labels: per cent, with 95 % intervals."""
    columns = columns_of(groups)
    lines = [
        "| encoder | " + " | ".join(_heading(*column) for column in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    best = _best(groups, columns, metric)
    for encoder in encoders_of(groups):
        cells = []
        for column in columns:
            found = groups.get(Group(encoder, *column))
            text = "" if found is None else _text(found.scores[metric])
            cells.append(f"**{text}**" if best[column] == encoder else text)
        lines.append(f"| {encoder} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def latex_table(groups: Mapping[Group, Summarised], metric: str) -> str:
    """The same as a booktabs tabular."""
    columns = columns_of(groups)
    best = _best(groups, columns, metric)
    lines = [
        r"\begin{tabular}{l" + "c" * len(columns) + "}",
        r"\toprule",
        "encoder & " + " & ".join(_escaped(_heading(*each)) for each in columns) + r" \\",
        r"\midrule",
    ]
    for encoder in encoders_of(groups):
        cells = []
        for column in columns:
            found = groups.get(Group(encoder, *column))
            text = "" if found is None else _escaped(_text(found.scores[metric]))
            cells.append(rf"\textbf{{{text}}}" if best[column] == encoder else text)
        lines.append(_escaped(encoder) + " & " + " & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def columns_of(groups: Mapping[Group, Summarised]) -> list[tuple[str, float]]:
    """Protocols and shares that there are, in the order of protocols, small shares first."""
    found = {(group.protocol, group.fraction) for group in groups}
    return sorted(found, key=lambda column: (list(PROTOCOLS).index(column[0]), column[1]))


def encoders_of(groups: Mapping[Group, Summarised]) -> list[str]:
    """In the order of the groups."""
    return list(dict.fromkeys(group.encoder for group in groups))


def _scores(
    seeds: Sequence[Predictions], kept: dict[tuple[int, int, int], Draws]
) -> dict[str, Summary]:
    first = seeds[0]
    several = not isinstance(first, PixelPredictions) and first.true.ndim == 2
    places = first.confusions.places if isinstance(first, PixelPredictions) else len(first.true)
    count = MULTI_LABEL_DRAWS if several else DRAWS
    key = (places, len(seeds), count)
    draws = kept.setdefault(key, draw_places(places, len(seeds), draws=count))
    if several:
        return multi_label_draws(
            [
                (own.probabilities, own.true)
                for own in seeds
                if not isinstance(own, PixelPredictions)
            ],
            draws,
        )
    confusions = [
        own.confusions
        if isinstance(own, PixelPredictions)
        else of_single_labels(own.probabilities.argmax(1), own.true, own.probabilities.shape[1])
        for own in seeds
    ]
    return confusion_draws(confusions, draws)


def _best(
    groups: Mapping[Group, Summarised], columns: Sequence[tuple[str, float]], metric: str
) -> dict[tuple[str, float], str]:
    found = {}
    for column in columns:
        means = {
            group.encoder: own.scores[metric].mean
            for group, own in groups.items()
            if (group.protocol, group.fraction) == column
        }
        found[column] = max(means, key=lambda encoder: means[encoder])
    return found


def _heading(protocol: str, fraction: float) -> str:
    return f"{PROTOCOLS[protocol]}, {100 * fraction:g} %"


def _text(score: Summary) -> str:
    return f"{100 * score.mean:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def _escaped(text: str) -> str:
    """For LaTeX."""
    for character in "&%_#$":
        text = text.replace(character, "\\" + character)
    return text
