"""A generator that knows the legend paints mixtures of its colours, in the layout it was given."""

from __future__ import annotations

import torch

from eo_contrast.nets.generator import GeneratorConfig, PaletteMixture, ResnetGenerator

LEGEND = ((0, 0, 0), (255, 0, 0), (0, 255, 255))


def test_one_certain_colour_is_painted_as_it_is():
    scores = torch.full((1, 3, 2, 2), -1e4)
    scores[:, 1] = 0
    painted = PaletteMixture(LEGEND)(scores)
    wanted = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert torch.equal(painted, wanted)


def test_equal_scores_give_the_mean_colour():
    painted = PaletteMixture(LEGEND)(torch.zeros(1, 3, 1, 1))
    levels = (painted.flatten() + 1) * 127.5
    torch.testing.assert_close(levels, torch.tensor([85.0, 85.0, 85.0]))


def test_the_picture_lies_in_memory_as_the_source_does():
    net = ResnetGenerator(GeneratorConfig(width=2, blocks=1, palette=LEGEND))
    assert net(torch.zeros(2, 3, 16, 16)).is_contiguous()
