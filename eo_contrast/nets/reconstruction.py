"""Putting images back from the tokens of their visible patches: a cross encoder and a decoder.

Fuller et al. 2023 (CROMA), sec. 3; He et al. 2022 (MAE) of one image alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.config import Config
from eo_contrast.nets.encoders import drawn_from
from eo_contrast.nets.positions import alibi, bias_between, sine_positions
from eo_contrast.objectives.masked import Masking, filled_tokens

MLP_RATIO = 4
"""Width of a block's hidden layer over that of its tokens."""
FILLER_DEVIATION = 0.02


class CrossConfig(Config):
    """Blocks in which the first view's tokens look at their own and at the second view's."""

    depth: int = Field(6, ge=1, description="blocks")
    heads: int = Field(6, ge=1, description="of attention, a divisor of the encoder's width")


class DecoderConfig(Config):
    """Blocks behind the encoders, on all patches' tokens, and the layer that gives values."""

    depth: int = Field(1, ge=1, description="blocks")
    width: int = Field(512, ge=4, multiple_of=4, description="of a token")
    heads: int = Field(8, ge=1, description="of attention, a divisor of width")


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) of some tokens to a context."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, context: Tensor, bias: Tensor | None = None) -> Tensor:
        """(N, Q, width) and (N, K, width) -> (N, Q, width); ``bias`` (N, heads, Q, K) is added."""
        queries, keys, values = (
            layer(given).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, given in (
                (self.queries, tokens),
                (self.keys, context),
                (self.values, context),
            )
        )
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        attended: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return attended


class Block(nn.Module):
    """Attention to the own tokens, perhaps to others, then a layer a token; norms go before."""

    def __init__(self, width: int, heads: int, *, crosses: bool) -> None:
        super().__init__()
        self.own_norm = nn.LayerNorm(width)
        self.own = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width) if crosses else None
        self.cross = Attention(width, heads) if crosses else None
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, MLP_RATIO * width),
            nn.GELU(),
            nn.Linear(MLP_RATIO * width, width),
        )

    def forward(
        self,
        tokens: Tensor,
        context: Tensor | None = None,
        own_bias: Tensor | None = None,
        cross_bias: Tensor | None = None,
    ) -> Tensor:
        """(N, Q, width), and (N, K, width) of others -> (N, Q, width)."""
        normed = self.own_norm(tokens)
        tokens = tokens + self.own(normed, normed, own_bias)
        if self.cross is not None and self.cross_norm is not None and context is not None:
            tokens = tokens + self.cross(self.cross_norm(tokens), context, cross_bias)
        changed: Tensor = tokens + self.mlp(tokens)
        return changed


class CrossEncoder(nn.Module):
    """Joint encodings: one view's tokens, which have looked at the other's (CROMA, sec. 3.1)."""

    bias: Tensor

    def __init__(self, config: CrossConfig, width: int, side: int) -> None:
        super().__init__()
        self.context_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, crosses=True) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.register_buffer("bias", alibi(config.heads, side)[0].float(), persistent=False)

    def forward(
        self, tokens: Tensor, context: Tensor, kept: Tensor, kept_of_context: Tensor
    ) -> Tensor:
        """(N, Q, width) and (N, K, width) -> (N, Q, width).

        Args:
            kept, kept_of_context: numbers of the patches, (N, Q) and (N, K); attention falls with
                their distance (2D- and X-ALiBi, sec. 3.2).
        """
        own = bias_between(self.bias, kept, kept)
        cross = bias_between(self.bias, kept, kept_of_context)
        context = self.context_norm(context)
        for block in self.blocks:
            tokens = block(tokens, context, own, cross)
        normed: Tensor = self.norm(tokens)
        return normed


class PatchDecoder(nn.Module):
    """Values of every patch from the encodings of some (MAE, sec. 3; CROMA, sec. 3.1)."""

    positions: Tensor

    def __init__(self, config: DecoderConfig, width: int, side: int, values: Sequence[int]) -> None:
        super().__init__()
        self.enter = nn.Linear(width, config.width)
        self.filler = nn.Parameter(torch.empty(config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, crosses=False) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.leave = nn.ModuleList(nn.Linear(config.width, count) for count in values)
        where = sine_positions(config.width, side).float()
        self.register_buffer("positions", where, persistent=False)

    def forward(self, encodings: Tensor, masked: Masking) -> list[Tensor]:
        """Encodings (N, K, width) of the patches that ``masked`` keeps -> (N, L, values) each."""
        entered = self.enter(encodings)
        # Under autocast what enters is of another type than the filler.
        tokens = filled_tokens(entered, self.filler.to(entered.dtype), masked) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return [layer(tokens) for layer in self.leave]


class Reconstructor(nn.Module):
    """From visible tokens of one view, or of two, to the values of all patches of each.

    Attributes:
        patch: side in pixels.
    """

    def __init__(self, cross: CrossEncoder | None, decoder: PatchDecoder, patch: int) -> None:
        super().__init__()
        self.cross = cross
        self.decoder = decoder
        self.patch = patch

    def forward(self, tokens: Sequence[Tensor], masks: Sequence[Masking]) -> list[Tensor]:
        """Tokens (N, K, width) of each view -> its patches (N, L, patch * patch * bands).

        Of two views the first one's tokens look at the second one's; what is decoded stands at the
        first one's visible patches.
        """
        encodings = tokens[0]
        if self.cross is not None:
            encodings = self.cross(encodings, tokens[1], masks[0].kept, masks[1].kept)
        predictions: list[Tensor] = self.decoder(encodings, masks[0])
        return predictions


def build_reconstructor(
    cross: CrossConfig | None,
    decoder: DecoderConfig,
    *,
    width: int,
    side: int,
    patch: int,
    bands: Sequence[int],
    seed: int,
) -> Reconstructor:
    """A cross encoder and a decoder with random weights, a function of the arguments alone.

    Args:
        cross: None: of one view.
        width: of the encoders' tokens.
        side: patches a side.
        patch: side of one in pixels.
        bands: of each view.

    Raises: ValueError: heads do not divide a width.
    """
    for where, heads, of in (
        *((("cross", cross.heads, width),) if cross is not None else ()),
        ("decoder", decoder.heads, decoder.width),
    ):
        if of % heads:
            raise ValueError(f"{where}.heads is {heads}, which does not divide a width of {of}")
    with drawn_from(seed):
        net = Reconstructor(
            None if cross is None else CrossEncoder(cross, width, side),
            PatchDecoder(decoder, width, side, [patch**2 * count for count in bands]),
            patch,
        )
        for module in net.modules():
            if isinstance(module, nn.Linear):
                # As MAE (He et al. 2022, A.1) has it.
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(net.decoder.filler, std=FILLER_DEVIATION)
    return net
