"""The order in which a run sees its samples: a function of seed and number, of nothing else."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """A random order of ``length`` things, an epoch's own."""
    sequence = np.random.SeedSequence((seed, 0, epoch))
    return np.random.Generator(np.random.Philox(sequence)).permutation(length)


def sample_generator(seed: int, number: int) -> np.random.Generator:
    """What draws for sample ``number``, counted over the whole run."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, 1, number))))
