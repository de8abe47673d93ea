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
from eo_contrast.raster.location import Location, file_name, located
from eo_contrast.translate.apply import cost

RASTER_SUFFIXES = {".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg"}

TranslateOne = Callable[[Location, Path], dict[str, Any]]
"""Translates a source into an output; returns its summary."""


def find_sources(source: str) -> list[Location] | None:
    """The rasters that a folder, glob or catalogue holds; None when ``source`` is one raster.

    Raises: InputError: it holds no raster.
    """
    path = located(source)
    if isinstance(path, str):
        return None
    if path.suffix.lower() == ".parquet":
        return _rasters_of_catalogue(path)
    if path.is_dir():
        found = _rasters(path.iterdir()) or _rasters(path.rglob("*"))
    elif not path.exists() and glob.has_magic(source):
        root = Path(path.anchor)
        found = list(root.glob(str(path.relative_to(root))))
    else:
        return None
    sources: list[Location] = sorted(file for file in found if file.is_file())
    if not sources:
        known = " ".join(sorted(RASTER_SUFFIXES))
        raise InputError(f"{source}: no raster here; looked for {known}")
    return sources


def translate_many(
    sources: Sequence[Location],
    out: Path,
    translate_one: TranslateOne,
    *,
    overwrite: bool,
    resume: bool = False,
    suffix: str = ".tif",
    root: Path | None = None,
) -> dict[str, Any]:
    """Translate each source into ``out``, at its place below ``root``.

    Args:
        resume: go on with a run that was interrupted: what is there is kept.
        suffix: of the outputs' names; empty for folders.
        root: the folder that holds all sources; None: the deepest that does.

    Returns: output, files (a summary each), failed ({path, error} each), kept (paths that were
        there already), and over all files what :func:`translate_raster` tells of one, width and
        height apart.
    Raises: InputError: ``out`` exists, is a file, or two sources share a name.
    """
    refuse_existing(out, overwrite=overwrite or resume)
    if out.is_file():
        raise InputError(f"{out}: is a file; many rasters need a folder to go to")
    outputs = _output_names(sources, root, out, suffix)
    files, failed, kept = [], [], []
    for source, output in zip(sources, outputs, strict=True):
        if resume and output.exists():
            kept.append(str(output))
            continue
        try:
            files.append(translate_one(source, output))
        except EoContrastError as error:
            failed.append({"path": str(source), "error": str(error)})
    return {
        "output": str(out),
        "files": files,
        "failed": failed,
        "kept": kept,
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


def _rasters_of_catalogue(path: Path) -> list[Location]:
    """What the column ``href`` of a catalogue names, each once, in the catalogue's order."""
    from pyarrow import ArrowException, parquet

    if not path.is_file():
        raise InputError(f"{path}: no such file; give a catalogue, or a raster")
    try:
        table = parquet.read_table(path, columns=["href"])
    except (ArrowException, OSError, KeyError) as error:
        raise InputError(f"{path}: not a catalogue that can be read ({error})") from error
    if "href" not in table.column_names or not table.num_rows:
        raise InputError(f"{path}: no rows with an href; give a catalogue that ingest made")
    found = [located(text) for text in dict.fromkeys(table.column("href").to_pylist()) if text]
    return [path.parent / one if isinstance(one, Path) else one for one in found]


def _output_names(
    sources: Sequence[Location], root: Path | None, out: Path, suffix: str
) -> list[Path]:
    owner: dict[str, Location] = {}
    for source, place in zip(sources, _places(sources, root), strict=True):
        name = place.with_suffix(suffix).as_posix()
        if name in owner:
            raise InputError(
                f"{source}: would be written to the same {name} as {owner[name]}; "
                "rename one, or translate them apart"
            )
        owner[name] = source
    return [out / name for name in owner]


def _places(sources: Sequence[Location], root: Path | None) -> list[Path]:
    """Where each lies below the root; by its name alone where some have no folder."""
    paths = [source for source in sources if isinstance(source, Path)]
    if len(paths) < len(sources):
        return [Path(file_name(source)) for source in sources]
    root = root or Path(os.path.commonpath([path.parent for path in paths]))
    return [path.relative_to(root) for path in paths]
