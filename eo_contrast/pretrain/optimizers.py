"""Optimisers and learning rates of a pretraining run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from eo_contrast.pretrain.config import PretrainOptimizer
from eo_contrast.training.lars import Lars


def build_optimizer(
    named: Iterable[tuple[str, nn.Parameter]], config: PretrainOptimizer, batch_size: int
) -> torch.optim.Optimizer:
    """An optimiser over weights and, apart from them, parameters of one dimension or none.

    Each group has ``base_lr``, to which the schedule's factor is applied.
    """
    weights: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    for _, parameter in named:
        (weights if parameter.ndim > 1 else biases).append(parameter)
    rate = config.rate(batch_size)
    of_biases = rate
    if config.lr_biases is not None:
        of_biases = rate * config.lr_biases / config.lr
    groups: list[dict[str, Any]] = [
        {"params": weights, "lr": rate, "base_lr": rate, "weight_decay": config.weight_decay},
        {
            "params": biases,
            "lr": of_biases,
            "base_lr": of_biases,
            "weight_decay": config.weight_decay if config.decay_biases else 0.0,
        },
    ]
    groups = [group for group in groups if group["params"]]
    return _BUILT[config.kind](groups, config)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Each group's rate is its base times ``factor``."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


Groups = list[dict[str, Any]]

_BUILT: Mapping[str, Callable[[Groups, PretrainOptimizer], torch.optim.Optimizer]] = {
    "sgd": lambda groups, config: torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum),
    "adam": lambda groups, config: torch.optim.Adam(groups, lr=config.lr, betas=config.betas),
    "adamw": lambda groups, config: torch.optim.AdamW(groups, lr=config.lr, betas=config.betas),
    "lars": lambda groups, config: Lars(groups, lr=config.lr, momentum=config.momentum),
}
