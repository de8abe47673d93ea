"""What decides the bytes of a translation: a run goes on only with what says the same."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import rasterio
import torch

import eo_contrast
from eo_contrast.raster.area_digest import area_digest
from eo_contrast.raster.location import Location, web_version
from eo_contrast.raster.reader import open_raster
from eo_contrast.translate.finish import Finish
from eo_contrast.translate.job import Job, TranslateOptions
from eo_contrast.translate.tile_models import Model


def key_of(
    source: Location, model: Model, options: TranslateOptions, finish: Finish, job: Job
) -> dict[str, Any]:
    """Everything that decides the bytes of the result."""
    return {
        "source": _identity(source),
        "model": model.sha256 or model.name,
        **{
            f"--{name}": None if value is None else str(value)
            for name, value in asdict(options).items()
        },
        **{f"--{name}": value for name, value in asdict(finish).items()},
        "content of --aoi": area_digest(options.aoi) if options.aoi else None,
        "what fills holes": job.fill,
        "units of the bands": [astuple(unit) for unit in job.opener.view.units or ()],
        "tile and overlap": [job.plan.tiling.tile, job.plan.tiling.overlap],
        "device": torch.device(model.device).type,
        "--precision": model.precision,
        "software": [
            f"eo-contrast {eo_contrast.__version__}",
            f"torch {torch.__version__}",
            f"GDAL {rasterio.__gdal_version__}",
            platform.machine(),
        ],
    }


def _identity(source: Location) -> list[str]:
    """What tells that a source has changed: size and time of its files and of all it is made of.

    Of an address on the web: what the server says of its version.
    """
    with open_raster(source) as (dataset, _):
        files = [Path(name) for name in dataset.files]
    if isinstance(source, Path):
        files = sorted({source.resolve(), *(path.resolve() for path in files)})
    facts = [(path, path.stat()) for path in files if path.is_file()]
    told = [
        f"{path} ({each.st_size} bytes, changed {each.st_mtime_ns})"
        for path, each in facts
        # Made anew at every start where it stands for a folder of tiles: its text tells.
        if path.suffix.lower() != ".vrt"
    ]
    if not isinstance(source, Path):
        return [web_version(source) or source, *told]
    if source.suffix.lower() == ".vrt":
        return [f"{source.resolve()} ({hashlib.sha256(source.read_bytes()).hexdigest()})", *told]
    return told


def digest_of(what: Any) -> str:
    """SHA-256 of what JSON makes of it, in hexadecimal."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
