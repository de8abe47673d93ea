"""What it costs to put masked views back, of rows that are held together or one part at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eo_contrast.nets.reconstruction import Reconstructor
from eo_contrast.objectives.masked import Masking, reconstruction_of_views
from eo_contrast.pretrain.masks import part_of


def reconstruction_error(
    net: Reconstructor,
    tokens: Sequence[Tensor],
    images: Sequence[Tensor],
    masks: Sequence[Masking],
    *,
    chunk: int | None = None,
) -> Tensor:
    """The loss of some places' views, a scalar; float32 at least.

    Args:
        tokens: (N, K, width) of each view's visible patches.
        images: (N, bands, H, W) of each view.
        masks: of each view.
        chunk: keep of so many rows at a time no more than their tokens, and compute the rest once
            more for the gradient (Chen et al. 2016), so that memory does not grow with N; None:
            all at once.
    """
    count = len(tokens[0])
    rows = chunk or count
    summed = []
    for first in range(0, count, rows):
        part = slice(first, first + rows)
        given = (
            net,
            [each[part] for each in tokens],
            [each[part] for each in images],
            [part_of(each, part) for each in masks],
        )
        error: Any = (
            _error(*given) if chunk is None else checkpoint(_error, *given, use_reentrant=False)
        )
        # Every image has as many patches removed as any other.
        summed.append(error * len(given[1][0]))
    return torch.stack(summed).sum() / count


def _error(
    net: Reconstructor, tokens: list[Tensor], images: list[Tensor], masks: list[Masking]
) -> Tensor:
    predictions = [
        # bfloat16 squares would lose what is left of small errors.
        each.to(torch.promote_types(each.dtype, torch.float32))
        for each in net(tokens, masks)
    ]
    return reconstruction_of_views(predictions, images, masks, net.patch)
