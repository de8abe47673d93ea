"""Whether an area's file has changed: a digest of it and of what belongs to it."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path

from eo_contrast.errors import InputError

SIDECARS = {".cpg", ".dat", ".dbf", ".id", ".map", ".mid", ".prj", ".shx"}
"""Of shapefiles, and of MapInfo's files; GDAL takes a .prj beside other formats, too."""


def area_digest(path: Path) -> str:
    """What tells that an area has changed: a digest of all files that say what it is.

    Of a folder, such as ``area.gdb`` or that of a shapefile, all files below it count; of a file
    those beside it that belong to its format. Where the area lies on the disk does not count.

    Returns: SHA-256 in hexadecimal.
    Raises: InputError: no such file.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; give --aoi the path of a vector file")
    if path.is_dir():
        parts = {file.relative_to(path).as_posix(): file for file in path.rglob("*")}
    else:
        beside = path.parent.glob(f"{glob.escape(path.stem)}.*")
        parts = {file.suffix: file for file in beside if file.suffix.lower() in SIDECARS}
        parts[path.suffix] = path
    whole = hashlib.sha256()
    for name, file in sorted(parts.items()):
        if file.is_file():
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()
