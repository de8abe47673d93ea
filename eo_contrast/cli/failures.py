"""What the user reads when a command fails, and the exit code of each kind of failure."""

from __future__ import annotations

import errno

import click

from eo_contrast.errors import DISK_ERRORS, EoContrastError, InputError, WorldError

PATH_ERRORS = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}
_DEBUG = "debug"


def want_traceback(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """Note on the outermost context that ``--debug`` was given (a click option callback)."""
    if value:
        ctx.find_root().ensure_object(dict)[_DEBUG] = True


def traceback_wanted(state: dict[str, object]) -> bool:
    """Whether ``--debug`` was given; ``state`` is the outermost context's object."""
    return bool(state.get(_DEBUG))


def explain(error: Exception) -> tuple[str, int]:
    """The text for stderr and the exit code (see :mod:`eo_contrast.errors`).

    The text is one line that starts with ``error: ``; only a command given without any
    argument is answered by its help.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message(), InputError.exit_code
    message, exit_code = _message(error)
    return f"error: {_one_line(message)}", exit_code


def _message(error: Exception) -> tuple[str, int]:
    if isinstance(error, EoContrastError):
        return str(error), error.exit_code
    if isinstance(error, click.UsageError):
        place = f"; see '{error.ctx.command_path} --help'" if error.ctx else ""
        return error.format_message().rstrip(".") + place, InputError.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), InputError.exit_code
    if _is_out_of_memory(error):
        return (
            f"out of memory ({error or 'no more to be had'}); take smaller tiles or batches, "
            "or a machine with more"
        ), WorldError.exit_code
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        place = f"{error.filename}: " if error.filename else ""
        return (
            f"{place}{error.strerror}; check the disk's free space and run again",
            WorldError.exit_code,
        )
    if isinstance(error, OSError) and error.errno in PATH_ERRORS and error.filename:
        return (
            f"{error.filename}: {error.strerror}; check the path and its permissions",
            InputError.exit_code,
        )
    return (
        f"internal fault ({type(error).__name__}: {error}); run again with --debug for details",
        EoContrastError.exit_code,
    )


def _is_out_of_memory(error: Exception) -> bool:
    # torch's own classes are told by name and text: importing torch here would slow --help
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
    )


def _one_line(message: str) -> str:
    return " ".join(message.split())
