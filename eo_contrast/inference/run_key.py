"""What decides the bytes of a result: a run goes on only with what says the same."""

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
from eo_contrast.inference.finish import Finish
from eo_contrast.inference.job import Job, Method
from eo_contrast.raster.area_digest import area_digest
from eo_contrast.raster.location import Location, web_version
from eo_contrast.raster.reader import open_raster


def key_of(source: Location, method: Method, finish: Finish, job: Job) -> dict[str, Any]:
    """Everything that decides the bytes of the result."""
    model, companions = method.model, job.opener.companions
    beside = {"rasters beside": [_identity(each.location) for each in companions]}
    return {
        "source": _identity(source),
        **(beside if companions else {}),
        "model": model.sha256 or model.name,
        **{
            f"--{name}": None if value is None else str(value)
            for name, value in method.options.items()
        },
        **{f"--{name}": value for name, value in asdict(finish).items()},
        "content of --aoi": area_digest(method.aoi) if method.aoi else None,
        "what fills holes": job.fill,
        "units of the bands": [
            astuple(unit)
            for units in (job.opener.view.units, *(each.units for each in companions))
            for unit in units or ()
        ],
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
