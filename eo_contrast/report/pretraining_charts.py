"""Which curves of a pretraining run are drawn, and how to read each."""

from __future__ import annotations

from eo_contrast.pretrain.observe import COLLAPSED_SHARE
from eo_contrast.report.charts import Chart, Curve, Level, curves_of
from eo_contrast.report.pretraining_run import PretrainingRun, chance_of


def space_charts(run: PretrainingRun, space: str) -> list[Chart]:
    """A space's loss against a guess's, and the cosines that it comes from."""
    rows = run.log.train
    guess = chance_of(run.config, space)
    note = "No guess to compare with is known for this objective; lower is better."
    if guess is not None:
        note = f"A guess has {guess:.2f}: a loss that stays there has learnt nothing."
    return [
        Chart(
            "Loss",
            note,
            curves_of(rows, {f"loss/{space}": "loss"}),
            [] if guess is None else [Level("guess", guess)],
        ),
        Chart(
            "Cosine",
            "Of two views of a place, and of a place with the one most like it; the gap is what "
            "a search finds by.",
            curves_of(
                rows, {f"positive/{space}": "own place", f"hardest/{space}": "nearest other place"}
            ),
        ),
    ]


def progress_chart(run: PretrainingRun) -> Chart:
    """The loss of every space against a guess's."""
    return Chart(
        "Loss over that of a guess",
        "1: knows nothing of which views belong together. A curve for each thing that is learnt.",
        _of_spaces(run, "over_chance"),
        [Level("guess", 1.0)],
        from_zero=True,
    )


def vector_charts(run: PretrainingRun) -> list[Chart]:
    """What the vectors of all spaces tell, a curve a space."""
    return [
        Chart(
            "Found, share of places",
            "How often the other view of a place is nearer than every other place of the batch.",
            _of_spaces(run, "found"),
            from_zero=True,
        ),
        Chart(
            "Spread",
            "1: vectors point everywhere. 0: all are one point, the encoder has collapsed.",
            _of_spaces(run, "spread"),
            [Level("collapsed", COLLAPSED_SHARE)],
            from_zero=True,
        ),
        Chart(
            "Alignment",
            "Mean squared distance of two views of a place (Wang and Isola 2020); 0 is perfect.",
            _of_spaces(run, "alignment"),
            from_zero=True,
        ),
        Chart(
            "Uniformity",
            "How evenly vectors fill their sphere (Wang and Isola 2020); lower is more even, below "
            "-2 is healthy.",
            _of_spaces(run, "uniformity"),
        ),
        Chart(
            "Least mutual information, nats",
            "What the views are known to tell of each other: ln of the candidates less the loss.",
            _of_spaces(run, "bound"),
        ),
        Chart(
            "False negatives, share of the queue",
            "Keys of the anchor's own place that count as negatives.",
            _of_spaces(run, "false_negatives"),
            from_zero=True,
        ),
        Chart(
            "Learning rate",
            f"Of {run.config.optimizer.kind}.",
            curves_of(run.log.train, {"lr": "learning rate"}),
            from_zero=True,
        ),
    ]


def look_charts(run: PretrainingRun) -> list[Chart]:
    """What looks at the encoder found, over training steps."""
    several = len(run.config.graph.sensors) > 1
    names = {"": "all sensors" if several else "encoder"}
    if several:
        names |= {f"/{name}": name for name in run.config.graph.sensors}
    return [
        Chart(
            "kNN accuracy",
            f"Share of labelled places whose {run.config.watch.neighbours} nearest vote for their "
            "class.",
            curves_of(run.log.watch, {f"knn{end}": label for end, label in names.items()}),
            from_zero=True,
        ),
        Chart(
            "Rank",
            "How many directions the features use (RankMe, Garrido et al. 2023); a fall is a "
            "collapse of dimensions.",
            curves_of(run.log.watch, {f"rank{end}": label for end, label in names.items()}),
            from_zero=True,
        ),
    ]


def _of_spaces(run: PretrainingRun, what: str) -> list[Curve]:
    names = {f"{what}/{space}": space for space in run.config.graph.spaces}
    return curves_of(run.log.train, names)
