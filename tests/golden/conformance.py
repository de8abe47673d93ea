"""Reading the reference numbers, and the tolerance they ask for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

RELATIVE = 1e-9


class Golden:
    """One ``.npz`` of reference arrays."""

    def __init__(self, path: Path) -> None:
        self.arrays = dict(np.load(path))

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(np.asarray(self.arrays[key]))

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Arrays whose key starts with ``prefix``, by the rest of the key."""
        found = {k.removeprefix(prefix): self[k] for k in self.arrays if k.startswith(prefix)}
        assert found, f"no key starts with {prefix}"
        return found


def assert_conforms(actual: Tensor, expected: Tensor, name: str = "") -> None:
    """Relative 1e-9, with an absolute floor of 1e-9 of the largest magnitude."""
    expected = expected.to(actual.dtype).reshape(actual.shape)
    floor = RELATIVE * max(expected.abs().max().item(), 1e-12)
    torch.testing.assert_close(
        actual.detach(), expected, rtol=RELATIVE, atol=floor, msg=lambda text: f"{name}: {text}"
    )


def assert_gradients_conform(net: nn.Module, expected: dict[str, Tensor]) -> None:
    """Every gradient; biases that a norm removes are compared against the net's largest."""
    parameters = dict(net.named_parameters())
    assert parameters.keys() == expected.keys()
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        gradient, wanted = parameter.grad, expected[name]
        floor = RELATIVE * max(wanted.abs().max().item(), 1e-5 * largest)
        torch.testing.assert_close(
            gradient, wanted, rtol=RELATIVE, atol=floor, msg=lambda text, n=name: f"{n}: {text}"
        )


def load(net: nn.Module, parameters: dict[str, Tensor]) -> nn.Module:
    """``net`` in float64 with these parameters, all of them."""
    net.double().load_state_dict(parameters, strict=True)
    return net
