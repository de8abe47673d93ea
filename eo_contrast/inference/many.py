"""Run all rasters of a folder or glob: a broken one is reported, the others are done.

A folder that holds no raster itself is taken with all that lies below it, as ``z/x/y.png``.
Hidden files and folders are left alone: there runs keep what they have not finished.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from eo_contrast.errors import EoContrastError, InputError, Interrupted
from eo_contrast.files import refuse_existing
from eo_contrast.inference.journal import Journal
from eo_contrast.inference.raster_run import cost
from eo_contrast.raster.location import Location, file_name, located

RASTER_SUFFIXES = {".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg"}

RunOne = Callable[[Location, Path], dict[str, Any]]
"""Makes an output of a source; returns its summary."""


def find_sources(source: str, out: Path | None = None) -> list[Location] | None:
    """The rasters that a folder, glob or catalogue holds; None when ``source`` is one raster.

    Args:
        out: where the results go: what lies there is no source, though it be inside ``source``.

    Raises: InputError: it holds no raster.
    """
    path = located(source)
    if isinstance(path, str):
        return None
    if path.suffix.lower() == ".parquet":
        return _rasters_of_catalogue(path)
    if path.is_dir():
        found = _rasters(path.iterdir()) or _rasters(_files_below(path, out))
    elif not path.exists() and glob.has_magic(source):
        found = _matches(path, out)
    else:
        return None
    sources: list[Location] = sorted(found)
    if not sources:
        known = " ".join(sorted(RASTER_SUFFIXES))
        raise InputError(f"{source}: no raster here; looked for {known}")
    return sources


def run_many(
    sources: Sequence[Location],
    out: Path,
    run_one: RunOne,
    *,
    overwrite: bool,
    resume: bool = False,
    suffix: str = ".tif",
    root: Path | None = None,
) -> dict[str, Any]:
    """Make an output of each source in ``out``, at its place below ``root``.

    Args:
        resume: go on with a run that was interrupted: what is there is kept.
        suffix: of the outputs' names; empty for folders.
        root: the folder that holds all sources; None: the deepest that does.

    Returns: output, files (a summary each), failed ({path, error} each), kept (paths that were
        there already), and over all files what
        :func:`~eo_contrast.inference.raster_run.run_raster` tells of one, width and height apart.
    Raises:
        InputError: ``out`` exists, is a file, or two sources share a name.
        Interrupted: stopped, resumable.
    """
    refuse_existing(out, overwrite=overwrite or resume)
    if out.is_file():
        raise InputError(f"{out}: is a file; many rasters need a folder to go to")
    outputs = _output_names(sources, root, out, suffix)
    files, failed, kept = [], [], []
    for source, output in zip(sources, outputs, strict=True):
        # With a run begun beside it, what is there is an older one that was to be replaced.
        if resume and output.exists() and not Journal(output).exists():
            kept.append(str(output))
            continue
        try:
            files.append(run_one(source, output))
        except Interrupted as error:
            done = f"{len(files) + len(kept)} of {len(sources)} rasters are done"
            raise Interrupted(
                f"{out}: interrupted at {source}; {done}, --resume goes on from there"
            ) from error
        except EoContrastError as error:
            failed.append({"path": str(source), "error": str(error)})
        except Exception as error:  # one raster's unforeseen trouble is not the others'
            failed.append({"path": str(source), "error": _unforeseen(error)})
    return {
        "output": str(out),
        "files": files,
        "failed": failed,
        "kept": kept,
        "tiles": sum(file["tiles"] for file in files),
        "megapixels": round(sum(file["megapixels"] for file in files), 6),
        **_cost_of_all(files),
        **_classes_of_all(files),
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


def _classes_of_all(files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Pixels by class over files that tell them."""
    total: Counter[str] = Counter()
    for file in files:
        total.update(file.get("classes", {}))
    return {"classes": dict(total)} if total else {}


def _unforeseen(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())
    return f"internal fault ({text}); run it alone, with --debug, for details"


def _rasters(files: Iterable[Path]) -> list[Path]:
    return [
        file
        for file in files
        if file.suffix.lower() in RASTER_SUFFIXES
        and not file.name.startswith(".")
        and file.is_file()
    ]


def _files_below(folder: Path, out: Path | None) -> Iterator[Path]:
    """All files below a folder, those in hidden folders and in ``out`` apart."""
    results = None if out is None else out.resolve()
    for root, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and Path(root, name).resolve() != results
        ]
        yield from (Path(root, name) for name in files)


def _matches(pattern: Path, out: Path | None) -> list[Path]:
    """The files that a glob names, without what is hidden below the folders that it spells."""
    spelled = list(takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    root = Path(*spelled)
    found = root.glob(str(Path(*pattern.parts[len(spelled) :])))
    results = None if out is None or root.resolve().is_relative_to(out.resolve()) else out.resolve()
    return [
        file
        for file in found
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
        and (results is None or not file.parent.resolve().is_relative_to(results))
    ]


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
                "rename one, or give each its own command"
            )
        owner[name] = source
    return [out / name for name in owner]


def _places(sources: Sequence[Location], root: Path | None) -> list[Path]:
    """Where each lies below the root; by its name alone where some have no folder."""
    paths = [source for source in sources if isinstance(source, Path)]
    if len(paths) < len(sources):
        return [Path(file_name(source)) for source in sources]
    # Without "..", by which a result would leave the folder that it is to go to.
    plain = [_plain(path) for path in paths]
    base = _plain(root) if root else os.path.commonpath([path.parent for path in plain])
    return [path.relative_to(base) for path in plain]


def _plain(path: Path) -> Path:
    """Absolute and without "..", but the links in it not followed: they are names, too."""
    return Path(os.path.normpath(path.absolute()))
