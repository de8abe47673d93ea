"""Features of several sensors into one, whether all of them are there or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Fusion = Literal["concatenation", "attention"]


class Concatenation(nn.Module):
    """Features in a row; those of a sensor that is missing are 0."""

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.channels = sensors * channels

    def forward(self, parts: Sequence[Tensor], present: Tensor | None = None) -> Tensor:
        """(N, sensors * channels, ...) of (N, channels, ...) of each sensor.

        Args:
            present: bool (N, sensors); None: all are there.
        """
        if present is None:
            return torch.cat(list(parts), dim=1)
        return torch.cat([part * mask for part, mask in _masked(parts, present)], dim=1)


class AttentionFusion(nn.Module):
    """The mean of the sensors' features, weighted anew at each pixel.

    Gated attention (Ilse et al. 2018, eq. 9): sensor k has the weight softmax_k of
    w'(tanh(V_k h_k) * sigmoid(U_k h_k)), over the sensors that are there. Each has a layer of its
    own before the mean, for features of two encoders have no axes in common.
    """

    def __init__(self, sensors: int, channels: int, *, hidden: int = 64) -> None:
        super().__init__()
        self.channels = channels
        self.values = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(sensors))
        self.gates = nn.ModuleList(nn.Conv2d(channels, 2 * hidden, 1) for _ in range(sensors))
        self.score = nn.Conv2d(hidden, 1, 1, bias=False)

    def forward(self, parts: Sequence[Tensor], present: Tensor | None = None) -> Tensor:
        """(N, channels, H, W) of (N, channels, H, W) of each sensor; also without H and W.

        Args:
            present: bool (N, sensors), at least one of each row; None: all are there.
        """
        maps = [part if part.ndim == 4 else part[:, :, None, None] for part in parts]
        weights = self.weights(maps, present)
        values = [layer(each) for layer, each in zip(self.values, maps, strict=True)]
        fused = sum(
            (weights[:, number, None] * value for number, value in enumerate(values)),
            start=torch.zeros_like(values[0]),
        )
        return fused if parts[0].ndim == 4 else fused[:, :, 0, 0]

    def weights(self, maps: Sequence[Tensor], present: Tensor | None = None) -> Tensor:
        """(N, sensors, H, W), whose sum over sensors is 1; 0 for one that is missing."""
        scores = []
        for layer, each in zip(self.gates, maps, strict=True):
            content, gate = layer(each).chunk(2, dim=1)
            scores.append(self.score(content.tanh() * gate.sigmoid()))
        together = torch.cat(scores, dim=1)
        if present is not None:
            together = together.masked_fill(~present[:, :, None, None], -torch.inf)
        return together.softmax(dim=1)


FUSIONS: Mapping[Fusion, type[Concatenation] | type[AttentionFusion]] = {
    "concatenation": Concatenation,
    "attention": AttentionFusion,
}


def build_fusion(kind: Fusion, sensors: int, channels: int) -> Concatenation | AttentionFusion:
    """A fusion of so many sensors; one sensor needs none, and passes through."""
    return FUSIONS["concatenation" if sensors == 1 else kind](sensors, channels)


def _masked(parts: Sequence[Tensor], present: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each sensor's features with its mask in their number of dimensions."""
    return [
        (part, present[:, number].to(part.dtype).view(-1, *(1,) * (part.ndim - 1)))
        for number, part in enumerate(parts)
    ]
