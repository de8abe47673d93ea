"""CUT (Park et al. 2020): adversarial loss on maps, PatchNCE between source and map.

The step in order: :func:`translate_batch`, the discriminator's losses and its update, the
generator's losses with the updated discriminator. Two exact savings against the published
step: the source's features are taken on the way through the generator, not computed a
second time, and only the sampled positions of them are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from eo_contrast.errors import InputError
from eo_contrast.nets.generator import feature_sizes
from eo_contrast.nets.patch_sampler import Positions, draw_positions, gather_patches
from eo_contrast.objectives.adversarial import (
    DISCRIMINATOR,
    GENERATOR,
    gradient_penalty,
    mixed_images,
)
from eo_contrast.objectives.patchnce import log_probability_of_positive, weighting
from eo_contrast.training.determinism import generator_for
from eo_contrast.translate.config import LossConfig
from eo_contrast.translate.nets import Nets


@dataclass(frozen=True)
class Draws:
    """Every random choice of one step, made outside of the maths.

    Attributes:
        flip: mirror the sources left to right before they are translated.
        positions: where the source and its translation are compared.
        identity_positions: the same for the maps; ``None`` without the identity term.
        penalty_shares: (B,) in [0, 1], where wgan-gp measures the slope; else ``None``.
        tags: (B, tags), one-hot, what the discriminator is told of each source and its map;
            ``None`` for a discriminator without tags.
    """

    flip: bool
    positions: Positions
    identity_positions: Positions | None = None
    penalty_shares: Tensor | None = None
    tags: Tensor | None = None


@dataclass(frozen=True)
class Translated:
    """What one pass through the generator gives to the losses.

    Attributes:
        fake: (B, bands, H, W), translation of the (mirrored) sources, with its graph.
        identity: the same of the maps, or ``None``.
        keys: per layer (B, patches, projection), unit vectors of the upright sources.
        identity_keys: of the maps, or ``None``.
    """

    fake: Tensor
    identity: Tensor | None
    keys: Mapping[str, Tensor]
    identity_keys: Mapping[str, Tensor] | None


def draw(
    nets: Nets,
    shape: tuple[int, int],
    *,
    seed: int,
    step: int,
    images: range,
    loss: LossConfig,
    tags: Sequence[str] = (),
) -> Draws:
    """The choices of one step, a function of its arguments alone.

    Args:
        shape: height and width of the images.
        images: places in the whole batch, over all processes, of this process's images.
        tags: of these images; used by a discriminator that is told them.

    Raises:
        InputError: a tag that the discriminator does not know.
    """
    sampler = nets.patch_sampler.config
    sizes = feature_sizes(nets.generator.config, *shape)
    sizes = {layer: sizes[layer] for layer in sampler.layers}

    def positions(purpose: str) -> Positions:
        generators = [generator_for(seed, purpose, step, image) for image in images]
        return draw_positions(sizes, sampler.patches, generators)

    flip = torch.rand((), generator=generator_for(seed, "flip", step)).item() < 0.5
    shares = [torch.rand((), generator=generator_for(seed, "penalty", step, i)) for i in images]
    return Draws(
        flip=loss.flip_equivariance and flip,
        positions=positions("source"),
        identity_positions=positions("identity") if loss.identity else None,
        penalty_shares=torch.stack(shares) if loss.adversarial == "wgan-gp" else None,
        tags=_one_hot(tags, nets.discriminator.config.tags),
    )


def translate_batch(
    nets: Nets, source: Tensor, target: Tensor, *, draws: Draws, loss: LossConfig
) -> Translated:
    """Translate the sources (and the maps, for the identity term) and take the keys.

    Args:
        source: (B, bands_in, H, W) in [-1, 1].
        target: (B, bands_out, H, W) in [-1, 1], maps of other places.
    """
    layers = nets.patch_sampler.config.layers
    batch = len(source)
    upright = torch.cat((source, target)) if loss.identity else source
    if draws.flip:
        # The keys belong to the upright source, and strides, padding and blur do not commute
        # with mirroring: features of the mirrored pass cannot serve.
        with torch.no_grad():
            features = nets.generator.encode(upright, layers)
        output, _ = nets.generator.tapped(upright.flip(3), ())
    else:
        output, features = nets.generator.tapped(upright, layers)
    with torch.no_grad():
        keys, identity_keys = _project(nets, features, draws)
    identity = output[batch:] if loss.identity else None
    return Translated(output[:batch], identity, keys, identity_keys)


def discriminator_losses(
    nets: Nets, translated: Translated, target: Tensor, *, draws: Draws, loss: LossConfig
) -> dict[str, Tensor]:
    """``total`` and its parts: half of real plus fake, and the slope penalty of wgan-gp."""
    judge = DISCRIMINATOR[loss.adversarial]
    fake = translated.fake.detach()
    logits_fake = judged(nets, fake, draws.tags)
    logits_real = judged(nets, target, draws.tags)
    losses = {"fake": judge(logits_fake, False).mean(), "real": judge(logits_real, True).mean()}
    losses["total"] = (losses["fake"] + losses["real"]) / 2
    if loss.adversarial == "wgan-gp":
        assert draws.penalty_shares is not None
        at = mixed_images(target, fake, draws.penalty_shares)
        losses["penalty"] = gradient_penalty(
            partial(judged, nets, tags=draws.tags), at, weight=loss.lambda_gradient_penalty
        )
        losses["total"] = losses["total"] + losses["penalty"]
    losses["logit_fake"] = logits_fake.detach().float().mean()
    losses["logit_real"] = logits_real.detach().float().mean()
    return losses


def judged(nets: Nets, images: Tensor, tags: Tensor | None = None) -> Tensor:
    """Logits of the discriminator, in full precision under autocast too.

    Maps are flat: a convolution's output varies little around a large mean, bfloat16 keeps
    three digits of it, and instance norm blows the rounding up to unit variance. Measured on
    sat2map, such a discriminator stays at chance.
    """
    with torch.autocast(images.device.type, enabled=False):
        logits: Tensor = nets.discriminator(
            images.to(torch.promote_types(images.dtype, torch.float32)), tags
        )
    return logits


def generator_losses(
    nets: Nets, translated: Translated, target: Tensor, *, draws: Draws, loss: LossConfig
) -> dict[str, Tensor]:
    """``total`` and its parts; the discriminator's parameters are expected to be frozen.

    total = lambda_adversarial * adversarial + nce, where nce = lambda_nce * NCE(x, G(x)),
    with identity the mean of that and lambda_nce * NCE(y, G(y)). For sources that come with
    their own map, lambda_paired * mean |G(x) - y| (pix2pix, eq. 3) is added.
    """
    images = translated.fake
    if translated.identity is not None:
        images = torch.cat((images, translated.identity))
    features = nets.generator.encode(images, nets.patch_sampler.config.layers)
    if draws.flip:
        features = {name: feature.flip(3) for name, feature in features.items()}
    losses: dict[str, Tensor] = {}
    if loss.lambda_adversarial > 0:
        logits = judged(nets, translated.fake, draws.tags)
        adversarial = GENERATOR[loss.adversarial](logits).mean()
        losses["adversarial"] = loss.lambda_adversarial * adversarial
    queries, identity_queries = _project(nets, features, draws)
    by_layer = _nce(queries, translated.keys, loss)
    losses |= {f"nce/{layer}": value.detach() for layer, value in by_layer.items()}
    losses["nce"] = nce = loss.lambda_nce * torch.stack(list(by_layer.values())).mean()
    if identity_queries is not None and translated.identity_keys is not None:
        by_layer = _nce(identity_queries, translated.identity_keys, loss)
        identity = loss.lambda_nce * torch.stack(list(by_layer.values())).mean()
        losses["nce_identity"] = identity
        nce = (nce + identity) / 2
    losses["total"] = losses.get("adversarial", 0.0) + nce
    if loss.lambda_paired > 0:
        upright = translated.fake.flip(3) if draws.flip else translated.fake
        losses["paired"] = loss.lambda_paired * (upright.float() - target).abs().mean()
        losses["total"] = losses["total"] + losses["paired"]
    return losses


def _one_hot(tags: Sequence[str], known: tuple[str, ...]) -> Tensor | None:
    if not known:
        return None
    for tag in tags:
        if tag not in known:
            raise InputError(
                f"discriminator.tags are {', '.join(known)}, but a tile has the tag {tag!r}; "
                "list every tag of pairs.csv, or leave discriminator.tags empty"
            )
    return torch.tensor([[float(tag == name) for name in known] for tag in tags])


def _project(
    nets: Nets, features: Mapping[str, Tensor], draws: Draws
) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """Unit vectors of the sources, and those of the maps that follow them in the batch.

    Patches are taken from the whole batch at once: the gradient of half a batch is first
    filled up with zeros, which for the widest maps costs more than the sampling.
    """
    positions, of_maps = draws.positions, draws.identity_positions
    if of_maps is None:
        return nets.patch_sampler(gather_patches(features, positions)), None
    half = len(next(iter(features.values()))) // 2
    both = {
        name: torch.cat((ids.expand(half, -1), of_maps[name].expand(half, -1)))
        for name, ids in positions.items()
    }
    projected = nets.patch_sampler(gather_patches(features, both))
    sources = {name: vectors[:half] for name, vectors in projected.items()}
    return sources, {name: vectors[half:] for name, vectors in projected.items()}


def _nce(
    queries: Mapping[str, Tensor], keys: Mapping[str, Tensor], loss: LossConfig
) -> dict[str, Tensor]:
    weigh = weighting(loss.weighting)
    return {
        layer: weigh(
            log_probability_of_positive(
                query,
                keys[layer],
                temperature=loss.temperature,
                whole_batch=loss.whole_batch_negatives,
            )
        ).mean()
        for layer, query in queries.items()
    }
