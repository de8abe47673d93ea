"""What frozen features tell of classes: nearest neighbours, and a linear layer.

Test labels are no argument of anything here: what is chosen is chosen on validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.evaluate.land_cover import average_precision_by_class
from eo_contrast.evaluate.neighbours import neighbour_votes

NEIGHBOURS, TEMPERATURE = 20, 0.07
"""Fixed in advance for every encoder, not chosen on any data."""
WEIGHT_DECAYS = tuple(10.0**exponent for exponent in (0, -1, -2, -3, -4, -5, -6))
"""From strong to weak, each fit starts from the one before."""
ITERATIONS = 200
GRADIENT_TOLERANCE = 1e-5
LOSS_TOLERANCE = 1e-10
LEAST_DEVIATION = 1e-6
"""Features that vary less, relative to the largest deviation, are constant, and left at 0."""


@dataclass(frozen=True)
class Labelled:
    """Frozen features of some places, and their classes.

    Attributes:
        features: (N, D).
        targets: (N,) whole numbers, one class each; or (N, C) of 0 and 1, any number of them.
    """

    features: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Standardiser:
    """Mean and deviation of each feature over the training places."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """(N, D) float64, of mean 0 and deviation 1 over the training places."""
        return (features.double() - self.mean) / self.deviation


@dataclass(frozen=True)
class LinearProbe:
    """A linear layer on standardised features.

    Attributes:
        weights, bias: (C, D) and (C,), float64.
        weight_decay: the one that was best on validation.
        validation: score on validation by weight decay, 0..1.
        gradient: largest element of the objective's gradient where the fit ended.
    """

    standardise: Standardiser
    weights: Tensor
    bias: Tensor
    multi_label: bool
    weight_decay: float
    validation: dict[float, float]
    gradient: float

    def __call__(self, features: Tensor) -> Tensor:
        """Probabilities (N, C) float64; of several labels each between 0 and 1 by itself."""
        logits = F.linear(self.standardise(features), self.weights, self.bias)
        return logits.sigmoid() if self.multi_label else logits.softmax(1)


def standardiser(features: Tensor) -> Standardiser:
    """Of the training places' features (N, D); a feature that is constant becomes 0."""
    features = features.double()
    deviation = features.std(0, correction=0)
    constant = deviation <= LEAST_DEVIATION * deviation.max()
    return Standardiser(features.mean(0), deviation.masked_fill(constant, torch.inf))


def knn_predict(
    train: Labelled,
    features: Tensor,
    *,
    classes: int,
    neighbours: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Share of each class in the votes of the nearest training places, (N, C) in 0..1.

    Features are standardised by the training places, votes weighted by e^(cosine / tau).

    Args:
        features: (N, D) of the places asked for.
        classes: C.
    """
    standardise = standardiser(train.features)
    bank = standardise(train.features)
    targets = train.targets
    votes = F.one_hot(targets, classes) if targets.ndim == 1 else targets
    sums = neighbour_votes(
        standardise(features),
        bank,
        # The last column counts every neighbour once, whatever classes it has.
        torch.cat([votes, torch.ones_like(votes[:, :1])], dim=1),
        neighbours=neighbours,
        temperature=temperature,
    )
    return sums[:, :classes] / sums[:, classes:]


def linear_probe(
    train: Labelled,
    validation: Labelled,
    *,
    classes: int,
    decays: Sequence[float] = WEIGHT_DECAYS,
) -> LinearProbe:
    """Logistic regression on frozen features, its weight decay chosen on validation.

    Minimises mean cross entropy + decay / 2 |weights|^2 over the training places, by L-BFGS in
    float64, so that the result is the minimum and does not hang on a seed. The score is accuracy;
    of several labels macro mAP, which tells an order but not where to cut it: of decays with one
    score that of the least cross entropy on validation is taken.

    Args:
        decays: the candidates, from strong to weak.
    """
    standardise = standardiser(train.features)
    seen, multi_label = standardise(train.features), train.targets.ndim == 2
    held_out = standardise(validation.features)
    basis = _spanned(seen)
    if basis is not None:
        seen, held_out = seen @ basis, held_out @ basis
    layer = torch.zeros(classes, seen.shape[1] + 1, dtype=torch.float64, device=seen.device)
    best: tuple[tuple[float, float], Tensor, float, float] | None = None
    scores: dict[float, float] = {}
    for decay in decays:
        layer, gradient = _minimised(layer, seen, train.targets, decay)
        logits = F.linear(held_out, layer[:, :-1], layer[:, -1])
        scores[decay] = _score(logits, validation.targets)
        merit = (scores[decay], -float(objective(layer, held_out, validation.targets, 0.0)))
        if best is None or merit > best[0]:
            best = (merit, layer, decay, gradient)
    if best is None:
        raise ValueError("decays is empty; give at least one")
    _, layer, decay, gradient = best
    weights = layer[:, :-1]
    return LinearProbe(
        standardise=standardise,
        weights=weights if basis is None else weights @ basis.T,
        bias=layer[:, -1],
        multi_label=multi_label,
        weight_decay=decay,
        validation=scores,
        gradient=gradient,
    )


def objective(layer: Tensor, features: Tensor, targets: Tensor, decay: float) -> Tensor:
    """Mean cross entropy of a linear layer, and its weight decay.

    Args:
        layer: (C, D + 1), the last column the bias, which does not decay.
        features: (N, D).
        targets: (N,) or (N, C), as :class:`Labelled` has them.
    """
    weights = layer[:, :-1]
    logits = F.linear(features, weights, layer[:, -1])
    penalty = decay / 2 * weights.square().sum()
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets) + penalty
    several = F.binary_cross_entropy_with_logits(logits, targets.to(logits), reduction="sum")
    return several / len(features) + penalty


def _spanned(features: Tensor) -> Tensor | None:
    """Orthonormal basis (D, N) of what fewer places than features span; None: there are more.

    Weights that do not lie in it only add to the decay, so that the minimum does, and is found
    among N numbers a class and not D.
    """
    if len(features) >= features.shape[1]:
        return None
    basis: Tensor = torch.linalg.qr(features.T).Q
    return basis


def _minimised(
    start: Tensor, features: Tensor, targets: Tensor, decay: float
) -> tuple[Tensor, float]:
    layer = start.clone().requires_grad_()
    optimizer: Any = torch.optim.LBFGS(
        [layer],
        max_iter=ITERATIONS,
        history_size=10,
        tolerance_grad=GRADIENT_TOLERANCE,
        tolerance_change=LOSS_TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective(layer, features, targets, decay)
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)
    (gradient,) = torch.autograd.grad(objective(layer, features, targets, decay), layer)
    return layer.detach(), float(gradient.abs().max())


def _score(logits: Tensor, targets: Tensor) -> float:
    if targets.ndim == 1:
        return float((logits.argmax(1) == targets).double().mean())
    return float(average_precision_by_class(logits.sigmoid(), targets).nanmean())
