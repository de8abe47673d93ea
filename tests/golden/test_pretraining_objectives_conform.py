"""Objectives of pretraining against the official code: values and gradients in float64."""

from __future__ import annotations

import pytest
import torch
from conformance import assert_conforms

from eo_contrast.objectives import contrastive, metric, non_contrastive


def leaves(data, *names):
    return [data[name].clone().requires_grad_(True) for name in names]


def check(loss, data, wanted, gradients):
    """The loss, and its derivative by each (tensor, name of the expected gradient)."""
    assert_conforms(loss, data[wanted], wanted)
    found = torch.autograd.grad(loss, [tensor for tensor, _ in gradients])
    for gradient, (_, name) in zip(found, gradients, strict=True):
        assert_conforms(gradient, data[name], name)


@pytest.mark.parametrize("number", range(5))
def test_nt_xent_is_lightly_s_and_half_of_google_s(pretraining, number):
    data = pretraining("ntxent")
    one, other = leaves(data, "z1", "z2")
    loss = contrastive.nt_xent(one, other, temperature=data["taus"][number].item())
    assert_conforms(loss, data["loss"][number], "loss")
    assert_conforms(2 * loss, data["tf_loss"][number], "tf_loss")
    first, second = torch.autograd.grad(loss, (one, other))
    assert_conforms(first, data["grad_z1"][number], "grad_z1")
    assert_conforms(second, data["grad_z2"][number], "grad_z2")
    assert_conforms(2 * torch.cat([first, second]), data["tf_grad"][number], "tf_grad")


@pytest.mark.parametrize("number", range(2))
def test_the_dual_encoder_loss_of_two_sensors_is_nt_xent(pretraining, number):
    data = pretraining("s1s2_dual_ntxent")
    radar, optical = leaves(data, "f_s1", "f_s2")
    loss = contrastive.nt_xent(radar, optical, temperature=data["taus"][number].item())
    assert_conforms(loss, data["loss"][number], "loss")
    found = torch.autograd.grad(loss, (radar, optical))
    assert_conforms(found[0], data["grad_s1"][number], "grad_s1")
    assert_conforms(found[1], data["grad_s2"][number], "grad_s2")


@pytest.mark.parametrize("temperature", [0.07, 0.1])
@pytest.mark.parametrize("anchors", ["all", "one"])
@pytest.mark.parametrize("kind", ["sup", "unsup"])
def test_supervised(pretraining, kind, anchors, temperature):
    data = pretraining("supcon")
    (views,) = leaves(data, "features_raw")
    loss = contrastive.supervised(
        views,
        data["labels"] if kind == "sup" else None,
        temperature=temperature,
        anchors="all" if anchors == "all" else "first",
    )
    # The official gradient is before the normalisation outside of the loss.
    name = f"{kind}_{anchors}_t{temperature}"
    check(loss, data, f"loss_{name}", [(views, f"grad_{name}")])


@pytest.mark.parametrize("case", ["c0", "c1"])
def test_clip(pretraining, case):
    data = pretraining("clip")
    one, other, scale = leaves(data, "a_raw", "b_raw", f"{case}_log_scale")
    loss = contrastive.clip(one, other, scale, clamp=False)
    gradients = [
        (one, f"{case}_grad_a"), (other, f"{case}_grad_b"), (scale, f"{case}_grad_log_scale"),
    ]  # fmt: skip
    check(loss, data, f"{case}_loss", gradients)


def test_moco_v3_s_one_direction(pretraining):
    data = pretraining("moco_v3")
    (query,) = leaves(data, "cl_q")
    loss = contrastive.in_batch_info_nce(query, data["cl_k"], temperature=0.2)
    check(loss, data, "cl_loss", [(query, "cl_grad_q")])


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("view", ["l", "ab"])
def test_cmc_s_noise_contrastive_estimation(pretraining, step, view):
    data = pretraining("cmc_two_view_nce")
    other = {"l": "ab", "ab": "l"}[view]
    before = f"memory_{other}_init" if step == 0 else f"step{step - 1}_memory_{other}"
    (vectors,) = leaves(data, f"step{step}_h_{view}")
    rows = data[before][data[f"step{step}_idx"]]
    size = int(data["n_data"])
    scores, normaliser = contrastive.normalised_scores(
        vectors,
        rows,
        temperature=data["T"].item(),
        normaliser=None if step == 0 else data[f"step0_Z_{view}"],
        data_size=size,
    )
    assert_conforms(scores, data[f"step{step}_out_{view}"], "scores")
    assert_conforms(normaliser, data[f"step{step}_Z_{view}"], "Z")
    loss = contrastive.noise_contrastive(scores, data_size=size)
    check(loss, data, f"step{step}_loss_{view}", [(vectors, f"step{step}_grad_h_{view}")])


def test_instance_discrimination(pretraining):
    data = pretraining("instdisc")
    (vectors,) = leaves(data, "step0_h")
    size = int(data["n_data"])
    scores, _ = contrastive.normalised_scores(
        vectors,
        data["memory_init"][data["step0_idx"]],
        temperature=data["T"].item(),
        data_size=size,
    )
    loss = contrastive.noise_contrastive(scores, data_size=size)
    check(loss, data, "step0_loss", [(vectors, "step0_grad_h")])


def test_byol(pretraining):
    data = pretraining("byol")
    one, other = leaves(data, "p1", "p2")
    first = non_contrastive.regression(one, data["z2"])
    second = non_contrastive.regression(other, data["z1"])
    assert_conforms(first, data["per_sample_12"], "per_sample_12")
    assert_conforms(second, data["per_sample_21"], "per_sample_21")
    check((first + second).mean(), data, "loss", [(one, "grad_p1"), (other, "grad_p2")])


def test_swav(pretraining):
    data = pretraining("swav")
    assert_conforms(non_contrastive.sinkhorn(data["scores"]), data["sinkhorn_q"], "eps .05")
    softer = non_contrastive.sinkhorn(data["scores"], eps=0.03)
    assert_conforms(softer, data["sinkhorn_q_eps003"], "eps .03")
    crops = leaves(data, "h0", "h1", "h2")
    prototypes = data["prototypes_normalized"].clone().requires_grad_(True)
    loss = non_contrastive.swapped_prediction(crops, prototypes)
    names = [(crop, f"grad_h{number}") for number, crop in enumerate(crops)]
    check(loss, data, "loss", names)


def test_barlow_twins(pretraining):
    data = pretraining("barlow_twins")
    one, other = leaves(data, "z1", "z2")
    assert_conforms(non_contrastive.cross_correlation(one, other), data["c"], "c")
    loss = non_contrastive.barlow_twins(one, other)
    check(loss, data, "loss", [(one, "grad_z1"), (other, "grad_z2")])


@pytest.mark.parametrize("start", ["", "small_"])
def test_vicreg_and_each_of_its_terms(pretraining, start):
    data = pretraining("vicreg")
    one, other = leaves(data, f"{start}z1", f"{start}z2")
    spread = [non_contrastive.variance_hinge(each) for each in (one, other)]
    unlike = [non_contrastive.covariance(each) for each in (one, other)]
    assert_conforms(non_contrastive.invariance(one, other), data[f"{start}term_sim"], "sim")
    assert_conforms(sum(spread) / 2, data[f"{start}term_std"], "std")
    assert_conforms(sum(unlike), data[f"{start}term_cov"], "cov")
    loss = non_contrastive.vicreg(one, other)
    check(loss, data, f"{start}loss", [(one, f"{start}grad_z1"), (other, f"{start}grad_z2")])


def test_decur(pretraining):
    data = pretraining("decur")
    names = ("z1_1", "z1_2", "z2_1", "z2_2")
    views = leaves(data, *names)
    loss = non_contrastive.decur(
        (views[0], views[1]), (views[2], views[3]), common=int(data["dim_common"])
    )
    check(
        loss,
        data,
        "total",
        [(view, f"grad_{name}") for view, name in zip(views, names, strict=True)],
    )


def test_metric_losses(pretraining):
    data = pretraining("metric_losses")
    anchor, positive, negative = leaves(data, "a", "p", "n")
    loss = metric.contrastive_margin(
        anchor, positive, data["pair_y"], margin=data["pair_margin"].item()
    )
    names = ("contrastive_hadsell_grad_a", "contrastive_hadsell_grad_p")
    check(loss, data, "contrastive_hadsell_loss", list(zip((anchor, positive), names, strict=True)))
    for margin in (0.2, 1.0):
        loss = metric.triplet(anchor, positive, negative, margin=margin)
        start = f"triplet_m{margin}"
        three = zip((anchor, positive, negative), "apn", strict=True)
        check(loss, data, f"{start}_loss", [(x, f"{start}_grad_{name}") for x, name in three])
    loss = contrastive.n_pair(anchor, positive)
    names = ("npair_mc_grad_a", "npair_mc_grad_p")
    check(loss, data, "npair_mc_loss", list(zip((anchor, positive), names, strict=True)))


def test_lifted_structure(pretraining):
    data = pretraining("metric_losses")
    (vectors,) = leaves(data, "emb")
    loss = metric.lifted_structure(vectors, data["labels"])
    check(loss, data, "lifted_song_loss", [(vectors, "lifted_song_grad")])
