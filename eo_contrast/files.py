"""Outputs appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eo_contrast.errors import InputError, disk_errors_named


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse to touch an output that is already there.

    An existing empty folder counts as absent.

    Raises:
        InputError: ``path`` exists and ``overwrite`` is false.
    """
    if overwrite or not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    raise InputError(f"{path}: already exists; give --overwrite to replace it, or another name")


def refuse_strangers(folder: Path, belongs: Callable[[str], bool], maker: str) -> None:
    """Refuse to replace a folder that holds more than ``maker`` writes: it may be somebody's home.

    Args:
        belongs: whether an entry of that name is one that ``maker`` writes.
        maker: for the message, such as "no training run".

    Raises:
        InputError: an entry of ``folder`` does not belong.
    """
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    strangers = [entry.name for entry in entries if not belongs(entry.name)]
    if strangers:
        raise InputError(
            f"{folder}: holds {strangers[0]}, which {maker} makes; "
            "choose another folder, or empty it yourself"
        )


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a partial path beside ``path``; on success it becomes ``path``, else it goes.

    The partial file keeps the suffix, since some writers choose the format by it.

    Raises:
        WorldError: the disk is full or failing.
        InputError: no permission to write.
    """
    partial = _partial_file(path)
    with disk_errors_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            flush_to_disk(partial)
            os.replace(partial, path)
            flush_to_disk(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a partial folder beside ``path``; on success it becomes ``path``, else it goes.

    An existing ``path`` is replaced at the end, so the caller asks
    :func:`refuse_existing` first.
    """
    partial = _partial_folder(path)
    with disk_errors_named(path):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            if path.exists():
                shutil.rmtree(path)
            os.replace(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def remove_partials(path: Path) -> None:
    """Take away what killed writers of ``path``, and of files in it, left half-written."""
    shutil.rmtree(_partial_folder(path), ignore_errors=True)
    _partial_file(path).unlink(missing_ok=True)
    for left in sorted(path.rglob(".*.partial*")) if path.is_dir() else []:
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _partial_file(path: Path) -> Path:
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def _partial_folder(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def flush_to_disk(path: Path) -> None:
    """Return when the disk holds what was written to a file, or renamed in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to write ``path`` against other processes; a killed one holds it no more.

    Raises:
        InputError: another process holds it.
        WorldError: the disk is full or failing.
    """
    lock = path.with_name(f".{path.name}.lock")
    with disk_errors_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR)
    try:
        if not _held(descriptor, lock):
            raise InputError(f"{path}: another run is writing it; wait until it ends")
        try:
            yield
        finally:
            # While it is held, so that nobody else's is removed.
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _held(descriptor: int, lock: Path) -> bool:
    """Take the lock; False if another has it, or has just removed the file that was opened."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == lock.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False
