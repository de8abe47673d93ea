"""Every objective as a space: a gradient for the anchors, chance for vectors that say nothing."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from eo_contrast.pretrain.graph import OF_BANKS, OF_SETS, Space
from eo_contrast.pretrain.memory import Bank, Queue
from eo_contrast.pretrain.spaces import OF_PAIRS, OF_VIEWS, Remembered, Seen, chance, space_loss

PLACES, WIDTH, KEPT = 64, 256, 128


def space_of(objective: str, **values: object) -> Space:
    more: dict[str, object] = {"objective": objective, "temperature": 1.0}
    more["views" if objective in OF_SETS else "pairs"] = (
        ("a", "b") if objective in OF_SETS else (("a", "b"),)
    )
    if objective in OF_BANKS:
        more["bank"] = 32
    if objective == "info_nce":
        more["queue"] = KEPT
    if objective == "swapped_prediction":
        more["prototypes"] = 16
    return Space.model_validate(more | values)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seen_of(one: torch.Tensor, other: torch.Tensor, **values: object) -> Seen:
    vectors = {"a": one, "b": other}
    plain = {"images": {}, "products": {}}
    return Seen(vectors, vectors, torch.arange(len(one)), **(plain | values))


def kept_of(space: Space) -> Remembered:
    unit = F.normalize(drawn(9, KEPT, WIDTH), dim=1)
    return Remembered(
        queue=Queue(unit) if space.queue else None,
        banks={"a": Bank(unit), "b": Bank(unit)} if space.bank else None,
        normalisers={},
        drawn=torch.randint(KEPT, (PLACES, 32), generator=torch.Generator().manual_seed(3)),
        log_scale=torch.tensor(0.0),
        prototypes=F.normalize(drawn(5, space.prototypes, WIDTH), dim=1),
    )


@pytest.mark.parametrize("objective", [*OF_PAIRS, *OF_VIEWS])
def test_the_anchor_gets_a_gradient(objective):
    space = space_of(objective)
    one, other = drawn(1, PLACES, WIDTH).requires_grad_(), drawn(2, PLACES, WIDTH)
    loss = space_loss(space, seen_of(one, other), kept_of(space))
    loss.backward()
    assert loss.ndim == 0
    assert torch.isfinite(one.grad).all()
    assert one.grad.abs().sum() > 0


@pytest.mark.parametrize("objective", sorted(set(OF_PAIRS) | set(OF_VIEWS)))
def test_vectors_that_say_nothing_are_at_chance(objective):
    space = space_of(objective)
    guess = chance(space, PLACES, WIDTH)
    if guess is None:
        assert objective not in ("nt_xent", "info_nce", "clip")
        return
    scale = 0.01 if objective == "n_pair" else 1.0  # its products are not of unit vectors
    seen = seen_of(scale * drawn(1, PLACES, WIDTH), scale * drawn(2, PLACES, WIDTH))
    # Barlow's estimate of no correlation has the noise of a finite batch in it.
    tolerance = 0.9 if objective == "barlow_twins" else 0.1
    assert float(space_loss(space, seen, kept_of(space))) == pytest.approx(guess, rel=tolerance)


def test_keys_of_the_own_place_are_no_negatives_where_that_is_asked():
    one = drawn(1, PLACES, WIDTH)
    queue = Queue(F.normalize(one, dim=1), ids=torch.arange(PLACES))
    plain = space_of("info_nce", queue=PLACES, temperature=0.1)
    masked = space_of("info_nce", queue=PLACES, temperature=0.1, mask_same_place=True)
    losses = [
        float(space_loss(space, seen_of(one, one), Remembered(queue=queue)))
        for space in (plain, masked)
    ]
    assert losses[0] == pytest.approx(0.69, abs=0.02)  # two equal candidates
    assert losses[1] < 0.02


def test_another_date_of_the_own_place_is_a_negative_and_the_same_image_is_none():
    one, other = drawn(1, PLACES, WIDTH), drawn(2, PLACES, WIDTH)
    space = space_of("info_nce", queue=None, place_negatives=("c",), temperature=0.1)
    vectors = {"a": one, "b": other, "c": one}
    later = torch.ones(PLACES, dtype=torch.long)
    losses = []
    for image_of_c in (later, 0 * later):
        seen = Seen(
            vectors,
            vectors,
            torch.arange(PLACES),
            images={"a": 0 * later, "b": 0 * later, "c": image_of_c},
            products=dict.fromkeys(vectors, "s2-l2a"),
        )
        losses.append(float(space_loss(space, seen, Remembered())))
    assert losses[0] > 5
    assert losses[1] == 0
