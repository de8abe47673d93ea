"""What a benchmark compares: saved encoders, a random one, and features that nobody trained."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from eo_contrast.errors import InputError
from eo_contrast.landcover.features import Baseline
from eo_contrast.landcover.start import RANDOM, UNTRAINED, Start
from eo_contrast.training.card import model_file
from eo_contrast.training.encoder_card import EncoderCard

BASELINES = get_args(Baseline)
WITHOUT_SEED = ("statistics", "imagenet-lite0")
SEED = "{seed}"


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        name: in results.
        what: ``random``, a baseline, or a model's path, in which ``{seed}`` may stand.
        like: of ``random`` and baselines: the model whose kind a random one is, and whose sensors
            are seen; None: those of the configuration.
    """

    name: str
    what: str
    like: str | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether it has features alone and no net to train."""
        return self.what in BASELINES

    @property
    def is_saved(self) -> bool:
        """Whether it is a model's file."""
        return not self.is_baseline and self.what != RANDOM

    @property
    def varies(self) -> bool:
        """Whether each seed has features of its own."""
        if self.is_baseline:
            return self.what not in WITHOUT_SEED
        return not self.is_saved or SEED in self.what

    @property
    def slug(self) -> str:
        """The name as a part of a file's."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.name)

    def encoder(self, seed: int) -> str:
        """What ``finetune --encoder`` would be given; of a baseline, whose sensors it sees."""
        if self.is_saved:
            return self.what.replace(SEED, str(seed))
        return RANDOM if self.like is None else UNTRAINED + self.like.replace(SEED, str(seed))

    def identities(self, seeds: Sequence[int], start: Start, size: int | None) -> dict[str, str]:
        """Digests of its weights by seed; of one that is the same for all by an empty text.

        Args:
            start: of its first seed.
            size: side in pixels of what it sees; None: the encoder's own.

        Raises: InputError: a model that is not there, or none.
        """
        if not self.is_saved:
            return {"": f"{self.what} {self._kind(start.card, start.sensors, size)}"}
        if SEED not in self.what:
            return {"": _digest(model_file(self.what).read_bytes())}
        files = {str(seed): model_file(self.encoder(seed)) for seed in seeds}
        return {seed: _digest(file.read_bytes()) for seed, file in files.items()}

    def _kind(self, card: EncoderCard, sensors: Sequence[str], size: int | None) -> str:
        """Of a random net what decides its weights, of a baseline what is seen."""
        if self.is_baseline:
            return " ".join(card.sensors[name].product for name in sensors)
        changed: dict[str, Any] = {
            "trained": {},
            "ground_resolution_m": None,
            "size": size or card.size,
        }
        told = [list(sensors), card.model_copy(update=changed).model_dump(mode="json")]
        return _digest(json.dumps(told).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def likened(contenders: Sequence[Contender]) -> tuple[Contender, ...]:
    """Random nets and baselines like the first saved model, where there is one.

    Else a table would tell apart architectures, sizes and sensors as if they were learning.
    """
    first = next((each.what for each in contenders if each.is_saved), None)
    return tuple(
        each if each.is_saved or each.like else replace(each, like=first) for each in contenders
    )


def contenders_of(text: str) -> tuple[Contender, ...]:
    """What ``--encoders`` lists: ``A,NAME=B,random,statistics``.

    A model is called by the last part of its path, without ``{seed}``, unless it is given a name.
    ``random:PATH`` is an untrained one of that model's kind.

    Raises: InputError: nothing listed, or two of one name, or whose files would have one.
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
    slugs = [each.slug for each in found]
    alike = [each.name for each in found if slugs.count(each.slug) > 1]
    if alike:
        raise InputError(
            f"--encoders: {' and '.join(alike)} differ in what no file's name keeps; name one of "
            "them otherwise"
        )
    return found


def _contender(text: str) -> Contender:
    name, given, what = text.partition("=")
    if not given:
        what = text
        last = text if text in (RANDOM, *BASELINES) else Path(text).name
        if text.startswith(UNTRAINED):
            last = RANDOM
        name = re.sub(r"[-_.]*\{seed\}", "", last).removesuffix(".safetensors") or text
    if what.strip().startswith(UNTRAINED):
        return Contender(name.strip(), RANDOM, what.strip().removeprefix(UNTRAINED))
    return Contender(name.strip(), what.strip())
