"""What a step's vectors tell of each space: chance, collapse, spread, agreement."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.pretrain.engine import Losses
from eo_contrast.pretrain.graph import Graph, Space
from eo_contrast.pretrain.monitor import alignment, deviation, information_bound, uniformity
from eo_contrast.pretrain.spaces import Seen, candidates, chance

COLLAPSED_SHARE = 0.1
"""Of the deviation that vectors spread evenly have: below it they are one point."""
WORSE_THAN_CHANCE, AT_CHANCE = 1.05, 0.005


@torch.no_grad()
def observed(graph: Graph, losses: Losses) -> dict[str, float]:
    """Numbers of each space at this step, named ``what/space``; of pixels ``over_chance`` alone.

    - ``over_chance``: the loss over that of vectors that say nothing.
    - ``deviation``: mean deviation of unit vectors' dimensions; ``spread``: over D^-1/2, so 1 is
      even and 0 collapsed.
    - ``alignment``, ``uniformity``: Wang and Isola 2020.
    - ``positive``, ``hardest``: mean cosine of positives, and of the nearest other place.
    - ``found``: share of anchors whose positive is nearer than every other place's.
    - ``bound``: least mutual information, nats.
    - ``false_negatives``: share of queue keys that are of the anchor's own place.
    """
    facts: dict[str, float] = {}
    for name, space in graph.spaces.items():
        loss, seen = float(losses.by_space[name]), losses.seen.get(name)
        if seen is None:
            found = {"over_chance": loss / (chance(space, 1, 1) or 1.0)}
        else:
            found = _of_vectors(*_first_pair(space, seen)) | _of_loss(space, seen, loss)
        if name in losses.false_negatives:
            found["false_negatives"] = float(losses.false_negatives[name])
        facts |= {f"{what}/{name}": value for what, value in found.items()}
    return facts


def warnings_of(facts: Mapping[str, float], graph: Graph) -> list[str]:
    """What the numbers say in words, one line a thing that is wrong."""
    return list(faults_of(facts, graph).values())


def faults_of(facts: Mapping[str, float], graph: Graph) -> dict[str, str]:
    """What is wrong, in words; by ``what/space``, which stays the same while it lasts."""
    lines = {}
    for name in graph.spaces:
        spread, over = facts.get(f"spread/{name}"), facts.get(f"over_chance/{name}")
        if spread is not None and spread < COLLAPSED_SHARE:
            lines[f"collapsed/{name}"] = (
                f"space {name}: collapsed, all vectors are nearly one point (spread "
                f"{spread:.3f}, 1 is even); lower optimizer.lr, or give the objective negatives"
            )
        elif over is not None and over > WORSE_THAN_CHANCE:
            lines[f"worse/{name}"] = (
                f"space {name}: the loss is {over:.2f} of that of a guess: worse than knowing "
                "nothing; look at temperature, learning rate and labels"
            )
        elif over is not None and abs(over - 1) < AT_CHANCE:
            lines[f"chance/{name}"] = (
                f"space {name}: the loss is that of a guess; nothing is learnt yet (a queue that "
                "is still random, a rate too low, or views with nothing in common)"
            )
    return lines


def _of_loss(space: Space, seen: Seen, loss: float) -> dict[str, float]:
    places = len(seen.places)
    width = next(iter(seen.vectors.values())).shape[1]
    found = {}
    guess = chance(space, places, width)
    if guess:
        found["over_chance"] = loss / guess
    among = candidates(space, places)
    if among is not None:
        found["bound"] = information_bound(loss / max(len(space.pairs), 1), among)
    return found


def _of_vectors(one: Tensor, other: Tensor) -> dict[str, float]:
    one, other = F.normalize(one, dim=1), F.normalize(other, dim=1)
    cosines = one @ other.T
    own = cosines.diagonal()
    found = {
        "deviation": deviation(one),
        "spread": deviation(one) * math.sqrt(one.shape[1]),
        "alignment": float(alignment(one, other)),
        "positive": float(own.mean()),
    }
    if len(one) > 1:
        others = cosines - 2 * torch.eye(len(one), device=one.device)
        found |= {
            "uniformity": float(uniformity(one)),
            "hardest": float(others.amax(1).mean()),
            "found": float((own > others.amax(1)).float().mean()),
        }
    return found


def _first_pair(space: Space, seen: Seen) -> tuple[Tensor, Tensor]:
    if space.pairs:
        anchor, positive = space.pairs[0]
    else:
        anchor, positive = space.views[0], space.views[-1]
    return seen.anchors[anchor].float(), seen.vectors[positive].float()
