"""Pipelines of toy stages, written and run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import toy_stages
import yaml

from eo_contrast.pipeline.definition import load_pipeline
from eo_contrast.pipeline.plan import Leniency
from eo_contrast.pipeline.run import RunOptions, plan_pipeline, run_pipeline


def written(folder: Path, stages: Mapping[str, Mapping[str, Any]], **top: Any) -> Path:
    """A pipeline's file; stages without a kind are ``joined``."""
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the file, where stages in processes of their own find it.
    shutil.copy(toy_stages.__file__, folder / "toy_stages.py")
    values = {name: {"kind": "toy_stages:joined", **stage} for name, stage in stages.items()}
    file = folder / "toy.yaml"
    file.write_text(yaml.safe_dump({**top, "stages": values}, sort_keys=False))
    return file


def chain(folder: Path) -> Path:
    """One, two of it, three of both, and a lonely four."""
    return written(
        folder,
        {
            "one": {"word": "1", "out": "one.txt"},
            "two": {"word": "2", "parts": {"a": "one.txt"}, "out": "two.txt"},
            "three": {"word": "3", "parts": {"a": "one.txt", "b": "two.txt"}, "out": "three.txt"},
            "four": {"word": "4", "out": "four.txt"},
        },
    )


def ran(file: Path, *overrides: str, **options: Any) -> list[str]:
    """Run a pipeline into the folder ``out`` beside its file; the names of the stages that ran."""
    pipeline = load_pipeline(file, file.parent / "out", overrides)
    names: list[str] = run_pipeline(pipeline, RunOptions(**options))["ran"]
    return names


def reasons(file: Path, *overrides: str, **leniency: bool) -> dict[str, list[str]]:
    """Why each stage would run; those that would not are left out."""
    pipeline = load_pipeline(file, file.parent / "out", overrides)
    stages = plan_pipeline(pipeline, Leniency(**leniency))["stages"]
    return {each["name"]: each["reasons"] for each in stages if each["reasons"]}


def called() -> list[str]:
    """Words of the stages that ran in this process since this was last asked."""
    words = list(toy_stages.calls)
    toy_stages.calls.clear()
    return words
