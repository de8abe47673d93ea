"""The three nets of a contrastive translator, built from a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from eo_contrast.nets.discriminators import Discriminator, build_discriminator
from eo_contrast.nets.generator import ResnetGenerator
from eo_contrast.nets.initialisation import initialise
from eo_contrast.nets.patch_sampler import PatchSampler
from eo_contrast.training.determinism import generator_for
from eo_contrast.translate.config import TranslatorConfig


@dataclass(frozen=True)
class Nets:
    """Generator, discriminator and patch sampler of one translator."""

    generator: ResnetGenerator
    discriminator: Discriminator
    patch_sampler: PatchSampler

    def named(self) -> Iterator[tuple[str, nn.Module]]:
        """The nets with the names that checkpoints and optimisers use."""
        yield "generator", self.generator
        yield "discriminator", self.discriminator
        yield "patch_sampler", self.patch_sampler


def build_nets(config: TranslatorConfig) -> Nets:
    """The nets, initialised from the run's seed.

    Raises:
        ValueError: the patch sampler names a layer that the generator does not have.
    """
    generator = ResnetGenerator(config.generator)
    nets = Nets(
        generator,
        build_discriminator(config.discriminator),
        PatchSampler(config.patch_sampler, generator.channels_of),
    )
    for name, net in nets.named():
        draws = generator_for(config.seed, "initialise", name)
        kind = config.initialisation
        if name == "discriminator" and config.initialisation_discriminator is not None:
            kind = config.initialisation_discriminator
        initialise(net, kind, generator=draws)
    return nets
