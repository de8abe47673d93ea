"""What a benchmark compares: saved encoders, a random one, and features that nobody trained."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from eo_contrast.errors import InputError
from eo_contrast.landcover.features import Baseline
from eo_contrast.landcover.start import RANDOM
from eo_contrast.training.card import model_file

BASELINES = get_args(Baseline)
WITHOUT_SEED = ("statistics", "imagenet-lite0")
SEED = "{seed}"


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        name: in results.
        what: ``random``, a baseline, or a model's path, in which ``{seed}`` may stand.
    """

    name: str
    what: str

    @property
    def is_baseline(self) -> bool:
        """Whether it has features alone and no net to train."""
        return self.what in BASELINES

    @property
    def varies(self) -> bool:
        """Whether each seed has features of its own."""
        if self.is_baseline:
            return self.what not in WITHOUT_SEED
        return self.what == RANDOM or SEED in self.what

    def encoder(self, seed: int) -> str:
        """What ``finetune --encoder`` would be given."""
        return self.what.replace(SEED, str(seed))

    def identity(self, seeds: Sequence[int]) -> str:
        """Of its weights for all seeds: its own name, or a digest.

        Raises: InputError: a model that is not there.
        """
        if self.is_baseline or self.what == RANDOM:
            return self.what
        paths = dict.fromkeys(self.encoder(seed) for seed in seeds)
        digest = hashlib.sha256()
        for path in paths:
            digest.update(model_file(path).read_bytes())
        return digest.hexdigest()[:16]


def contenders_of(text: str) -> tuple[Contender, ...]:
    """What ``--encoders`` lists: ``A,NAME=B,random,statistics``.

    A model is called by the last part of its path, without ``{seed}``, unless it is given a name.

    Raises: InputError: nothing listed, or two of one name.
    """
    found = tuple(_contender(each.strip()) for each in text.split(",") if each.strip())
    if not found:
        raise InputError(
            f"--encoders '{text}': lists none; give models, {RANDOM}, or {', '.join(BASELINES)}"
        )
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"--encoders: two are called {twice}; name one of them, as in NAME=runs/{twice}"
        )
    return found


def _contender(text: str) -> Contender:
    name, given, what = text.partition("=")
    if not given:
        what = text
        last = text if text in (RANDOM, *BASELINES) else Path(text).name
        name = re.sub(r"[-_.]*\{seed\}", "", last).removesuffix(".safetensors") or text
    return Contender(name.strip(), what.strip())
