"""LARS: a learning rate of its own for each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor


class Lars(torch.optim.Optimizer):
    """SGD with momentum whose step is scaled by |w| / |gradient + decay w| of each weight.

    You et al. 2017, alg. 1, as the codes of Barlow Twins and MoCo v3 have it: parameters of one
    dimension or none are neither decayed nor scaled.

    Args:
        groups: parameters, or groups of them with ``lr`` and ``weight_decay`` of their own.
        lr: learning rate.
        weight_decay: added to the gradient as decay times weight.
        momentum: of the steps, 0 .. 1.
        trust: eta, the scale's factor, > 0.
    """

    def __init__(
        self,
        groups: Iterable[Any],
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        trust: float = 0.001,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "trust": trust}
        super().__init__(groups, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every parameter that has a gradient.

        Args:
            closure: computes the loss and its gradient anew; None: the gradient is there.

        Returns: the closure's loss.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                kept = self.state[parameter]
                if "step" not in kept:
                    kept["step"] = torch.zeros_like(parameter)
                direction = _scaled(parameter, parameter.grad, group)
                kept["step"].mul_(group["momentum"]).add_(direction)
                parameter.add_(kept["step"], alpha=-group["lr"])
        return loss


def _scaled(weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
    if weight.ndim < 2:
        return gradient
    decayed = gradient.add(weight, alpha=group["weight_decay"])
    size, slope = torch.linalg.vector_norm(weight), torch.linalg.vector_norm(decayed)
    possible = (size > 0) & (slope > 0)
    return decayed * torch.where(possible, group["trust"] * size / slope, 1.0)
