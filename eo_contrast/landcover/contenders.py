"""What a benchmark compares: saved encoders, a random one, and features that nobody trained."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from eo_contrast.errors import InputError
from eo_contrast.landcover.benchmark_rows import refuse_one_slug
from eo_contrast.landcover.features import Baseline
from eo_contrast.landcover.start import RANDOM, UNTRAINED, Start, kind_of
from eo_contrast.training.card import model_file
from eo_contrast.training.encoder_card import read_encoder_card

BASELINES = get_args(Baseline)
WITHOUT_SEED = ("statistics", "imagenet-lite0")
SEED = "{seed}"


@dataclass(frozen=True)
class Identity:
    """What decides a contender's numbers, beside the benchmark's configuration.

    Attributes:
        kind: what is seen, by which kind of network.
        weights: digests by seed, of one encoder for all seeds by an empty text; of what nobody
            trained there are none.
    """

    kind: str
    weights: dict[str, str] = field(default_factory=dict)

    def goes_with(self, other: Identity) -> bool:
        """Whether both may stand in one row: of one kind, and of one weights where seeds meet."""
        if self.kind != other.kind or ("" in self.weights) != ("" in other.weights):
            return False
        return all(other.weights.get(seed, own) == own for seed, own in self.weights.items())

    def with_seeds_of(self, other: Identity) -> Identity:
        """With the weights of both."""
        return replace(self, weights={**self.weights, **other.weights})


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

    def encoder(self, seed: int) -> str:
        """What ``finetune --encoder`` would be given; of a baseline, whose sensors it sees."""
        if self.is_saved:
            return self.what.replace(SEED, str(seed))
        return RANDOM if self.like is None else UNTRAINED + self.like.replace(SEED, str(seed))

    def identity(self, seeds: Sequence[int], start: Start, side: int) -> Identity:
        """What decides its numbers.

        Args:
            start: of its first seed.
            side: pixels of what it sees of a place.

        Raises: InputError: a model that is not there or none, or seeds of several kinds.
        """
        if self.is_baseline:
            products = " ".join(start.card.sensors[name].product for name in start.sensors)
            return Identity(f"{self.what} {products} {side}")
        kind = _only_kind([self.encoder(seed) for seed in seeds], start)
        if not self.is_saved:
            return Identity(f"{RANDOM} {' '.join(start.sensors)} {side} {kind}")
        keyed = {str(seed): self.encoder(seed) for seed in seeds} if SEED in self.what else {}
        files = {seed: model_file(path) for seed, path in (keyed or {"": self.what}).items()}
        return Identity(kind, {seed: _digest(file) for seed, file in files.items()})


def _only_kind(encoders: Sequence[str], start: Start) -> str:
    """The kind of all encoders, whose first one's start is given."""
    first, *others = dict.fromkeys(each.removeprefix(UNTRAINED) for each in encoders)
    for path in others:
        if kind_of(read_encoder_card(path)) != kind_of(read_encoder_card(first)):
            raise InputError(
                f"{path}: is of another architecture, or eats others than {first}; seeds of one "
                "name are trainings of one kind"
            )
    return kind_of(start.card)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def likened(contenders: Sequence[Contender]) -> tuple[Contender, ...]:
    """Random nets of the first saved model's kind, baselines that see what it sees of a place.

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
    refuse_one_slug(names)
    return found


def _contender(text: str) -> Contender:
    name, given, what = (part.strip() for part in text.partition("="))
    if not given:
        name, what = "", text
    if what.startswith(UNTRAINED):
        return Contender(name or RANDOM, RANDOM, what.removeprefix(UNTRAINED))
    if not given:
        last = text if text in (RANDOM, *BASELINES) else Path(text).name
        name = re.sub(r"[-_.]*\{seed\}", "", last).removesuffix(".safetensors") or text
    return Contender(name, what)
