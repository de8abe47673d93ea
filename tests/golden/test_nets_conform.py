"""Generator, discriminators, patch sampler and resampling against the original code."""

from __future__ import annotations

import pytest
import torch
from conformance import assert_conforms, assert_gradients_conform, load

from eo_contrast.nets.discriminators import DiscriminatorConfig, build_discriminator
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.patch_sampler import (
    PatchSampler,
    PatchSamplerConfig,
    gather_patches,
    unit_length,
)
from eo_contrast.nets.resampling import BlurDown, BlurUp

ANTIALIASED_TAPS = {0: "stem.pad", 4: "down1.conv", 8: "down2.conv", 12: "block1", 16: "block5"}
STRIDED = {0: "stem.pad", 4: "down1.conv", 8: "down2.activation", 12: "block3"}
# The positions 0, 4, 8, 12, 16 of the originals, as names, in each shape of net. Where
# downsampling is strided, position 8 is a norm whose ReLU works in place on the feature.
TAPS = {
    "01a_resnet6_aa": ANTIALIASED_TAPS,
    "01c_resnet6_aa_4ch": ANTIALIASED_TAPS,
    "01d_resnet9_aa": ANTIALIASED_TAPS,
    "01b_resnet6_noaa": {**STRIDED, 16: "up1.conv"},
    "01b_resnet5_noaa": {**STRIDED, 16: "up1.norm"},
    "01b_resnet4_noaa": {**STRIDED, 16: "up1.activation"},
    "01b_resnet3_noaa": {**STRIDED, 12: "block3", 16: "up2.conv"},
    "01b_resnet3_mixed_down": {**STRIDED, 16: "up1.activation"},
    "01b_resnet3_mixed_up": {**ANTIALIASED_TAPS, 16: "up1.norm"},
}


@pytest.mark.parametrize("name", sorted(TAPS))
def test_generator_gives_the_original_output_gradients_and_features(golden, name):
    data = golden(name)
    width, blocks, no_down, no_up, bands_in, bands_out = data["config"].tolist()
    config = GeneratorConfig(
        bands_in=bands_in,
        bands_out=bands_out,
        width=width,
        blocks=blocks,
        antialias_down=not no_down,
        antialias_up=not no_up,
    )
    net = load(ResnetGenerator(config), data.under("param/g."))
    x = data["x"].requires_grad_(True)
    output = net(x)
    assert_conforms(output, data["out"], "output")
    (output * data["cot"]).sum().backward()
    assert_conforms(x.grad, data["grad_x"], "gradient of the input")
    assert_gradients_conform(net, data.under("grad/g."))
    features = net.encode(x, list(TAPS[name].values()))
    for position, tap in TAPS[name].items():
        assert_conforms(features[tap], data[f"feat{position}"], tap)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("02_nlayer3_aa", {}),
        ("02_nlayer3_noaa", {"antialias": False}),
        ("02_nlayer3_aa_4ch", {"bands": 4}),
        ("02_pixel", {"kind": "pixel"}),
    ],
)
def test_discriminator_gives_the_original_output_and_gradients(golden, name, options):
    data = golden(name)
    net = build_discriminator(DiscriminatorConfig(width=4, **options))
    load(net, data.under("param/d."))
    x = data["x"].requires_grad_(True)
    output = net(x)
    assert_conforms(output, data["out"], "output")
    (output * data["cot"]).sum().backward()
    assert_conforms(x.grad, data["grad_x"], "gradient of the input")
    assert_gradients_conform(net, data.under("grad/d."))


@pytest.mark.parametrize("name", ["03_patchsample_b1", "03_patchsample_b2"])
def test_patch_sampler_gives_the_original_vectors_and_gradients(golden, name):
    data = golden(name)
    layers = [key for key in data.arrays if key.startswith("feat")]
    names = {layer: f"layer{layer.removeprefix('feat')}" for layer in layers}
    features = {names[layer]: data[layer].requires_grad_(True) for layer in layers}
    positions = {names[layer]: data[f"ids{layer.removeprefix('feat')}"] for layer in layers}
    channels = {layer: feature.shape[1] for layer, feature in features.items()}
    config = PatchSamplerConfig(layers=tuple(features), patches=10, projection=16)
    sampler = load(PatchSampler(config, channels), data.under("param/f."))

    gathered = gather_patches(features, positions)
    projected = sampler(gathered)
    total = torch.zeros((), dtype=torch.float64)
    for number, layer in enumerate(features):
        assert_conforms(projected[layer].flatten(0, 1), data[f"out{number}"], layer)
        plain = unit_length(gathered[layer]).flatten(0, 1)
        assert_conforms(plain, data[f"out_nomlp{number}"], f"{layer} without head")
        total = total + (projected[layer].flatten(0, 1) * data[f"cot{number}"]).sum()
    total.backward()
    assert_gradients_conform(sampler, data.under("grad/f."))
    for number, feature in enumerate(features.values()):
        assert_conforms(feature.grad, data[f"grad_feat{number}"], f"gradient of feature {number}")


@pytest.mark.parametrize(("direction", "resample"), [("down", BlurDown), ("up", BlurUp)])
def test_blur_resampling_gives_the_original_values_and_gradients(golden, direction, resample):
    data = golden("extra/f01_blur_resample")
    net = resample(2).double()
    x = data["x"].requires_grad_(True)
    output = net(x)
    assert_conforms(output, data[direction], direction)
    (output * data[f"R_{direction}"]).sum().backward()
    assert_conforms(x.grad, data[f"{direction}.x.grad"], "gradient")
    assert_conforms(net(data["x_even"]), data[f"{direction}_even"], "even size")
