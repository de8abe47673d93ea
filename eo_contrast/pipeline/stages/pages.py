"""Stages that write pages: one of a run, one of a whole pipeline."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field

from eo_contrast.config import Config
from eo_contrast.pipeline.stage import Call, Input, Inputs, OptionalInput, Output


class ReportStage(Config):
    """The page of a run: pretraining, fine-tuning, a translator, a benchmark."""

    run: Input
    embeddings: OptionalInput = Field(None, description="of a pretraining run's encoder")
    out: Output = Field(description="a .html file")


class SummaryStage(Config):
    """One page of what a pipeline made; everything on it by the heading that it gets."""

    title: str
    lead: str = Field("", description="a sentence or two under the title")
    rasters: Inputs = Field({}, description="shown side by side")
    scores: Inputs = Field({}, description="JSON files of evaluate")
    benchmarks: Inputs = Field({}, description="folders of benchmark: the table of each")
    runs: Inputs = Field({}, description="run folders: how each learned, in curves")
    commands: tuple[str, ...] = Field((), description="what to run next, a line each")
    pages: Inputs = Field({}, description="other pages, linked to")
    out: Output = Field(description="a .html file")


def report(config: ReportStage, call: Call) -> dict[str, Any]:
    """Write the page into the run's folder, as the command does, and lay a copy beside it."""
    from eo_contrast.files import whole_file
    from eo_contrast.report.run_report import run_report

    page = run_report(config.run, embeddings=config.embeddings)
    with whole_file(config.out) as partial:
        shutil.copyfile(page, partial)
    return {"report": str(config.out)}


def summary(config: SummaryStage, call: Call) -> dict[str, Any]:
    """Write the page."""
    from eo_contrast.pipeline.summary import Contents, summary_page

    contents = Contents(
        title=config.title,
        lead=config.lead,
        rasters=config.rasters,
        scores=config.scores,
        benchmarks=config.benchmarks,
        runs=config.runs,
        commands=config.commands,
        links={name: _from(config.out.parent, page) for name, page in config.pages.items()},
    )
    summary_page(config.out, contents)
    return {"report": str(config.out)}


def _from(folder: Path, page: Path) -> str:
    return Path(os.path.relpath(page, folder)).as_posix()
