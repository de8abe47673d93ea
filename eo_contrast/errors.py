"""The three ways a command can fail, and the exit code of each.

Everything a user can act on is raised as one of these, with one sentence that names
the file or option, the value found and what to do. The command line prints that
sentence and exits; a traceback appears only with ``--debug``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


class EoContrastError(Exception):
    """Base of every error that is reported in one line. ``exit_code`` 1."""

    exit_code = 1


class InputError(EoContrastError):
    """The user's file, option or configuration is wrong. ``exit_code`` 2."""

    exit_code = 2


class UnreadableError(InputError):
    """A file that is there cannot be read: it is damaged, or what it lies on fails."""


class WorldError(EoContrastError):
    """Disk, memory or network failed; saved state is still good. ``exit_code`` 1."""

    exit_code = 1


class Interrupted(EoContrastError):
    """Stopped by a signal with the state saved. ``exit_code`` 75."""

    exit_code = 75


@contextmanager
def disk_errors_named(path: Path) -> Iterator[None]:
    """Turn a failed write into a ``WorldError`` that names ``path``.

    Raises:
        WorldError: the disk is full, over quota, read-only or failing.
        InputError: the folder cannot be written to by this user.
    """
    try:
        yield
    except PermissionError as error:
        raise InputError(f"{path}: no permission to write here; choose another place") from error
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise WorldError(
                f"{path}: writing failed ({error.strerror}); free some space and run again"
            ) from error
        raise
