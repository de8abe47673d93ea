"""Losses and gradients of two processes, through a gather with gradient, against the official."""

from __future__ import annotations

import pytest
import torch
from conformance import assert_conforms
from torch import distributed
from torch.nn import functional as F
from two_processes import in_two_processes, share

from eo_contrast.objectives import contrastive, non_contrastive
from eo_contrast.training.gather import gathered


def whole_nt_xent(views, gathered_views, rank):
    return contrastive.nt_xent(*gathered_views, temperature=0.2)


def own_nt_xent(views, gathered_views, rank):
    """The mean over the anchors of this process, as lightly has it."""
    both = F.normalize(torch.cat(gathered_views), dim=1)
    count = len(both) // 2
    own = torch.arange(count).chunk(2)[rank]
    own = torch.cat([own, own + count])
    partner = (own + count) % (2 * count)
    every = torch.arange(2 * count).expand(len(own), -1)
    others = every[(every != own[:, None]) & (every != partner[:, None])].view(len(own), -1)
    return contrastive.info_nce(both[own], both[partner], None, both[others], temperature=0.2)


def whole_vicreg(views, gathered_views, rank):
    return non_contrastive.vicreg(*gathered_views)


def own_vicreg(views, gathered_views, rank):
    """The distance of views is of this process alone, as the authors have it."""
    rest = non_contrastive.vicreg(*gathered_views, invariant=0)
    return rest + 25 * non_contrastive.invariance(*views)


CASES = {
    "ntxent": {"whole": whole_nt_xent, "own": own_nt_xent},
    "vicreg": {"whole": whole_vicreg, "own": own_vicreg},
}


def losses_and_gradients(rank, pairs):
    assert distributed.get_world_size() == 2
    found = {}
    for case, losses in CASES.items():
        for kind, loss_of in losses.items():
            views = [share(view, rank).clone().requires_grad_() for view in pairs[case]]
            loss = loss_of(views, [gathered(view) for view in views], rank)
            loss.backward()
            found[case, kind] = {
                "loss": loss.detach(),
                "gradients": torch.stack([view.grad for view in views]),
            }
    return found


@pytest.fixture(scope="module")
def ranks(pretraining, tmp_path_factory):
    data = pretraining("distributed_two_ranks")
    pairs = {case: [data[f"{case}_z1"], data[f"{case}_z2"]] for case in CASES}
    return in_two_processes(losses_and_gradients, tmp_path_factory.mktemp("ranks"), pairs)


@pytest.mark.parametrize("case", CASES)
def test_each_process_has_the_loss_of_the_whole_batch(pretraining, ranks, case):
    wanted = pretraining("distributed_two_ranks")[f"{case}_loss_single"]
    for rank in ranks:
        assert_conforms(rank[case, "whole"]["loss"], wanted, "loss")


@pytest.mark.parametrize("case", CASES)
def test_or_that_of_its_own_anchors_alone(pretraining, ranks, case):
    data = pretraining("distributed_two_ranks")
    losses = torch.stack([rank[case, "own"]["loss"] for rank in ranks])
    assert_conforms(losses, data[f"{case}_loss_per_rank"], "losses")
    assert_conforms(losses.mean(), data[f"{case}_loss_single"], "mean")


@pytest.mark.parametrize("kind", ["whole", "own"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_twice_those_of_one_process(pretraining, ranks, case, kind):
    data = pretraining("distributed_two_ranks")
    found = torch.cat([rank[case, kind]["gradients"] for rank in ranks], dim=1)
    for view, gradient in zip(("z1", "z2"), found, strict=True):
        assert_conforms(gradient, data[f"{case}_grad_{view}"], view)
    views = [data[f"{case}_{view}"].requires_grad_() for view in ("z1", "z2")]
    alone = torch.autograd.grad(CASES[case]["whole"](views, views, 0), views)
    assert_conforms(found / 2, torch.stack(alone), "of one process")


def test_norms_of_half_batches_would_change_barlow_twins(pretraining):
    data = pretraining("distributed_two_ranks")
    halves = zip(*(data[f"barlow_{view}"].chunk(2) for view in ("z1", "z2")), strict=True)
    correlation = sum(non_contrastive.cross_correlation(*views) for views in halves) / 2
    own = torch.diagonal(correlation)
    rest = correlation.square().sum() - own.square().sum()
    loss = (1 - own).square().sum() + non_contrastive.BARLOW_LAMBDA * rest
    assert_conforms(loss.expand(2), data["barlow_localbn_loss_per_rank"], "of half batches")
    whole = non_contrastive.barlow_twins(data["barlow_z1"], data["barlow_z2"])
    assert whole < loss / 2
