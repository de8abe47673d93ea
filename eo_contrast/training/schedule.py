"""Learning-rate factors as pure functions of the position in training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from eo_contrast.config import Config


class ScheduleConfig(Config):
    """How long training lasts, and how the learning rate moves.

    Positions are counted from 1, in ``unit``: epochs as published, or steps.
    """

    kind: Literal["linear", "step", "cosine", "constant"] = "linear"
    unit: Literal["epochs", "steps"] = "epochs"
    constant: int = Field(200, ge=0, description="positions before the rate starts to fall")
    decay: int = Field(200, ge=0, description="positions while it falls")
    step_every: int = Field(50, ge=1, description="kind step: positions between two drops")
    step_factor: float = Field(0.1, gt=0, lt=1, description="kind step: factor of each drop")

    @property
    def total(self) -> int:
        """Positions in all."""
        return self.constant + self.decay


def linear(position: int, config: ScheduleConfig) -> float:
    """1, then a straight fall that would reach 0 one position after the last.

    1 - max(0, position - constant) / (decay + 1): CUT's schedule; its last epoch still
    trains, at 1 / (decay + 1).
    """
    return 1.0 - max(0, position - config.constant) / (config.decay + 1)


def step(position: int, config: ScheduleConfig) -> float:
    """Falls by ``step_factor`` after every ``step_every`` positions."""
    return config.step_factor ** ((position - 1) // config.step_every)


def cosine(position: int, config: ScheduleConfig) -> float:
    """Half a cosine from 1 to 0 over ``constant`` positions, then 0.

    The published code lets the rate rise again in the decay phase; here it stays down.
    """
    done = min(position - 1, config.constant) / max(config.constant, 1)
    return (1 + math.cos(math.pi * done)) / 2


SCHEDULES: dict[str, Callable[[int, ScheduleConfig], float]] = {
    "linear": linear,
    "step": step,
    "cosine": cosine,
    "constant": lambda position, config: 1.0,
}


def factor_at(step_number: int, steps_per_epoch: int, config: ScheduleConfig) -> float:
    """Factor on the learning rate during a step.

    Args:
        step_number: steps finished before, >= 0.
        steps_per_epoch: >= 1; used when positions are epochs.
    """
    divisor = steps_per_epoch if config.unit == "epochs" else 1
    return SCHEDULES[config.kind](step_number // divisor + 1, config)


def total_steps(steps_per_epoch: int, config: ScheduleConfig) -> int:
    """Steps of the whole training."""
    return config.total * (steps_per_epoch if config.unit == "epochs" else 1)
