"""``last.ckpt``: everything that decides the next step, written whole."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from eo_contrast.errors import InputError, WorldError
from eo_contrast.files import whole_file

CHECKPOINT_FILE = "last.ckpt"
FORMAT = "eo_contrast.checkpoint.1"
# Unpickling bytes that are no pickle fails in whatever way they happen to spell.
UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, text, nested) beside and rename.

    Raises:
        WorldError: the disk is full or failing; the previous checkpoint stays.
    """
    with whole_file(path) as partial:
        try:
            torch.save({"format": FORMAT, **state}, partial)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # torch's writer reports a full disk so, without a number or a name.
            reason = str(error).splitlines()[0]
            raise WorldError(
                f"{path}: writing failed ({reason}); free some space and run again"
            ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What :func:`save_checkpoint` wrote.

    Raises:
        InputError: no such file, or not a checkpoint of this project.
    """
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(f"{path}: not a checkpoint, or a damaged one; start anew") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path}: not a checkpoint of eo-contrast ({FORMAT}); start anew")
    return state
