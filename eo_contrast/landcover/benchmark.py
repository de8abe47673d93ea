"""Encoders against each other: protocols by shares of labels by seeds, one cell after another.

A cell's predictions of the test places are written once, whole; its rows are then appended to
``results.csv``. What is there already is not computed again, so that a stopped benchmark goes on.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from eo_contrast.data.place_sources import PlaceSource, open_places
from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import whole_file
from eo_contrast.landcover.benchmark_config import BenchmarkConfig, Protocol
from eo_contrast.landcover.benchmark_folder import RUNS, Begun, cell_file, lay_out
from eo_contrast.landcover.benchmark_rows import RESULTS, Cell, ResultRows, read_rows
from eo_contrast.landcover.config import FinetuneConfig, FinetuneData
from eo_contrast.landcover.contenders import Contender, Identity, likened
from eo_contrast.landcover.finetune import RunOptions as FinetuneOptions
from eo_contrast.landcover.finetune import finetune
from eo_contrast.landcover.frozen import Frozen, frozen_predictions
from eo_contrast.landcover.labels import LabelConfig, LabelledPlaces, labelled_places
from eo_contrast.landcover.predictions import Predictions, read_predictions, save_predictions
from eo_contrast.landcover.start import RANDOM, Start, starting_encoder
from eo_contrast.training.checkpoint import CHECKPOINT_FILE
from eo_contrast.training.loop import process_count
from eo_contrast.training.run_folder import TEST_FILE

EXPECTED = (RANDOM, "statistics", "random-convolutions")
"""What an encoder that has learnt something passes."""
# Settings that messages of fine-tuning tell to give; here they lie below finetune.
_SETTINGS = [f"labels.{name}" for name in LabelConfig.model_fields]
_SETTINGS += [f"data.{name}" for name in FinetuneData.model_fields]
_SETTINGS += ["head.maps"]
_SETTING = re.compile(rf"(?<![\w./])({'|'.join(map(re.escape, _SETTINGS))})\b")


@dataclass(frozen=True)
class BenchmarkOptions:
    """What a user says beside the configuration.

    Attributes:
        resume: go on in a folder that a benchmark was begun in.
        overwrite: start anew in a folder that holds another.
        advance: told how many cells are done, and which is next.
    """

    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    say: Callable[[str], None] = lambda text: None
    advance: Callable[[int, str], None] = lambda done, what: None


@dataclass
class _Work:
    """What the cells of a benchmark share."""

    config: BenchmarkConfig
    data: Path
    source: PlaceSource
    labelled: Mapping[str, LabelledPlaces]
    out: Path
    options: BenchmarkOptions
    frozen: dict[tuple[str, int], Frozen] = field(default_factory=dict)


def benchmark(
    config: BenchmarkConfig,
    data: Path,
    encoders: tuple[Contender, ...],
    out: Path,
    options: BenchmarkOptions,
) -> dict[str, Any]:
    """Measure every encoder by every protocol, share of labels and seed.

    Args:
        data: a labelled catalogue, or a pack of one.
        encoders: of :func:`eo_contrast.landcover.contenders.contenders_of`.
        out: a folder; gets ``results.csv``, ``predictions/``, ``runs/``, ``config.yaml``.

    Returns: ``out``, ``cells``, ``computed`` (how many of them in this call), ``test`` (places
        scored), ``classes``, ``seconds``.
    Raises:
        InputError: data, encoders and configuration do not fit; a share that leaves a class
            without a label; a folder of another benchmark.
        Interrupted: stopped by a signal while a net was trained; ``resume`` goes on.
        WorldError: the disk is full.
    """
    start = time.monotonic()
    _refuse_several_processes(out)
    source = open_places(data)
    encoders = likened(encoders)
    cells = list(cells_of(config, encoders))
    if not cells:
        raise _no_rows(config, encoders)
    try:
        starts = {each.name: _start(config, each, source, data, options.say) for each in encoders}
        labelled = _labelled(config, starts, source, data)
    except InputError as error:
        raise InputError(_SETTING.sub(r"finetune.\1", str(error))) from error
    shown = next(iter(labelled.values()))
    begun = Begun(shown.digest(source.names), _identities(config, encoders, starts, source))
    work = _Work(config, data, source, labelled, out, options)
    with disk_errors_named(out):
        lay_out(config, begun, data, out, resume=options.resume, overwrite=options.overwrite)
        _tell_rows(config, encoders, options.say)
        rows = ResultRows(out / RESULTS, lambda cell: _scores(out, cell))
        computed = 0
        for done, (contender, cell) in enumerate(cells):
            options.advance(done, str(cell))
            computed += _measured(work, contender, cell, rows)
        options.advance(len(cells), "")
    return {
        "out": str(out),
        "cells": len(cells),
        "computed": computed,
        "test": len(shown.splits["test"].places),
        "classes": list(shown.classes),
        "seconds": round(time.monotonic() - start, 3),
    }


def _refuse_several_processes(out: Path) -> None:
    if process_count() > 1:
        raise InputError(
            f"{out}: a benchmark is written by one process; start it without torchrun, and others "
            "with encoders of their own elsewhere"
        )


def cells_of(
    config: BenchmarkConfig, encoders: tuple[Contender, ...]
) -> Iterator[tuple[Contender, Cell]]:
    """Every cell, frozen ones first, so that a stopped benchmark has most rows early.

    Baselines have no net, so that they are not fine-tuned, nor score pixels.
    """
    order: tuple[Protocol, ...] = ("knn", "linear", "finetune")
    for protocol in (each for each in order if each in config.protocols):
        for contender in encoders:
            trains = protocol == "finetune" or config.finetune.task == "segmentation"
            if contender.is_baseline and trains:
                continue
            for fraction in config.fractions:
                for seed in config.seeds:
                    yield contender, Cell(contender.name, protocol, fraction, seed)


def read_benchmark(out: Path) -> dict[Cell, Predictions]:
    """The test predictions of every cell that ``results.csv`` has, in its order.

    Raises: InputError: no benchmark lies there, or predictions are missing or damaged.
    """
    return {cell: read_predictions(cell_file(out, cell))[0] for cell in read_rows(out / RESULTS)}


def _scores(out: Path, cell: Cell) -> dict[str, float] | None:
    """Of a cell's predictions; None: there are none."""
    file = cell_file(out, cell)
    return read_predictions(file)[0].scores() if file.is_file() else None


def _measured(work: _Work, contender: Contender, cell: Cell, rows: ResultRows) -> bool:
    """See that a cell's predictions and rows are there; whether they had to be computed."""
    file = cell_file(work.out, cell)
    missing = not file.is_file()
    if missing and (cell.protocol == "finetune" or work.config.finetune.task == "segmentation"):
        _trained(work, contender, cell, file)
    elif missing:
        _frozen(work, contender, cell, file)
    if cell not in rows:
        rows.add(cell, read_predictions(file)[0].scores())
    return missing


def _frozen(work: _Work, contender: Contender, cell: Cell, file: Path) -> None:
    key = (contender.name, cell.seed if contender.varies else -1)
    labelled = work.labelled[contender.name]
    if key not in work.frozen:
        # One encoder's features at a time: those of others are not needed again.
        work.frozen = {at: own for at, own in work.frozen.items() if at[0] == contender.name}
        work.frozen[key] = Frozen.of(
            contender,
            _config_of(work.config.finetune, cell),
            work.source,
            labelled,
            where=str(work.data),
        )
    predictions = frozen_predictions(
        work.frozen[key], labelled, cell.protocol, fraction=cell.fraction, seed=cell.seed
    )
    test = labelled.splits["test"].places.tolist()
    save_predictions(
        predictions,
        file,
        task=labelled.task,
        classes=labelled.classes,
        places=[work.source.names[number] for number in test],
        numbers=test,
    )


def _trained(work: _Work, contender: Contender, cell: Cell, file: Path) -> None:
    run = work.out / RUNS / cell.slug
    begun = (run / CHECKPOINT_FILE).is_file()
    options = FinetuneOptions(
        device=work.options.device,
        resume=begun,
        overwrite=not begun,
        quiet=True,
        say=work.options.say,
    )
    config = _config_of(work.config.finetune, cell)
    finetune(config, work.data, contender.encoder(cell.seed), run, options)
    with whole_file(file) as partial:
        shutil.copyfile(run / TEST_FILE, partial)
    # Weights, optimiser and orders of a run that is finished; many runs' fill a disk.
    (run / CHECKPOINT_FILE).unlink(missing_ok=True)


def _config_of(config: FinetuneConfig, cell: Cell) -> FinetuneConfig:
    data = config.data.model_copy(update={"label_fraction": cell.fraction})
    mode = {"linear": "linear"}.get(cell.protocol, config.mode)
    changed: dict[str, Any] = {"seed": cell.seed, "data": data, "mode": mode}
    if cell.protocol == "finetune" and config.mode == "full":
        # Maps are of frozen features; a net that is trained whole goes through to its end.
        changed["head"] = config.head.model_copy(update={"maps": None})
    return config.model_copy(update=changed)


def _start(
    config: BenchmarkConfig,
    contender: Contender,
    source: PlaceSource,
    data: Path,
    say: Callable[[str], None],
) -> Start:
    """Of its first seed, without its weights."""
    what = contender.encoder(config.seeds[0])
    start = starting_encoder(what, config.finetune, source, where=str(data), say=say)
    return replace(start, net=None)


def _identities(
    config: BenchmarkConfig,
    encoders: Sequence[Contender],
    starts: Mapping[str, Start],
    source: PlaceSource,
) -> dict[str, Identity]:
    sizes = {name: config.finetune.data.size or own.card.size for name, own in starts.items()}
    return {
        each.name: each.identity(
            config.seeds, starts[each.name], min(sizes[each.name], source.size)
        )
        for each in encoders
    }


def _labelled(
    config: BenchmarkConfig, starts: Mapping[str, Start], source: PlaceSource, data: Path
) -> dict[str, LabelledPlaces]:
    """The labelled places of each encoder: the same ones of all.

    Raises: InputError: they are not, or a share of the labels leaves a class without any.
    """
    found: dict[str, LabelledPlaces] = {}
    for name, start in starts.items():
        found[name] = labelled_places(
            source,
            config.finetune.task,
            config.finetune.labels,
            products=[start.card.sensors[sensor].product for sensor in start.sensors],
            side=config.finetune.data.size or start.card.size,
            where=str(data),
        )
    first, *others = found
    for other in others:
        _refuse_other_places(first, found[first], other, found[other], data)
    for fraction in config.fractions:
        for seed in config.seeds:
            found[first].share(fraction, seed=seed)
    return found


def _refuse_other_places(
    first: str, own: LabelledPlaces, second: str, other: LabelledPlaces, data: Path
) -> None:
    for split, places in own.splits.items():
        theirs = other.splits[split]
        if places.places.tolist() != theirs.places.tolist():
            raise InputError(
                f"{data}: {first} sees {len(places.places)} places of the split {split} and "
                f"{second} {len(theirs.places)}, since not every place has images of every sensor, "
                "or a label in the middle that each sees; compare them on a catalogue of places "
                "that have all, at one data.size"
            )
        if not np.array_equal(places.presence, theirs.presence):
            raise InputError(
                f"{data}: {first} and {second} see middles of different sizes, whose labels "
                "differ; give data.size"
            )


def _no_rows(config: BenchmarkConfig, encoders: Sequence[Contender]) -> InputError:
    names = " and ".join(each.name for each in encoders)
    return InputError(
        f"--encoders: {names} are features of places without a net, and protocols "
        f"{' '.join(config.protocols)} of {config.finetune.task} need one; "
        "give random, or models"
    )


def _tell_rows(
    config: BenchmarkConfig, encoders: Sequence[Contender], say: Callable[[str], None]
) -> None:
    """Tell which rows there will not be, and which the table should have."""
    pixels = config.finetune.task == "segmentation"
    frozen = not pixels and bool({"knn", "linear"} & set(config.protocols))
    rowless = [each.name for each in encoders if each.is_baseline and not frozen]
    if rowless:
        say(
            f"{' and '.join(rowless)}: features of places without a net, so that there are no rows "
            f"of {'pixels' if pixels else 'fine-tuning'}"
        )
    listed = {each.what for each in encoders}
    lacking = [each for each in (EXPECTED if frozen else (RANDOM,)) if each not in listed]
    if lacking:
        say(
            f"--encoders lists no {' or '.join(lacking)}: a table without tells not what was learnt"
        )
