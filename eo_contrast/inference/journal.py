"""The journal of a run: a folder beside the output from which any process can go on.

It holds ``run.json`` (what is made, of what, and how), the scene's statistics, and the pieces
that are finished. It goes when the output is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import flush_to_disk
from eo_contrast.raster.pieces import finished_pieces

RUN_FILE = "run.json"
STATISTICS_FILE = "statistics.safetensors"


@dataclass(frozen=True)
class Journal:
    """Where a run keeps what it has done.

    Attributes:
        output: what the run makes.
    """

    output: Path

    @property
    def folder(self) -> Path:
        """Beside the output, hidden."""
        return self.output.with_name(f".{self.output.name}.parts")

    @property
    def pieces(self) -> Path:
        """Folder of the finished pieces, this run's own.

        A worker that outlives a killed run cannot write into another run's.

        Raises: InputError: no run was begun here.
        """
        key = json.dumps(self.read()["key"], sort_keys=True)
        return self.folder / f"pieces-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def exists(self) -> bool:
        """Whether a run was begun here and has not ended."""
        return (self.folder / RUN_FILE).is_file()

    def begin(self, key: Mapping[str, Any], record: Mapping[str, Any], *, goes_on: bool) -> bool:
        """Start the journal, or go on with one that says the same.

        Args:
            key: everything that decides the result's bytes, by the names that users know.
            record: what :meth:`read` gives to a process that knows nothing else.
            goes_on: an earlier run's pieces are wanted; without it they are an error.

        Returns: whether the journal is new.
        Raises:
            InputError: there is a journal already and it is not wanted, or it is of another
                run: names the difference.
            WorldError: the disk is full or failing.
        """
        if self.exists() and not goes_on:
            raise InputError(
                f"{self.output}: a run that makes it was interrupted; give --resume to go on "
                "with it, or --overwrite to start anew"
            )
        with disk_errors_named(self.output):
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"key": key, **record}, sort_keys=True)
            is_new = _write_once(self.folder / RUN_FILE, text.encode())
        found = self.read()["key"]
        # As JSON has it: tuples are lists there.
        expected = json.loads(json.dumps(key))
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                raise InputError(
                    f"{self.output}: the run begun here has {name} {_shown(found.get(name))}, "
                    f"this one {_shown(expected.get(name))}; give the same again, or --overwrite "
                    "to start anew"
                )
        with disk_errors_named(self.output):
            self.pieces.mkdir(exist_ok=True)
        return is_new

    def read(self) -> dict[str, Any]:
        """What :meth:`begin` was given: the record, and ``key``.

        Raises: InputError: no run was begun here.
        """
        try:
            run: dict[str, Any] = json.loads((self.folder / RUN_FILE).read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise InputError(
                f"{self.output}: no pieces of it lie here (no {self.folder.name}); "
                "give the OUT that the runs with --shard were given"
            ) from error
        return run

    def finished(self) -> dict[int, Path]:
        """Files of the finished pieces, by number."""
        if not self.exists() or not self.pieces.is_dir():
            return {}
        return finished_pieces(self.pieces)

    def write_statistics(self, statistics: Mapping[str, Tensor]) -> None:
        """Keep the scene's statistics, unless another process was faster.

        Raises: WorldError: the disk is full or failing.
        """
        content = save({name: tensor.cpu().contiguous() for name, tensor in statistics.items()})
        with disk_errors_named(self.output):
            _write_once(self.folder / STATISTICS_FILE, content)

    def read_statistics(self) -> dict[str, Tensor] | None:
        """The statistics that all processes use; None: not there yet."""
        path = self.folder / STATISTICS_FILE
        return load_file(path) if path.exists() else None

    def remove(self) -> None:
        """Forget the run, at once for everyone: what still writes for it finds no folder."""
        gone = self.folder.with_name(f"{self.folder.name}.{os.getpid()}.gone")
        with suppress(FileNotFoundError):
            os.replace(self.folder, gone)
        shutil.rmtree(gone, ignore_errors=True)


def _write_once(path: Path, content: bytes) -> bool:
    """Write a file that appears whole, and never replace it: the first process decides.

    Returns: whether this one was the first.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        flush_to_disk(partial)
        os.link(partial, path)
        return True
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)
