"""Projectors and predictors: small heads of linear layers behind a trunk."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import nn

from eo_contrast.config import Config
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import drawn_from

Norm = Literal["none", "affine", "plain"]


class ProjectorConfig(Config):
    """A head: hidden layers of linear, norm and ReLU, then a last linear layer."""

    hidden: tuple[int | Literal["in"], ...] = Field(
        ("in",), description="widths of the hidden layers; in: of the input; empty: none"
    )
    out: int = Field(128, ge=1, description="width of the vectors")
    norm: bool = Field(False, description="batch norm after each hidden layer")
    norm_last: Norm = Field(
        "none", description="batch norm after the last layer; plain: without scale and shift"
    )
    bias_hidden: bool = True
    bias_last: bool = True
    per_sensor: bool = Field(False, description="one for each sensor, else one for all")


def build_projector(config: ProjectorConfig, width: int, *, seed: int) -> nn.Sequential:
    """A head from (N, width) to (N, out), with torch's usual random weights drawn from ``seed``.

    Args:
        width: of the features that enter, >= 1.
    """
    hidden = [width if each == "in" else each for each in config.hidden]
    layers: list[nn.Module] = []
    with drawn_from(seed):
        for before, after in pairwise([width, *hidden]):
            layers.append(nn.Linear(before, after, bias=config.bias_hidden))
            if config.norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.Linear([width, *hidden][-1], config.out, bias=config.bias_last))
        if config.norm_last != "none":
            layers.append(nn.BatchNorm1d(config.out, affine=config.norm_last == "affine"))
    return nn.Sequential(*layers)


def first_layers(head: nn.Sequential, count: int) -> nn.Sequential:
    """The first ``count`` linear layers of a head, each with its norm and ReLU.

    Fine-tuning from the first layer of three is SimCLR v2's (Chen et al. 2020b, section 4.2).
    The modules are the head's own, not copies.

    Raises: InputError: the head has fewer.
    """
    starts = [at for at, module in enumerate(head) if isinstance(module, nn.Linear)]
    if not 0 <= count <= len(starts):
        raise InputError(
            f"{count} layers of a projector: it has {len(starts)}; give 0 to {len(starts)}"
        )
    end = [*starts, len(head)][count]
    return nn.Sequential(*list(head)[:end])


def width_after(head: nn.Sequential, width: int) -> int:
    """Width of what leaves a head that ``width`` enters."""
    linear = [module for module in head if isinstance(module, nn.Linear)]
    return linear[-1].out_features if linear else width
