"""Whole CUT and FastCUT iterations against the original code: losses, gradients, Adam."""

from __future__ import annotations

import re

import pytest
import torch
from conformance import Golden, assert_conforms, assert_gradients_conform, load
from torch import Tensor, nn

from eo_contrast.nets.discriminators import DiscriminatorConfig, build_discriminator
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.patch_sampler import PatchSampler, PatchSamplerConfig
from eo_contrast.objectives.patchnce import WeightingConfig
from eo_contrast.training.loop import frozen
from eo_contrast.translate.config import LossConfig
from eo_contrast.translate.nets import Nets
from eo_contrast.translate.recipes import cut

LAYERS = ("stem.pad", "down1.conv", "down2.conv", "block1", "block5")
ADAM_STEP = 2e-4


def run_step(
    nets: Nets,
    adams: dict[str, torch.optim.Adam],
    batch: tuple[Tensor, Tensor],
    draws: cut.Draws,
    loss: LossConfig,
) -> tuple[cut.Translated, dict[str, Tensor], dict[str, Tensor]]:
    """The published order, written out; gradients stay for inspection until the next step."""
    source, target = batch
    translated = cut.translate_batch(nets, source, target, draws=draws, loss=loss)
    of_d = cut.discriminator_losses(nets, translated, target, draws=draws, loss=loss)
    adams["discriminator"].zero_grad()
    of_d["total"].backward()
    adams["discriminator"].step()
    with frozen(nets.discriminator):
        of_g = cut.generator_losses(nets, translated, target, draws=draws, loss=loss)
    adams["generator"].zero_grad()
    adams["patch_sampler"].zero_grad()
    of_g["total"].backward()
    adams["generator"].step()
    adams["patch_sampler"].step()
    return translated, of_d, of_g


def adams_for(nets: Nets) -> dict[str, torch.optim.Adam]:
    return {
        name: torch.optim.Adam(net.parameters(), lr=ADAM_STEP, betas=(0.5, 0.999), eps=1e-8)
        for name, net in nets.named()
    }


def assert_parameters_conform(net: nn.Module, wanted: dict[str, Tensor]) -> None:
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(
            parameter.detach(),
            wanted[name],
            rtol=1e-9,
            atol=max(1e-8, 5e-5 * ADAM_STEP),
            msg=lambda text, n=name: f"{n}: {text}",
        )


def nets_of(data: Golden) -> Nets:
    width, blocks, projection, patches, _ = data["config"].tolist()
    generator = ResnetGenerator(GeneratorConfig(width=width, blocks=blocks))
    sampler = PatchSamplerConfig(layers=LAYERS, patches=patches, projection=projection)
    nets = Nets(
        generator,
        build_discriminator(DiscriminatorConfig(width=width)),
        PatchSampler(sampler, generator.channels_of),
    )
    for name, net in zip(
        "gdf", (nets.generator, nets.discriminator, nets.patch_sampler), strict=True
    ):
        load(net, data.under(f"param/{name}."))
    return nets


def positions(data: Golden, prefix: str) -> dict[str, Tensor]:
    return {layer: data[f"{prefix}{number}"] for number, layer in enumerate(LAYERS)}


@pytest.mark.parametrize(
    ("name", "steps", "loss"),
    [
        ("07_cut_two_steps", 2, LossConfig(lambda_nce=1.0, identity=True)),
        ("07_fastcut_two_steps", 2, LossConfig(lambda_nce=10.0, identity=False)),
        (
            "07_thesis_focal_fastcut_one_step",
            1,
            LossConfig(
                lambda_nce=10.0,
                identity=False,
                weighting=WeightingConfig(kind="focal", gamma=2.0, alpha=0.25),
            ),
        ),
    ],
)
def test_iterations_give_the_original_losses_gradients_and_parameters(golden, name, steps, loss):
    data = golden(name)
    nets = nets_of(data)
    adams = adams_for(nets)
    for step in range(1, steps + 1):
        of = f"step{step}/"
        draws = cut.Draws(
            flip=bool(data[f"{of}flip"]),
            positions=positions(data, f"{of}ids_nce_"),
            identity_positions=positions(data, f"{of}ids_idt_") if loss.identity else None,
        )
        batch = (data[f"{of}real_A"], data[f"{of}real_B"])
        translated, of_d, of_g = run_step(nets, adams, batch, draws, loss)
        assert_conforms(translated.fake, data[f"{of}fake_B"], "translation")
        assert_conforms(of_d["total"], data[f"{of}loss_D"], "D")
        assert_conforms(of_d["fake"], data[f"{of}loss_D_fake"], "D fake")
        assert_conforms(of_d["real"], data[f"{of}loss_D_real"], "D real")
        assert_conforms(of_g["adversarial"], data[f"{of}loss_G_GAN"], "adversarial")
        assert_conforms(of_g["nce"], data[f"{of}loss_NCE"], "NCE")
        assert_conforms(of_g["total"], data[f"{of}loss_G"], "G")
        if loss.identity:
            assert translated.identity is not None
            assert_conforms(translated.identity, data[f"{of}idt_B"], "identity")
            assert_conforms(of_g["nce_identity"], data[f"{of}loss_NCE_Y"], "NCE identity")
        for letter, (_, net) in zip("gdf", nets.named(), strict=True):
            assert_gradients_conform(net, data.under(f"{of}grad/{letter}."))
            assert_parameters_conform(net, data.under(f"{of}after/{letter}."))


def test_four_bands_batch_two_identity_and_flip_together_give_the_original_step(golden):
    data = golden("extra/i08_cut_4band_batch2_flip")
    generator = ResnetGenerator(GeneratorConfig(bands_in=4, bands_out=4, width=1, blocks=6))
    layers = (*LAYERS[:4], "block3")
    sampler = PatchSamplerConfig(layers=layers, patches=8, projection=4)
    nets = Nets(
        generator,
        build_discriminator(DiscriminatorConfig(bands=4, width=1)),
        PatchSampler(sampler, generator.channels_of),
    )
    for letter, (_, net) in zip("GDF", nets.named(), strict=True):
        load(net, {_ours(letter, role): v for role, v in data.under(f"{letter}/").items()})
    numbers = (0, 4, 8, 12, 14)
    of_map, of_source = (
        {layer: data[f"step1/ids/{side}/{n}"] for n, layer in zip(numbers, layers, strict=True)}
        for side in "BA"
    )
    draws = cut.Draws(bool(data["step1/flipped"]), of_source, of_map)
    loss = LossConfig(lambda_nce=1.0, identity=True, flip_equivariance=True)
    batch = (data["step1/real_A"], data["step1/real_B"])
    _, of_d, of_g = run_step(nets, adams_for(nets), batch, draws, loss)
    ours = {"D_fake": of_d["fake"], "D_real": of_d["real"], "D": of_d["total"]}
    ours |= {"G_GAN": of_g["adversarial"], "NCE": of_g["nce"], "NCE_Y": of_g["nce_identity"]}
    ours |= {"G": of_g["total"]}
    for name, value in ours.items():
        assert_conforms(value, data[f"step1/loss/{name}"], name)
    for letter, (_, net) in zip("GDF", nets.named(), strict=True):
        wanted = data.under(f"step1/{letter}.grad/")
        assert_gradients_conform(net, {_ours(letter, role): v for role, v in wanted.items()})


def _ours(letter: str, role: str) -> str:
    """These files count blocks, convolutions and heads from 0, and name stages alone."""
    layer, kind = role.rsplit(".", 1)
    if letter == "D":
        return f"conv{int(layer.removeprefix('conv')) + 1}.{kind}"
    if letter == "F":
        mlp, fc = layer.split(".")
        return f"{mlp}.fc{int(fc.removeprefix('fc')) + 1}.{kind}"
    if layer in ("stem", "head"):
        return f"{layer}.conv.{kind}"
    counted = re.sub(r"(block|conv|down|up)(\d+)", lambda m: m[1] + str(int(m[2]) + 1), layer)
    return f"{counted}.{kind}" if "block" in counted else f"{counted}.conv.{kind}"
