"""Encoders against each other: protocols by shares of labels by seeds, one cell after another.

A cell's predictions of the test places are written once, whole; its rows are then appended to
``results.csv``. What is there already is not computed again, so that a stopped benchmark goes on.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eo_contrast.config import load_config, save_config
from eo_contrast.data.place_sources import PlaceSource, open_places
from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import refuse_existing, refuse_strangers, whole_file
from eo_contrast.landcover.benchmark_config import BenchmarkConfig, Protocol
from eo_contrast.landcover.benchmark_rows import RESULTS, Cell, ResultRows, read_rows
from eo_contrast.landcover.config import FinetuneConfig, FinetuneData
from eo_contrast.landcover.contenders import Contender
from eo_contrast.landcover.finetune import RunOptions as FinetuneOptions
from eo_contrast.landcover.finetune import finetune
from eo_contrast.landcover.frozen import Frozen, frozen_predictions
from eo_contrast.landcover.labels import LabelConfig, LabelledPlaces, labelled_places
from eo_contrast.landcover.predictions import Predictions, read_predictions, save_predictions
from eo_contrast.landcover.start import RANDOM, starting_encoder
from eo_contrast.training.checkpoint import CHECKPOINT_FILE
from eo_contrast.training.describe import CONFIG_FILE, REPORT_FILE
from eo_contrast.training.run_folder import TEST_FILE

PREDICTIONS, RUNS = "predictions", "runs"
CONTENDERS = "encoders.txt"
WRITTEN = {
    RESULTS, PREDICTIONS, RUNS, CONTENDERS, CONFIG_FILE, REPORT_FILE, "plots", "table.md",
    "table.tex",
}  # fmt: skip

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
    source = open_places(data)
    try:
        labelled = _labelled(config, encoders, source, data)
    except InputError as error:
        raise InputError(_SETTING.sub(r"finetune.\1", str(error))) from error
    identities = {each.name: each.identity(config.seeds) for each in encoders}
    work = _Work(config, data, source, labelled, out, options)
    cells = list(cells_of(config, encoders))
    with disk_errors_named(out):
        _lay_out(config, identities, out, options)
        rows = ResultRows(out / RESULTS, lambda cell: _scores(out, cell))
        computed = 0
        for done, (contender, cell) in enumerate(cells):
            options.advance(done, str(cell))
            computed += _measured(work, contender, cell, rows)
        options.advance(len(cells), "")
    shown = next(iter(labelled.values()))
    return {
        "out": str(out),
        "cells": len(cells),
        "computed": computed,
        "test": len(shown.splits["test"].places),
        "classes": list(shown.classes),
        "seconds": round(time.monotonic() - start, 3),
    }


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
    return {cell: read_predictions(_file(out, cell))[0] for cell in read_rows(out / RESULTS)}


def _scores(out: Path, cell: Cell) -> dict[str, float] | None:
    """Of a cell's predictions; None: there are none."""
    file = _file(out, cell)
    return read_predictions(file)[0].scores() if file.is_file() else None


def _measured(work: _Work, contender: Contender, cell: Cell, rows: ResultRows) -> bool:
    """See that a cell's predictions and rows are there; whether they had to be computed."""
    file = _file(work.out, cell)
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


def _labelled(
    config: BenchmarkConfig, encoders: tuple[Contender, ...], source: PlaceSource, data: Path
) -> dict[str, LabelledPlaces]:
    """The labelled places of each encoder: the same ones of all.

    Raises: InputError: they are not, or a share of the labels leaves a class without any.
    """
    found: dict[str, LabelledPlaces] = {}
    for contender in encoders:
        what = RANDOM if contender.is_baseline else contender.encoder(config.seeds[0])
        start = starting_encoder(what, config.finetune, source, where=str(data))
        found[contender.name] = labelled_places(
            source,
            config.finetune.task,
            config.finetune.labels,
            products=[start.card.sensors[name].product for name in start.sensors],
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
        theirs = other.splits[split].places
        if places.places.tolist() != theirs.tolist():
            raise InputError(
                f"{data}: {first} sees {len(places.places)} places of the split {split} and "
                f"{second} {len(theirs)}, since not every place has images of every sensor; "
                "compare them on a catalogue of places that have all"
            )


def _lay_out(
    config: BenchmarkConfig, identities: Mapping[str, str], out: Path, options: BenchmarkOptions
) -> None:
    """The folder with what decides the numbers in it.

    Raises: InputError: it holds another benchmark, or what none makes.
    """
    listed = "".join(f"{name} {identity}\n" for name, identity in identities.items())
    if options.resume and (out / CONFIG_FILE).is_file():
        _refuse_other_benchmark(config, listed, out)
        return
    refuse_existing(out, overwrite=options.overwrite)
    if out.exists():
        refuse_strangers(out, WRITTEN.__contains__, "no benchmark")
        shutil.rmtree(out)
    (out / PREDICTIONS).mkdir(parents=True)
    (out / CONTENDERS).write_text(listed)
    save_config(config, out / CONFIG_FILE)


def _refuse_other_benchmark(config: BenchmarkConfig, listed: str, out: Path) -> None:
    then = load_config(BenchmarkConfig, out / CONFIG_FILE).model_dump(mode="json")
    now = config.model_dump(mode="json")
    # More of these are more cells; those that are there stay as they are.
    more = {"protocols", "fractions", "seeds"}
    changed = sorted(key for key in now if key not in more and now[key] != then[key])
    if changed:
        raise InputError(
            f"{out}: was begun with another {', '.join(changed)}; resume with {out / CONFIG_FILE}, "
            "or start anew elsewhere"
        )
    before = dict(line.split(" ", 1) for line in (out / CONTENDERS).read_text().splitlines())
    given = dict(line.split(" ", 1) for line in listed.splitlines())
    other = [name for name in given if name in before and before[name] != given[name]]
    if other:
        raise InputError(
            f"{out}: its {other[0]} had other weights; give the new one another name, as in "
            f"{other[0]}2=PATH, or start anew elsewhere"
        )
    with whole_file(out / CONTENDERS) as partial:
        partial.write_text("".join(f"{name} {own}\n" for name, own in (before | given).items()))
    save_config(config, out / CONFIG_FILE)


def _file(out: Path, cell: Cell) -> Path:
    return out / PREDICTIONS / f"{cell.slug}.safetensors"
