"""Adversarial losses on a discriminator's logits, one value an image.

``DISCRIMINATOR[mode](logits, real)`` is what the discriminator minimises on real or
translated images; ``GENERATOR[mode](logits)`` what the generator minimises on its own.
Means over patches; their batch mean is the loss.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Discriminate = Callable[[Tensor, bool], Tensor]
Generate = Callable[[Tensor], Tensor]


def least_squares(logits: Tensor, real: bool) -> Tensor:
    """(D - 1)^2 on real images, D^2 on others (Mao et al. 2017, eq. 9 without its 1/2).

    Args:
        logits: (B, 1, h, w).
        real: whether the images are meant to be taken for real.

    Returns: (B,), >= 0.
    """
    return _by_image((logits - float(real)).square())


def cross_entropy(logits: Tensor, real: bool) -> Tensor:
    """-log sigmoid(D) on real images, -log(1 - sigmoid(D)) on others (Goodfellow et al. 2014)."""
    target = torch.full_like(logits, float(real))
    return _by_image(F.binary_cross_entropy_with_logits(logits, target, reduction="none"))


def non_saturating(logits: Tensor, real: bool) -> Tensor:
    """softplus(-D) on real images, softplus(D) on others: cross entropy in one expression."""
    return _by_image(F.softplus(-logits if real else logits))


def wasserstein(logits: Tensor, real: bool) -> Tensor:
    """-D on real images, D on others (Arjovsky et al. 2017); wants the gradient penalty."""
    return _by_image(-logits if real else logits)


def hinge(logits: Tensor, real: bool) -> Tensor:
    """max(0, 1 - D) on real images, max(0, 1 + D) on others (Lim & Ye 2017)."""
    return _by_image(F.relu(1 - logits if real else 1 + logits))


def generator_hinge(logits: Tensor) -> Tensor:
    """-D (Lim & Ye 2017): keeps its gradient where max(0, 1 - D) has none."""
    return _by_image(-logits)


DISCRIMINATOR: dict[str, Discriminate] = {
    "lsgan": least_squares,
    "vanilla": cross_entropy,
    "nonsaturating": non_saturating,
    "wgan-gp": wasserstein,
    "hinge": hinge,
}
GENERATOR: dict[str, Generate] = {
    "lsgan": lambda logits: least_squares(logits, True),
    "vanilla": lambda logits: cross_entropy(logits, True),
    "nonsaturating": lambda logits: non_saturating(logits, True),
    "wgan-gp": lambda logits: wasserstein(logits, True),
    "hinge": generator_hinge,
}


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor],
    at: Tensor,
    *,
    constant: float = 1.0,
    weight: float = 10.0,
) -> Tensor:
    """weight * mean over images of (|grad D(x)| - constant)^2 (Gulrajani et al. 2017, eq. 3).

    Args:
        discriminator: (B, bands, H, W) -> logits.
        at: (B, bands, H, W), where the slope is measured; see :func:`mixed_images`.

    Returns: a scalar with a graph.
    """
    at = at.detach().requires_grad_(True)
    logits = discriminator(at)
    (slope,) = torch.autograd.grad(logits.sum(), at, create_graph=True)
    # The root has no gradient at zero; the published code shifts every component.
    length = torch.linalg.vector_norm(slope.flatten(1) + 1e-16, dim=1)
    penalty: Tensor = weight * (length - constant).square().mean()
    return penalty


def mixed_images(real: Tensor, fake: Tensor, share_real: Tensor) -> Tensor:
    """share * real + (1 - share) * fake; share is (B,), in [0, 1]."""
    share = share_real.to(real)[:, None, None, None]
    return share * real + (1 - share) * fake


def _by_image(values: Tensor) -> Tensor:
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    return wide.flatten(1).mean(dim=1)
