"""The page of a whole pipeline: rasters side by side, scores, tables, and where more is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

import eo_contrast
from eo_contrast.config import load_config
from eo_contrast.errors import InputError
from eo_contrast.files import whole_file
from eo_contrast.landcover.benchmark import read_benchmark
from eo_contrast.landcover.benchmark_config import BenchmarkConfig
from eo_contrast.landcover.benchmark_table import HEADLINE, SPELT, markdown_table, summarised
from eo_contrast.raster.class_map import class_names
from eo_contrast.raster.reader import open_raster
from eo_contrast.report import wording
from eo_contrast.report.charts import drawn_charts
from eo_contrast.report.main_curves import main_charts
from eo_contrast.report.pictures import view_of
from eo_contrast.report.score_table import Table, flat_scores
from eo_contrast.report.translation import Panel, overviews, score_tables
from eo_contrast.training.describe import CONFIG_FILE

BASELINES = "baselines"


@dataclass(frozen=True)
class Contents:
    """What a page shows, all by heading.

    Attributes:
        scores: files that evaluate wrote; baselines in them are rows of their own.
        benchmarks: folders.
        runs: run folders, of which the curves that tell most are drawn.
        links: addresses as seen from the page.
        commands: what to run next, a line each.
    """

    title: str
    lead: str
    rasters: Mapping[str, Path]
    scores: Mapping[str, Path]
    benchmarks: Mapping[str, Path]
    runs: Mapping[str, Path]
    links: Mapping[str, str]
    commands: Sequence[str]


@dataclass(frozen=True)
class BenchmarkTable:
    """A benchmark's headline score: encoders by protocols and shares of labels."""

    heading: str
    metric: str
    rows: list[list[str]]


def summary_page(path: Path, contents: Contents) -> Path:
    """Write the page whole; an older one is replaced.

    Raises:
        InputError: a raster, a file of scores or a benchmark cannot be read.
        WorldError: the disk is full or failing.
    """
    text = (
        _environment()
        .get_template("summary.html.j2")
        .render(
            title=contents.title,
            lead=contents.lead,
            panels=_panels(contents.rasters),
            legends=_legends(contents.rasters),
            tables=_tables(contents.scores),
            benchmarks=[_benchmark(*each) for each in contents.benchmarks.items()],
            curves={
                heading: drawn_charts(main_charts(run)) for heading, run in contents.runs.items()
            },
            links=contents.links,
            commands=contents.commands,
        )
    )
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def _environment() -> Environment:
    """This page's template on top of those that the pages of reports are made of."""
    rooms = ("eo_contrast.pipeline", "eo_contrast.report")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(room) for room in rooms]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = eo_contrast.__version__
    environment.filters |= {
        "decimal": wording.decimal,
        "duration": wording.duration,
        "setting": wording.setting,
    }
    return environment


def _panels(rasters: Mapping[str, Path]) -> list[Panel]:
    return overviews({heading: view_of(raster) for heading, raster in rasters.items()})


def _legends(rasters: Mapping[str, Path]) -> dict[str, list[tuple[str, str]]]:
    """By heading of a map of classes: each class's name and colour, as CSS has it."""
    found = {}
    for heading, raster in rasters.items():
        with open_raster(raster) as (_, meta):
            names = class_names(meta.tags.get("", {}))
            if names and meta.colormap:
                colours = [meta.colormap[number][:3] for number in range(len(names))]
                found[heading] = [
                    (name, "rgb({}, {}, {})".format(*colour))
                    for name, colour in zip(names, colours, strict=True)
                ]
    return found


def _tables(files: Mapping[str, Path]) -> list[Table]:
    rows: dict[str, dict[str, float]] = {}
    for heading, file in files.items():
        scores = _read(file)
        baselines = scores.pop(BASELINES, {})
        rows[heading] = flat_scores(scores)
        for name, of_baseline in baselines.items():
            rows[f"{heading}: {name.replace('_', ' ')}"] = flat_scores(of_baseline)
    return score_tables(rows) if rows else []


def _read(file: Path) -> dict[str, Any]:
    try:
        scores = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: is no file of scores as evaluate writes ({error})") from error
    if not isinstance(scores, dict):
        raise InputError(f"{file}: holds no scores by name; give what evaluate wrote")
    return scores


def _benchmark(heading: str, folder: Path) -> BenchmarkTable:
    metric = HEADLINE[load_config(BenchmarkConfig, folder / CONFIG_FILE).finetune.task]
    lines = markdown_table(summarised(read_benchmark(folder)), metric).splitlines()
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    return BenchmarkTable(heading, SPELT[metric], [cells[0], *cells[2:]])
