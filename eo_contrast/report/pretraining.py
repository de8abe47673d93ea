"""The page of a pretraining run: curves a space, looks at the encoder, a map of its vectors."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eo_contrast.config import load_config, shipped_folder
from eo_contrast.errors import InputError
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.embeddings import Embeddings, open_embeddings
from eo_contrast.pretrain.observe import warnings_of
from eo_contrast.report.charts import Chart, drawn_charts
from eo_contrast.report.embedding_map import embedding_maps
from eo_contrast.report.embedding_neighbours import class_agreement, neighbour_rows
from eo_contrast.report.page import write_page
from eo_contrast.report.pictures import Picture
from eo_contrast.report.pretraining_charts import look_charts, space_charts, vector_charts
from eo_contrast.report.pretraining_facts import (
    card_facts,
    headlines,
    run_facts,
    space_sentence,
    summary_sentence,
    view_rows,
)
from eo_contrast.report.pretraining_run import PretrainingRun, read_pretraining
from eo_contrast.report.run_folder import speed
from eo_contrast.report.wording import changes
from eo_contrast.training.card import MODEL_FILE
from eo_contrast.training.describe import REPORT_FILE

Drawn = list[tuple[Chart, Picture]]


@dataclass(frozen=True)
class SpaceCurves:
    """A space, in a sentence, and its curves."""

    name: str
    sentence: str
    charts: Drawn


def pretraining_report(run_folder: Path, embeddings: Path | None = None) -> Path:
    """Write ``report.html`` into a run folder, replacing an older one.

    Args:
        embeddings: that ``embed`` made with this run's encoder; None: the page has neither map
            nor neighbours.

    Returns: the page's path.

    Raises:
        InputError: no pretraining run lies there, a file of it is damaged, or the embeddings are
            another encoder's.
        WorldError: the disk is full or failing.
    """
    run = read_pretraining(run_folder)
    vectors = None if embeddings is None else _own_embeddings(run, embeddings)
    return write_page(
        run_folder / REPORT_FILE, "pretraining", **_of_run(run), **_of_embeddings(vectors)
    )


def _of_run(run: PretrainingRun) -> dict[str, Any]:
    took = speed(run.log.timings)
    return {
        "title": f"Pretraining run: {run.folder.resolve().name}",
        "run": run,
        "summary": summary_sentence(run, took),
        "status": _status(run),
        "warnings": _warnings(run),
        "headlines": headlines(run),
        "facts": run_facts(run),
        "views": view_rows(run.config.graph),
        "spaces": [
            SpaceCurves(
                name,
                space_sentence(run.config.graph, name),
                drawn_charts(space_charts(run, name)),
            )
            for name in run.config.graph.spaces
        ],
        "vector_charts": drawn_charts(vector_charts(run)),
        "look_charts": drawn_charts(look_charts(run)),
        "card_facts": card_facts(run.card) if run.card else [],
        "commands": _commands(run),
        "speed": took,
        "changed": _changed(run.config),
        "config_text": yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False),
    }


def _of_embeddings(vectors: Embeddings | None) -> dict[str, Any]:
    if vectors is None:
        return {"maps": [], "neighbours": [], "agreement": None}
    return {
        "maps": embedding_maps(vectors),
        "neighbours": neighbour_rows(vectors),
        "agreement": class_agreement(vectors),
    }


def _own_embeddings(run: PretrainingRun, path: Path) -> Embeddings:
    found = open_embeddings(path)
    model = run.folder / MODEL_FILE
    own = hashlib.sha256(model.read_bytes()).hexdigest() if model.is_file() else None
    if found.facts.get("model_sha256") != own:
        raise InputError(
            f"--embeddings {path}: made with another encoder than {run.folder}'s; make them with "
            f"eo-contrast embed CATALOGUE --model {run.folder}"
        )
    return found


def _warnings(run: PretrainingRun) -> list[str]:
    """What the last row says in words, each a sentence."""
    if not run.log.train:
        return []
    last = run.log.train[-1]
    found = warnings_of(dict(last), run.config.graph)
    return [f"Step {int(last['step']):,}, {line}." for line in found]


def _status(run: PretrainingRun) -> str:
    """What is missing of an unfinished run; empty when it is finished."""
    step = run.log.step
    if run.card is not None:
        saved = int(run.card.trained.get("steps", step))
        if saved >= step:
            return ""
        return f"Training went on since: the encoder is of step {saved:,}, the log of {step:,}."
    last = f"the last row is of step {step:,}" if step else "nothing is logged yet"
    then = (
        "The same pretrain command with --resume goes on from its checkpoint."
        if run.resumable
        else "It has no checkpoint yet."
    )
    return f"This run is unfinished: there is no encoder yet, {last}. {then}"


def _changed(config: PretrainConfig) -> list[tuple[str, str, str]] | None:
    """Settings that differ from the shipped method's: name, here, there; None: not shipped."""
    shipped = shipped_folder("configs/pretrain") / f"{config.method}.yaml"
    if not config.method or not shipped.is_file():
        return None
    there = load_config(PretrainConfig, shipped)
    return changes(config.model_dump(mode="json"), there.model_dump(mode="json"))


def _commands(run: PretrainingRun) -> list[str]:
    folder = shlex.quote(str(run.folder))
    return [
        f"eo-contrast embed CATALOGUE.parquet --model {folder} --out embeddings.parquet",
        "eo-contrast search embeddings.parquet --like ID --picture like.png",
        f"eo-contrast report {folder} --embeddings embeddings.parquet --overwrite",
        f"eo-contrast finetune CONFIG --data CATALOGUE.parquet --encoder {folder} --out RUN",
    ]
