"""Where networks run; apart from the training loop, whose libraries take seconds to load."""

from __future__ import annotations

import torch

from eo_contrast.errors import InputError


def resolve_device(device: str) -> str:
    """``auto`` is cuda where there is one, then mps, then cpu.

    Raises:
        InputError: a named device is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, found in there.items() if found)
    if not there.get(device, False):
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise InputError(f"--device {device}: not on this machine; it has {found}")
    return device
