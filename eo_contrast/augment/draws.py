"""Random numbers of a sample: a function of its key alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Key = tuple[int, ...]


def generator_of(key: Key) -> np.random.Generator:
    """What draws for one sample."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def uniforms(keys: Sequence[Key], count: int) -> NDArray[np.float64]:
    """(N, count) numbers in [0, 1), each row its key's own.

    The first numbers of a row are the same whatever ``count`` is.
    """
    return np.stack([generator_of(key).random(count) for key in keys])


def between(drawn: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Uniform numbers brought to low .. high."""
    return low + drawn * (high - low)


def normals(keys: Sequence[Key], shape: tuple[int, ...], device: torch.device) -> Tensor:
    """(N, *shape) standard normal numbers, float32, each sample its key's own."""
    fields = [generator_of((*key, 1)).standard_normal(shape, np.float32) for key in keys]
    return torch.from_numpy(np.stack(fields)).to(device)


def gammas(
    keys: Sequence[Key], shape: tuple[int, ...], looks: float, device: torch.device
) -> Tensor:
    """(N, *shape) gamma numbers of mean 1 and variance 1 / looks, float32."""
    fields = [generator_of((*key, 2)).standard_gamma(looks, shape) / looks for key in keys]
    return torch.from_numpy(np.stack(fields).astype(np.float32)).to(device)
