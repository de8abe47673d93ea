"""Adversarial losses, PatchNCE, schedules and initialisation against the original code."""

from __future__ import annotations

import math

import pytest
import torch
from conformance import assert_conforms
from torch import nn
from torch.nn import functional as F

from eo_contrast.nets.discriminators import DiscriminatorConfig, build_discriminator
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.initialisation import initialise
from eo_contrast.nets.patch_sampler import PatchSampler, PatchSamplerConfig
from eo_contrast.objectives.adversarial import DISCRIMINATOR, gradient_penalty, mixed_images
from eo_contrast.objectives.patchnce import (
    cross_entropy,
    focal,
    log_probability_of_positive,
)
from eo_contrast.training.schedule import ScheduleConfig, factor_at

MODES = {
    "lsgan": "lsgan",
    "vanilla": "vanilla",
    "wgangp": "wgan-gp",
    "nonsaturating": "nonsaturating",
    "hinge": "hinge",
}


@pytest.mark.parametrize("target", ["real", "fake"])
@pytest.mark.parametrize("mode", sorted(MODES))
def test_adversarial_loss_gives_the_original_value_and_gradient(golden, mode, target):
    data = golden("05_ganloss")
    logits = data["pred"].requires_grad_(True)
    by_image = DISCRIMINATOR[MODES[mode]](logits, target == "real")
    wanted = data[f"{mode}/{target}/loss"]
    assert_conforms(by_image if wanted.numel() > 1 else by_image.mean(), wanted, "loss")
    by_image.mean().backward()
    assert_conforms(by_image.mean(), data[f"{mode}/{target}/mean"], "mean")
    assert_conforms(logits.grad, data[f"{mode}/{target}/grad"], "gradient")


@pytest.mark.parametrize("place", ["real", "fake", "mixed"])
def test_gradient_penalty_gives_the_original_value_and_gradients(golden, place):
    data = golden("extra/l02_gradient_penalty")
    layers = [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 6, 1), nn.Conv2d(6, 1, 1, bias=False)]
    for number, layer in enumerate(layers):
        bias = f"D/conv{number}.bias"
        layer.weight.data = data[f"D/conv{number}.weight"]
        layer.bias = nn.Parameter(data[bias]) if bias in data.arrays else None
    net = nn.Sequential(layers[0], nn.LeakyReLU(0.2), layers[1], nn.LeakyReLU(0.2), layers[2])
    at = data[place] if place != "mixed" else None
    if at is None:
        at = mixed_images(data["real"], data["fake"], data["mixed/alpha"].flatten())
    penalty = gradient_penalty(net, at, constant=1.0, weight=10.0)
    penalty.backward()
    assert_conforms(penalty, data[f"{place}/penalty"].squeeze(), "penalty")
    for key, wanted in data.under(f"{place}/D.grad/").items():
        number, kind = key.removeprefix("conv").split(".")
        assert_conforms(getattr(layers[int(number)], kind).grad, wanted, key)


@pytest.mark.parametrize("name", ["b1_own", "b2_own", "b2_all"])
def test_patchnce_gives_the_original_rows_and_gradients(golden, name):
    data = golden(f"04_patchnce_{name}")
    batch = int(data["batch"])
    shape = (batch, -1, data["feat_q"].shape[-1])
    whole = bool(data["all_negatives"])
    variants = sorted({key.split("/")[0] for key in data.arrays if key.endswith("/loss")})
    assert len(variants) == 13
    for variant in variants:
        query = data["feat_q"].requires_grad_(True)
        key = data["feat_k"].requires_grad_(True)
        log_p = log_probability_of_positive(
            query.view(shape), key.view(shape), temperature=float(data["nce_T"]), whole_batch=whole
        )
        rows = _weigh(variant, log_p).flatten()
        assert_conforms(rows, data[f"{variant}/loss"], variant)
        rows.mean().backward()
        assert_conforms(rows.mean(), data[f"{variant}/mean"], variant)
        assert_conforms(query.grad, data[f"{variant}/grad_q"], f"{variant} gradient")
        assert key.grad is None


def _weigh(variant: str, log_p: torch.Tensor) -> torch.Tensor:
    if variant == "ce":
        return cross_entropy(log_p)
    *kind, gamma, alpha = variant.split("_")
    return focal(
        log_p,
        gamma=float(gamma.removeprefix("g")),
        alpha=float(alpha.removeprefix("a")),
        through_modulation=kind == ["focal", "through"],
    )


@pytest.mark.parametrize(
    ("name", "options", "first_epoch"),
    [
        ("linear_cut_200_200", {"constant": 200, "decay": 200}, 1),
        ("linear_fastcut_150_50", {"constant": 150, "decay": 50}, 1),
        ("linear_sincut_8_8", {"constant": 8, "decay": 8}, 1),
        ("linear_200_200_resume_epoch301", {"constant": 200, "decay": 200}, 301),
        ("step_50_of_200_200", {"kind": "step", "constant": 200, "decay": 200}, 1),
        ("cosine_200_200", {"kind": "cosine", "constant": 200, "decay": 200}, 1),
    ],
)
def test_learning_rate_follows_the_published_schedule(golden, name, options, first_epoch):
    wanted = golden("06_lr_schedule")[name].tolist()
    config = ScheduleConfig(unit="epochs", **options)
    # The published cosine climbs again after its minimum at epoch 201; ours stays down.
    wanted = wanted[:201] if "cosine" in name else wanted[: config.total - first_epoch + 1]
    steps_per_epoch = 7
    for index, factor in enumerate(wanted):
        epoch = first_epoch + index
        for step in (steps_per_epoch * (epoch - 1), steps_per_epoch * epoch - 1):
            assert factor_at(step, steps_per_epoch, config) == pytest.approx(factor, abs=1e-12)


def test_cosine_schedule_does_not_rise_again():
    config = ScheduleConfig(kind="cosine", constant=200, decay=200)
    factors = [factor_at(step, 1, config) for step in range(400)]
    assert factors == sorted(factors, reverse=True)


def _nets() -> dict[str, nn.Module]:
    return {
        "g": ResnetGenerator(GeneratorConfig(width=32, blocks=3)),
        "g_noaa": ResnetGenerator(
            GeneratorConfig(width=32, blocks=1, antialias_down=False, antialias_up=False)
        ),
        "d": build_discriminator(DiscriminatorConfig(width=32)),
        "f": PatchSampler(
            PatchSamplerConfig(projection=64, layers=("first", "second", "third")),
            {"first": 3, "second": 32, "third": 64},
        ),
    }


@pytest.mark.parametrize("kind", ["normal", "xavier", "kaiming"])
def test_initial_weights_spread_as_in_the_original(golden, kind):
    data = golden("06_init_stats")
    for net_name, net in _nets().items():
        initialise(net, kind, generator=torch.Generator().manual_seed(1))
        for name, parameter in net.named_parameters():
            if name.endswith(".bias"):
                assert parameter.abs().max() == 0
                continue
            key = f"{kind}/{net_name}/{net_name[0]}.{name}"
            assert tuple(data[f"{key}/shape"].tolist()) == tuple(parameter.shape)
            wanted = float(data[f"{key}/std"])
            ours, theirs = parameter.numel(), float(data[f"{key}/count"])
            error = wanted * math.sqrt(1 / (2 * ours) + 1 / (2 * theirs))
            assert abs(parameter.std().item() - wanted) < 5 * error, (net_name, name)
            assert abs(parameter.mean().item()) < 5 * wanted / math.sqrt(ours)


def test_unreduced_cross_entropy_of_the_library_is_the_oracle_of_patchnce():
    draws = torch.Generator().manual_seed(3)
    query = F.normalize(torch.randn(2, 6, 4, generator=draws, dtype=torch.float64), dim=2)
    key = F.normalize(torch.randn(2, 6, 4, generator=draws, dtype=torch.float64), dim=2)
    log_p = log_probability_of_positive(query, key, temperature=0.2)
    for image in range(2):
        logits = query[image] @ key[image].T / 0.2
        wanted = F.cross_entropy(logits, torch.arange(6), reduction="none")
        torch.testing.assert_close(-log_p[image], wanted)
