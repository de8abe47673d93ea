"""Signs in a run's log that training went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eo_contrast.report.run_folder import read_run
from eo_contrast.report.warning_signs import chance_levels, warning_signs

MakeRun = Callable[..., Path]
LAYERS = ("stem.pad", "down1.conv", "block1")


def train(step: int, nce: float, **changes: float) -> dict[str, Any]:
    layers = {f"nce/{layer}": nce for layer in LAYERS}
    return {"step": step, "phase": "train", "loss_discriminator": 0.2, **layers} | changes


def watch(step: int, spread: float) -> dict[str, Any]:
    return {"step": step, "phase": "watch", "output_spread": spread}


def test_a_healthy_run_has_none(make_run: MakeRun) -> None:
    assert warning_signs(read_run(make_run())) == []


def test_an_empty_run_has_none(make_run: MakeRun) -> None:
    assert warning_signs(read_run(make_run(rows=[], finished=False))) == []


@pytest.mark.parametrize(("spread", "signs"), [(1.99, 1), (2.0, 0)])
def test_translations_that_look_alike_are_collapse(
    make_run: MakeRun, spread: float, signs: int
) -> None:
    found = warning_signs(read_run(make_run(rows=[train(10, 1.0), watch(10, spread)])))
    assert len(found) == signs
    assert all("collapsed" in sign and "step 10" in sign for sign in found)


def test_a_collapse_that_passed_is_no_sign(make_run: MakeRun) -> None:
    rows = [watch(10, 0.5), watch(20, 20.0)]
    assert warning_signs(read_run(make_run(rows=rows))) == []


def test_nce_at_chance_names_the_layers(make_run: MakeRun) -> None:
    rows = [train(10, 1.0) | {"nce/block1": math.log(64)}]
    (sign,) = warning_signs(read_run(make_run(rows=rows)))
    assert "chance" in sign
    assert "block1 4.16 of 4.16" in sign
    assert "stem.pad" not in sign


def test_a_loss_that_is_not_finite_is_named_with_its_first_step(make_run: MakeRun) -> None:
    rows = [train(10, 1.0), train(20, 1.0, loss_discriminator=math.nan), train(30, math.nan)]
    sign = warning_signs(read_run(make_run(rows=rows)))[0]
    assert sign.startswith("loss_discriminator is no longer finite at step 20")


def test_chance_of_plain_cross_entropy_is_the_log_of_the_patches(make_run: MakeRun) -> None:
    chance = chance_levels(read_run(make_run()).config)
    assert chance == pytest.approx(dict.fromkeys(LAYERS, math.log(64)))


def test_chance_of_the_focal_weighting_carries_its_weight(make_run: MakeRun) -> None:
    config = {"loss": {"weighting": {"kind": "focal", "gamma": 2.0, "alpha": 0.25}}}
    chance = chance_levels(read_run(make_run(config=config)).config)
    assert chance["block1"] == pytest.approx(0.25 * (63 / 64) ** 2 * math.log(64))
