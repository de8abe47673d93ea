"""What files and folders hold, as digests; those of unchanged files are remembered."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from eo_contrast.errors import InputError
from eo_contrast.files import whole_file

# Spelled out: the modules that name them need torch, which a plan does not.
NOT_CONTENT = ("events.*", "timings.jsonl", "last.ckpt", "report.html")
"""Files of run folders that tell of time, or that nothing but ``--resume`` reads."""
ABSENT = ""


class Digests:
    """Digests of files and folders.

    A file whose size, times and inode are as they were is not read again.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known = _read(memory)

    def content(self, path: Path) -> str:
        """Of what a file holds, or of the names and contents of all below a folder.

        Hidden files and ``NOT_CONTENT`` are left out of folders. ``ABSENT`` where nothing is.

        Raises: InputError: it cannot be read.
        """
        if not path.exists():
            return ABSENT
        if not path.is_dir():
            return self._of_file(path)
        digest = hashlib.sha256()
        for name, file in files_below(path):
            if not any(fnmatch(file.name, pattern) for pattern in NOT_CONTENT):
                digest.update(f"{name}\n{self._of_file(file)}\n".encode())
        return digest.hexdigest()

    def stamps(self, path: Path) -> str:
        """Of where an archive lies and of names, sizes and times in it, which is what a
        catalogue keeps of it; ``ABSENT`` where nothing is."""
        if not path.exists():
            return ABSENT
        digest = hashlib.sha256(f"{path.resolve()}\n".encode())
        for name, file in files_below(path) if path.is_dir() else [(path.name, path)]:
            told = file.stat()
            digest.update(f"{name}\n{told.st_size} {told.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def save(self) -> None:
        """Remember what was read."""
        with whole_file(self._memory) as partial:
            partial.write_text(json.dumps(self._known))

    def _of_file(self, path: Path) -> str:
        try:
            told = path.stat()
            # The change time too: it cannot be set back, as a copied modification time is.
            stamp = [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]
            key = str(path.resolve())
            known = self._known.get(key)
            if known is None or known[:-1] != stamp:
                with path.open("rb") as file:
                    known = [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]
                self._known[key] = known
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check it") from error
        return str(known[-1])


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names below a folder, and the files, in order; links are followed, hidden ones left out."""
    seen: set[str] = set()
    found: list[Path] = []
    for root, folders, files in os.walk(folder, followlinks=True):
        # A link may lead back to where it lies.
        place = os.path.realpath(root)
        folders[:] = [] if place in seen else [name for name in folders if name[0] != "."]
        if place not in seen:
            found += [Path(root, name) for name in files if name[0] != "."]
        seen.add(place)
    for file in sorted(found):
        yield file.relative_to(folder).as_posix(), file


def _read(memory: Path) -> dict[str, list[int | str]]:
    """What was remembered; nothing where that is damaged, since it can be read anew."""
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
