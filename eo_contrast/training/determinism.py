"""Random draws as a function of (seed, step, place in the batch), never of history.

So a resumed run, and a run spread over processes, draw what one straight run draws.
"""

from __future__ import annotations

import hashlib

import torch


def generator_for(seed: int, *key: int | str) -> torch.Generator:
    """A CPU generator that depends on its arguments alone.

    Args:
        seed: of the run.
        key: what the draw is for, such as ``("flip", step)``.
    """
    text = repr((seed, *key)).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    # Philox-free engines take 63 bits; the sign bit is dropped.
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
