"""The cost of a training step, told for every kind of configuration."""

from __future__ import annotations

import pytest

from eo_contrast.bench.train_step import bench_train_step
from eo_contrast.translate.config import TranslatorConfig

TINY = {
    "generator": {"width": 2, "blocks": 1},
    "discriminator": {"width": 2, "layers": 1},
    "patch_sampler": {"layers": ["stem.pad", "block1"], "patches": 4, "projection": 4},
}


@pytest.fixture(autouse=True)
def _short_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eo_contrast.bench.train_step.PEAK_SECONDS", 0.05)


@pytest.mark.parametrize(("recipe", "mirrors"), [("cut", False), ("fastcut", True)])
def test_operations_are_counted_and_a_mirrored_step_costs_more(recipe, mirrors):
    config = TranslatorConfig.model_validate({**TINY, "recipe": recipe})
    told = bench_train_step(config, size=32, device="cpu", repeats=1)
    assert told["flops"] > 0
    assert (told["flops_mirrored"] is not None) == mirrors
    assert not mirrors or told["flops_mirrored"] > told["flops"]
    assert told["fraction_of_peak"] == pytest.approx(
        told["gflop_per_s"] / told["peak_gflop_per_s"], abs=1e-3
    )


def test_a_discriminator_that_is_told_tags_can_be_measured():
    values = {**TINY, "recipe": "cut", "data": {"balance": "tag-matched"}}
    values["discriminator"] = {**TINY["discriminator"], "tags": ["water", "park"]}
    config = TranslatorConfig.model_validate(values)
    assert bench_train_step(config, size=32, device="cpu", repeats=1)["flops"] > 0
