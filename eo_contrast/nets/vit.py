"""Vision transformers of timm that may see some patches alone, and attend by distance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eo_contrast.nets.positions import alibi


def vit_choices(*, patch: int | None, depth: int | None, by_distance: bool) -> dict[str, Any]:
    """What ``timm.create_model`` is told of a ViT that is not as published.

    Args:
        patch: side in pixels; None: as published.
        depth: blocks; None: as published.
        by_distance: no position embeddings and no class token; the feature is the mean of the
            patches' tokens, normed before it, so that maps of tokens are normed, too.
    """
    choices: dict[str, Any] = {}
    if patch is not None:
        choices["patch_size"] = patch
    if depth is not None:
        choices["depth"] = depth
    if by_distance:
        choices |= {
            "pos_embed": "none",
            "class_token": False,
            "global_pool": "avg",
            "fc_norm": False,
        }
    return choices


def distance_bias(net: nn.Module) -> Tensor:
    """What a ViT of square images adds to its attention, (heads, L, L), float32.

    See :func:`eo_contrast.nets.positions.alibi`.
    """
    vit: Any = net
    heads, side = vit.blocks[0].attn.num_heads, vit.patch_embed.grid_size[0]
    return alibi(int(heads), int(side))[0].float()


def seen_tokens(net: nn.Module, images: Tensor, kept: Tensor, bias: Tensor | None) -> Tensor:
    """Tokens (N, T, width) of the patches of images (N, bands, H, W) that are seen alone.

    He et al. 2022, sec. 3: patches are embedded, told where they are, and only then left out.

    Args:
        kept: (N, K) numbers of the patches that are seen, row by row from 0.
        bias: (N, heads, K, K), added to their attention; None: nothing is.

    Returns: behind the last norm; the class token, where there is one, and the patches as ``kept``
        has them, T = K or 1 + K.
    """
    vit: Any = net
    tokens: Tensor = vit.patch_embed(images)
    first = vit.num_prefix_tokens
    if vit.pos_embed is not None:
        tokens = tokens + vit.pos_embed[:, first:]
    tokens = tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[2]))
    if vit.cls_token is not None:
        class_token = vit.cls_token + vit.pos_embed[:, :first]
        tokens = torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)
    for block in vit.blocks:
        tokens = block(tokens, attn_mask=bias)
    normed: Tensor = vit.norm(tokens)
    return normed
