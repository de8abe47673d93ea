"""What a training run has written so far, read from its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eo_contrast.config import load_config
from eo_contrast.errors import InputError
from eo_contrast.nets.generator import feature_sizes
from eo_contrast.training.card import MODEL_FILE, Card, read_card
from eo_contrast.training.checkpoint import CHECKPOINT_FILE
from eo_contrast.training.describe import CONFIG_FILE
from eo_contrast.training.log import METRICS_FILE, TIMINGS_FILE, read_rows
from eo_contrast.translate.config import TranslatorConfig

Row = Mapping[str, float]


@dataclass(frozen=True)
class Log:
    """What any training has logged, by rising step.

    Attributes:
        train: rows of the losses.
        watch: rows of the looks in between.
        timings: rows of ``timings.jsonl`` as written; after a resume steps may come twice.
    """

    train: Sequence[Row]
    watch: Sequence[Row]
    timings: Sequence[Row]

    @property
    def step(self) -> int:
        """The last step that anything is known of; 0 before the first row."""
        rows = (*self.train, *self.watch)
        return max((int(row["step"]) for row in rows), default=0)


@dataclass(frozen=True)
class Run:
    """A translator's training run as it lies on disk.

    Attributes:
        folder: the run folder, as the user named it.
        card: of the saved model; None while there is none.
        resumable: whether a checkpoint lies there.
        train: rows of the losses, by rising step.
        watch: rows of the scores, by rising step.
        timings: rows of ``timings.jsonl`` as written; after a resume steps may come twice.
        samples: pictures in ``samples/``, (step, path) by rising step.
    """

    folder: Path
    config: TranslatorConfig
    card: Card | None
    resumable: bool
    train: Sequence[Row]
    watch: Sequence[Row]
    timings: Sequence[Row]
    samples: Sequence[tuple[int, Path]]

    @property
    def step(self) -> int:
        """The last step that anything is known of; 0 before the first row."""
        return Log(self.train, self.watch, self.timings).step


@dataclass(frozen=True)
class Speed:
    """How long a run took.

    Attributes:
        total_s: seconds in all, looks at pictures included.
        step_s: median over log intervals of seconds a step; None before the first row.
        peak_rss_mib: largest resident memory; None where it was not noted.
    """

    total_s: float
    step_s: float | None
    peak_rss_mib: float | None


def read_run(folder: Path) -> Run:
    """Read the run folder of a translator, finished or not.

    Raises:
        InputError: no such folder, no training run in it, or a file of it is damaged.
    """
    log = read_log(folder)
    return Run(
        folder=folder,
        config=load_config(TranslatorConfig, folder / CONFIG_FILE),
        card=read_card(folder) if (folder / MODEL_FILE).is_file() else None,
        resumable=(folder / CHECKPOINT_FILE).is_file(),
        train=log.train,
        watch=log.watch,
        timings=log.timings,
        samples=_samples(folder / "samples"),
    )


def read_log(folder: Path) -> Log:
    """What a training of any kind has logged into its folder.

    Raises:
        InputError: no such folder, no training run in it, or a log of it is damaged.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; give the run folder of a training")
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(
            f"{folder}: holds no {CONFIG_FILE}, so no training run; give the run folder of a "
            "training"
        )
    rows = _checked(read_rows(folder / METRICS_FILE), folder / METRICS_FILE)
    timings = _checked(read_rows(folder / TIMINGS_FILE), folder / TIMINGS_FILE)
    return Log(
        train=_of_phase(rows, "train"),
        watch=_of_phase(rows, "watch"),
        timings=[_numbers(row) for row in timings],
    )


def speed(timings: Sequence[Row]) -> Speed:
    """Totals and medians of ``timings.jsonl``.

    A row tells the seconds since the row before; where steps fall back the run was resumed,
    and how many steps that row covers is not known.
    """
    before = 0
    per_step = []
    for row in timings:
        step = int(row["step"])
        if step > before:
            per_step.append(row.get("seconds", math.nan) / (step - before))
        before = step
    peaks = [row["peak_rss_mib"] for row in timings if "peak_rss_mib" in row]
    return Speed(
        total_s=sum(row.get("seconds", 0.0) for row in timings),
        step_s=sorted(per_step)[len(per_step) // 2] if per_step else None,
        peak_rss_mib=max(peaks, default=None),
    )


def patches_by_layer(config: TranslatorConfig) -> dict[str, int]:
    """How many patches each PatchNCE layer chooses among: what chance is 1 in.

    Small crops have fewer positions in deep layers than ``patch_sampler.patches``.
    """
    side = config.data.crop.crop_size
    sizes = feature_sizes(config.generator, side, side)
    images = config.data.batch_size if config.loss.whole_batch_negatives else 1
    wanted = config.patch_sampler.patches
    return {
        layer: min(wanted, math.prod(sizes[layer])) * images
        for layer in config.patch_sampler.layers
        if layer in sizes
    }


def _checked(rows: Sequence[object], path: Path) -> list[dict[str, float | str]]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise InputError(f"{path}: line {number} names no step; not a log of a training run")
    return list(rows)  # type: ignore[arg-type]


def _of_phase(rows: Sequence[Mapping[str, float | str]], phase: str) -> list[Row]:
    return [_numbers(row) for row in rows if row.get("phase") == phase]


def _numbers(row: Mapping[str, float | str]) -> Row:
    return {name: float(value) for name, value in row.items() if isinstance(value, (int, float))}


def _samples(folder: Path) -> list[tuple[int, Path]]:
    found = []
    for path in folder.glob("step-*.png"):
        number = path.stem.removeprefix("step-")
        if number.isdigit():
            found.append((int(number), path))
    return sorted(found)
