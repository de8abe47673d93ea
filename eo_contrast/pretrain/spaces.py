"""What a space's objective makes of the vectors that its views were projected to.

All vectors here are of the whole batch, of every process; so a loss is one process's and a
hundred processes' alike. Rows are places, in one order for all views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from eo_contrast.objectives import contrastive, metric, non_contrastive
from eo_contrast.pretrain.graph import OF_BANKS, OF_PIXELS, Space
from eo_contrast.pretrain.memory import Bank, Queue


@dataclass(frozen=True)
class Seen:
    """What a space sees.

    Attributes:
        vectors: (N, D) by view, from the projector, not normalised.
        anchors: (N, D) of the online views, from the predictor where there is one.
        places: (N,) numbers.
        images: by view, (N,) which of its place's images was drawn.
        products: by view.
        classes: (N,) whole numbers; None: not known.
    """

    vectors: Mapping[str, Tensor]
    anchors: Mapping[str, Tensor]
    places: Tensor
    images: Mapping[str, Tensor]
    products: Mapping[str, str]
    classes: Tensor | None = None


@dataclass(frozen=True)
class Remembered:
    """What a space remembers of earlier steps.

    Attributes:
        queue: None: it has none.
        banks: by view.
        normalisers: Z of the noise-contrastive estimate by (anchor, positive); filled by the first
            batch.
        drawn: (N, K) rows of the banks that are negatives at this step; None: no bank.
        log_scale: of ``clip``, learned.
        prototypes: (P, D) of ``swapped_prediction``, learned.
    """

    queue: Queue | None = None
    banks: Mapping[str, Bank] | None = None
    normalisers: dict[tuple[str, str], Tensor] | None = None
    drawn: Tensor | None = None
    log_scale: Tensor | None = None
    prototypes: Tensor | None = None


def space_loss(space: Space, seen: Seen, kept: Remembered) -> Tensor:
    """The space's loss, its weight not counted.

    Pairs are summed: SimCLR has one, BYOL, MoCo v3 and CMC one for each direction.
    """
    if space.pairs:
        of_pair = OF_PAIRS[space.objective]
        return torch.stack([of_pair(space, seen, kept, pair) for pair in space.pairs]).sum()
    return OF_VIEWS[space.objective](space, seen, kept)


def chance(space: Space, places: int, width: int) -> float | None:
    """The loss of vectors that say nothing: what a space has to fall below.

    Args:
        places: N of the whole batch.
        width: D.

    Returns: None where there is no such number.
    """
    if space.objective in OF_PIXELS:
        return float(len(space.views))  # standardised values have a mean square of 1
    negatives = (space.queue or 0) + len(space.negatives) * places + len(space.place_negatives)
    bank = space.bank or 0
    values = {
        "nt_xent": math.log(2 * places - 1),
        "info_nce": math.log(1 + negatives + (places - 1) * space.batch),
        "clip": math.log(places),
        "n_pair": math.log(places),
        "bank_softmax": math.log(1 + bank),
        # Every probability is 1 / n: eq. 7 of Wu et al. 2018 at p = K / n.
        "noise_contrastive": math.log(1 + bank) + bank * math.log((bank + 1) / max(bank, 1)),
        "regression": 2.0,
        "swapped_prediction": math.log(space.prototypes),
        "supervised": space.temperature / 0.07 * math.log(max(len(space.views) * places - 1, 1)),
        "barlow_twins": _width(space, width) * space.diagonal**2,
    }
    if space.objective not in values:
        return None
    return values[space.objective] * max(len(space.pairs), 1)


def candidates(space: Space, places: int) -> int | None:
    """Among how many a positive is looked for; None: the objective does not look for it.

    The bound on mutual information is ln of this less the loss.
    """
    found = {
        "nt_xent": 2 * places - 1,
        "info_nce": 1
        + (space.queue or 0)
        + len(space.negatives) * places
        + len(space.place_negatives)
        + (places - 1) * space.batch,
        "clip": places,
        "bank_softmax": 1 + (space.bank or 0),
    }
    return found.get(space.objective)


def after_step(space: Space, seen: Seen, kept: Remembered) -> None:
    """Put this step's keys into the queue and its vectors into the banks."""
    if kept.queue is not None:
        ((_, positive),) = space.pairs
        kept.queue.push(F.normalize(seen.vectors[positive], dim=1), seen.places)
    if space.objective in OF_BANKS and kept.banks is not None:
        for view, bank in kept.banks.items():
            bank.update(seen.places, F.normalize(seen.vectors[view], dim=1))


def _nt_xent(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    return contrastive.nt_xent(*_both(space, seen, pair), temperature=space.temperature)


def _info_nce(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    query, key = _both(space, seen, pair)
    shared, counted = _negatives_of_all(space, seen, kept, pair)
    own, own_counted = _negatives_of_place(space, seen, pair)
    parts = [part for part in (counted, own_counted) if part is not None]
    return contrastive.info_nce(
        query,
        key,
        shared,
        own,
        temperature=space.temperature,
        counted=torch.cat(parts, dim=1) if parts else None,
    )


def _negatives_of_all(
    space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]
) -> tuple[Tensor | None, Tensor | None]:
    """Negatives (K, D) of every query, and (N, K) which of them count for which."""
    places = seen.places
    vectors: list[Tensor] = []
    counted: list[Tensor] = []
    if kept.queue is not None:
        keys = kept.queue.keys
        vectors.append(keys)
        strangers = kept.queue.ids[None] != places[:, None]
        counted.append(strangers if space.mask_same_place else torch.ones_like(strangers))
    for view in space.negatives:
        vectors.append(F.normalize(_part(space, seen.vectors[view]), dim=1))
        strangers = places[None] != places[:, None]
        counted.append(strangers if space.mask_same_place else torch.ones_like(strangers))
    if space.batch:
        vectors.append(F.normalize(_part(space, seen.vectors[pair[1]]), dim=1))
        counted.append(~torch.eye(len(places), dtype=torch.bool, device=places.device))
    if not vectors:
        return None, None
    return torch.cat(vectors), torch.cat(counted, dim=1)


def _negatives_of_place(
    space: Space, seen: Seen, pair: tuple[str, str]
) -> tuple[Tensor | None, Tensor | None]:
    """Negatives (N, M, D) of each query's own place, and (N, M) whether they are other images."""
    if not space.place_negatives:
        return None, None
    vectors = [
        F.normalize(_part(space, seen.vectors[view]), dim=1) for view in space.place_negatives
    ]
    other_image = [_differ(seen, view, pair) for view in space.place_negatives]
    return torch.stack(vectors, dim=1), torch.stack(other_image, dim=1)


def _differ(seen: Seen, view: str, pair: tuple[str, str]) -> Tensor:
    """(N,) whether the view shows another image than those of the pair that share its product.

    A place with fewer dates than slots shows one image in two slots; it is no negative then.
    """
    differ = torch.ones_like(seen.places, dtype=torch.bool)
    for other in pair:
        if seen.products[other] == seen.products[view]:
            differ &= seen.images[other] != seen.images[view]
    return differ


def _clip(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    if kept.log_scale is None:
        raise ValueError("clip learns its scale; there is none")
    return contrastive.clip(*_both(space, seen, pair), kept.log_scale)


def _bank(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    """The anchor against the bank of the positive's view."""
    if kept.banks is None or kept.drawn is None or kept.normalisers is None:
        raise ValueError(f"{space.objective} needs a bank; there is none")
    vectors = _part(space, seen.anchors[pair[0]])
    bank = kept.banks[pair[1]]
    rows = bank.vectors[torch.cat([seen.places[:, None], kept.drawn], dim=1)]
    if space.objective == "bank_softmax":
        dots = torch.einsum("nd,nkd->nk", F.normalize(vectors, dim=1), rows)
        own = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)
        return F.cross_entropy(dots / space.temperature, own)
    size = len(bank.vectors)
    scores, constant = contrastive.normalised_scores(
        vectors,
        rows,
        temperature=space.temperature,
        normaliser=kept.normalisers.get(pair),
        data_size=size,
    )
    kept.normalisers[pair] = constant
    return contrastive.noise_contrastive(scores, data_size=size)


def _regression(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    return non_contrastive.regression(*_both(space, seen, pair)).mean()


def _barlow_twins(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    return non_contrastive.barlow_twins(
        *_both(space, seen, pair), off_diagonal=space.off_diagonal, diagonal=space.diagonal
    )


def _vicreg(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    invariant, variant, unlike = space.vicreg_weights
    return non_contrastive.vicreg(
        *_both(space, seen, pair), invariant=invariant, variant=variant, unlike=unlike
    )


def _n_pair(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    return contrastive.n_pair(*_both(space, seen, pair))


def _triplet(space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]) -> Tensor:
    """The negative is the next place's positive."""
    anchor, positive = _both(space, seen, pair)
    return metric.triplet(anchor, positive, positive.roll(-1, dims=0), margin=space.margin)


def _contrastive_margin(
    space: Space, seen: Seen, kept: Remembered, pair: tuple[str, str]
) -> Tensor:
    """Each anchor with its own positive, and with the next place's."""
    anchor, positive = _both(space, seen, pair)
    alike = torch.ones(len(anchor), dtype=anchor.dtype, device=anchor.device)
    return metric.contrastive_margin(
        torch.cat([anchor, anchor]),
        torch.cat([positive, positive.roll(-1, dims=0)]),
        torch.cat([alike, alike * 0]),
        margin=space.margin,
    )


def _supervised(space: Space, seen: Seen, kept: Remembered) -> Tensor:
    views = torch.stack([_part(space, seen.anchors[view]) for view in space.views], dim=1)
    return contrastive.supervised(views, _alike(space, seen), temperature=space.temperature)


def _swapped_prediction(space: Space, seen: Seen, kept: Remembered) -> Tensor:
    if kept.prototypes is None:
        raise ValueError("swapped_prediction learns prototypes; there are none")
    return non_contrastive.swapped_prediction(
        [_part(space, seen.anchors[view]) for view in space.views],
        kept.prototypes,
        assigned=space.assigned,
        temperature=space.temperature,
    )


def _lifted_structure(space: Space, seen: Seen, kept: Remembered) -> Tensor:
    return metric.lifted_structure(*_of_all_views(space, seen), margin=space.margin)


def _margin_of_pairs(space: Space, seen: Seen, kept: Remembered) -> Tensor:
    vectors, labels = _of_all_views(space, seen)
    return metric.margin_of_pairs(vectors, labels, far=space.margin)


def _triplets_of_batch(space: Space, seen: Seen, kept: Remembered) -> Tensor:
    return metric.triplets_of_batch(*_of_all_views(space, seen), margin=space.margin)


def _generalised_lifted_structure(space: Space, seen: Seen, kept: Remembered) -> Tensor:
    return metric.generalised_lifted_structure(*_of_all_views(space, seen), margin=space.margin)


PairLoss = Callable[[Space, Seen, Remembered, tuple[str, str]], Tensor]

OF_PAIRS: Mapping[str, PairLoss] = {
    "nt_xent": _nt_xent,
    "info_nce": _info_nce,
    "clip": _clip,
    "noise_contrastive": _bank,
    "bank_softmax": _bank,
    "regression": _regression,
    "barlow_twins": _barlow_twins,
    "vicreg": _vicreg,
    "n_pair": _n_pair,
    "triplet": _triplet,
    "contrastive_margin": _contrastive_margin,
}
OF_VIEWS: Mapping[str, Callable[[Space, Seen, Remembered], Tensor]] = {
    "supervised": _supervised,
    "swapped_prediction": _swapped_prediction,
    "lifted_structure": _lifted_structure,
    "generalised_lifted_structure": _generalised_lifted_structure,
    "margin_of_pairs": _margin_of_pairs,
    "triplets_of_batch": _triplets_of_batch,
}


def _both(space: Space, seen: Seen, pair: tuple[str, str]) -> tuple[Tensor, Tensor]:
    anchor, positive = pair
    return _part(space, seen.anchors[anchor]), _part(space, seen.vectors[positive])


def _of_all_views(space: Space, seen: Seen) -> tuple[Tensor, Tensor]:
    """Vectors (views * N, D) of all views, one after the other, and who is alike among them."""
    vectors = torch.cat([_part(space, seen.anchors[view]) for view in space.views])
    return vectors, _alike(space, seen).repeat(len(space.views))


def _alike(space: Space, seen: Seen) -> Tensor:
    """(N,) whole numbers, equal for places that are alike."""
    if space.labels == "place":
        return seen.places
    if seen.classes is None:
        raise ValueError("labels: class needs places with labels")
    return seen.classes


def _part(space: Space, vectors: Tensor) -> Tensor:
    return vectors if space.features is None else vectors[:, slice(*space.features)]


def _width(space: Space, width: int) -> int:
    return width if space.features is None else space.features[1] - space.features[0]
