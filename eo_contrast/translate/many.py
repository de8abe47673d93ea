"""Translate all rasters of a folder or glob: a broken one is reported, the others are done.

A folder that holds no raster itself is taken with all that lies below it, as ``z/x/y.png``.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from eo_contrast.errors import EoContrastError, InputError
from eo_contrast.files import refuse_existing
from eo_contrast.raster.location import located
from eo_contrast.translate.apply import cost

RASTER_SUFFIXES = {".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg"}

TranslateOne = Callable[[Path, Path], dict[str, Any]]
"""Translates a source into an output; returns its summary."""


def find_sources(source: str) -> list[Path] | None:
    """The rasters that a folder or glob holds, sorted; None when ``source`` is one raster.

    Raises: InputError: the folder or glob holds no raster.
    """
    path = located(source)
    if isinstance(path, str):
        return None
    if path.is_dir():
        found = _rasters(path.iterdir()) or _rasters(path.rglob("*"))
    elif not path.exists() and glob.has_magic(source):
        root = Path(path.anchor)
        found = list(root.glob(str(path.relative_to(root))))
    else:
        return None
    sources = sorted(file for file in found if file.is_file())
    if not sources:
        known = " ".join(sorted(RASTER_SUFFIXES))
        raise InputError(f"{source}: no raster here; looked for {known}")
    return sources


def translate_many(
    sources: Sequence[Path],
    out: Path,
    translate_one: TranslateOne,
    *,
    overwrite: bool,
    root: Path | None = None,
) -> dict[str, Any]:
    """Translate each source into ``out``, as ``.tif`` at its place below ``root``.

    Args:
        root: the folder that holds all sources; None: the deepest that does.

    Returns: output, files (a summary each), failed ({path, error} each), and over all files
        what :func:`translate_raster` tells of one, width and height apart.
    Raises: InputError: ``out`` exists, is a file, or two sources share a name.
    """
    refuse_existing(out, overwrite=overwrite)
    if out.is_file():
        raise InputError(f"{out}: is a file; many rasters need a folder to go to")
    root = root or Path(os.path.commonpath([source.parent for source in sources]))
    outputs = _output_names(sources, root, out)
    files, failed = [], []
    for source, output in zip(sources, outputs, strict=True):
        try:
            files.append(translate_one(source, output))
        except EoContrastError as error:
            failed.append({"path": str(source), "error": str(error)})
    return {
        "output": str(out),
        "files": files,
        "failed": failed,
        "tiles": sum(file["tiles"] for file in files),
        "megapixels": round(sum(file["megapixels"] for file in files), 6),
        **_cost_of_all(files),
    }


def _cost_of_all(files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sum over files; nothing when none was translated, as in a dry run."""
    spent = [file["seconds"] for file in files if "seconds" in file]
    if not spent:
        return {}
    return {
        "skipped_tiles": sum(file["skipped_tiles"] for file in files),
        **cost({kind: sum(seconds[kind] for seconds in spent) for kind in spent[0]}),
    }


def _rasters(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in RASTER_SUFFIXES and file.is_file()]


def _output_names(sources: Sequence[Path], root: Path, out: Path) -> list[Path]:
    owner: dict[str, Path] = {}
    for source in sources:
        name = source.relative_to(root).with_suffix(".tif").as_posix()
        if name in owner:
            raise InputError(
                f"{source}: would be written to the same {name} as {owner[name]}; "
                "rename one, or translate them apart"
            )
        owner[name] = source
    return [out / name for name in owner]
