"""The encoders and heads of the reference numbers, in float64, and their states by name.

The numbers name a parameter by its dotted name with underscores.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping

import torch
from conformance import RELATIVE, assert_gradients_conform
from torch import Tensor, nn


def tiny_encoder(head: nn.Module | None = None, *, names: tuple[str, str] = ("lin", "bn")):
    """(N, 5) -> (N, 6), or through ``head``, named fc; ``names`` are of its linear and norm."""
    parts: list[tuple[str, nn.Module]] = [
        (names[0], nn.Linear(5, 6)),
        (names[1], nn.BatchNorm1d(6)),
        ("relu", nn.ReLU()),
    ]
    if head is not None:
        parts.append(("fc", head))
    return nn.Sequential(OrderedDict(parts)).double()


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double()


def normed_mlp(*widths: int, last: bool) -> nn.Sequential:
    """MoCo v3's: no biases, batch norm behind hidden layers, and a plain one at the end."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
    end = [nn.BatchNorm1d(widths[-1], affine=False)] if last else []
    return nn.Sequential(*layers[:-2], *end).double()


def fill(net: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Set all parameters and buffers to the reference's."""
    for name, value in net.state_dict().items():
        value.copy_(values[name.replace(".", "_")])


def assert_state(net: nn.Module, values: Mapping[str, Tensor], what: str) -> None:
    """All parameters and buffers are the reference's; those that should be 0, to 1e-12."""
    for name, value in net.state_dict().items():
        wanted = values[name.replace(".", "_")].double()
        torch.testing.assert_close(
            value.double(),
            wanted,
            rtol=RELATIVE,
            atol=1e-12,
            msg=lambda text, own=name: f"{what}'s {own}: {text}",
        )


def assert_gradients(net: nn.Module, values: Mapping[str, Tensor]) -> None:
    """The gradients of all parameters are the reference's."""
    names = [name for name, _ in net.named_parameters()]
    assert_gradients_conform(net, {name: values[name.replace(".", "_")] for name in names})


def sgd(*nets: nn.Module, weight_decay: float = 1e-4) -> torch.optim.SGD:
    """The reference's optimiser."""
    parameters = [parameter for net in nets for parameter in net.parameters()]
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=weight_decay)
