"""Which curves of a training run are drawn, and how to read each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from eo_contrast.report.charts import Chart, Curve, Level
from eo_contrast.report.run_folder import Row, Run
from eo_contrast.report.score_table import SCORES, class_names, score_of
from eo_contrast.report.warning_signs import chance_levels

UNDECIDED = {"lsgan": 0.5, "vanilla": 0.0, "nonsaturating": 0.0}
"""The logit half-way between real and drawn, where the kind of loss has one."""
NEVER_NEGATIVE = ("lsgan", "vanilla", "nonsaturating")


def loss_charts(run: Run) -> list[Chart]:
    """Losses, the discriminator's logits and the learning rate, over training steps."""
    return [
        *_adversarial_charts(run),
        *_nce_charts(run),
        Chart(
            "Paired L1, weighted",
            "Mean absolute difference to the true map, times loss.lambda_paired.",
            _curves(run.train, {"loss_paired": "paired"}),
            from_zero=True,
        ),
        Chart(
            "Learning rate",
            "Of generator and patch sampler (Adam).",
            _curves(run.train, {"lr": "learning rate"}),
            from_zero=True,
        ),
    ]


def score_charts(run: Run) -> list[Chart]:
    """Scores on unseen tiles, over training steps."""
    classes = class_names(run.watch)
    return [
        Chart("PSNR, dB", _better("psnr"), _curves(run.watch, {"psnr": "PSNR"})),
        Chart("SSIM", _better("ssim"), _curves(run.watch, {"ssim": "SSIM"})),
        Chart(
            "Map classes, IoU",
            "Overlap of drawn and true area; 1 is perfect. A class at 0 is not drawn at all.",
            [
                *_curves(run.watch, {key: score_of(key).label for key in classes}),
                *_curves(run.watch, {"iou/mean_iou": "mean"}, summary=True),
            ],
            from_zero=True,
        ),
        Chart(
            "Spread of translations, grey levels of 255",
            "How much translations of different places differ; near 0 means collapse.",
            _curves(run.watch, {"output_spread": "spread"}),
            from_zero=True,
        ),
    ]


def _adversarial_charts(run: Run) -> list[Chart]:
    losses = {"loss_discriminator": "discriminator", "loss_generator_adversarial": "generator"}
    logits = {"discriminator_real": "real maps", "discriminator_fake": "translated"}
    kind = run.config.loss.adversarial
    return [
        Chart(
            "Adversarial losses",
            "Neither should settle at 0: then one side has won and the other learns nothing.",
            _curves(run.train, losses),
            from_zero=kind in NEVER_NEGATIVE,
        ),
        Chart(
            "Mean logit of the discriminator",
            "The gap between real and translated maps is what the discriminator can tell.",
            _curves(run.train, logits),
            [Level("undecided", UNDECIDED[kind])] if kind in UNDECIDED else [],
        ),
    ]


def _nce_charts(run: Run) -> list[Chart]:
    chance = chance_levels(run.config)
    values = sorted(set(chance.values()))
    levels = [
        Level("chance" if len(values) == 1 else f"chance {value:.2f}", value) for value in values
    ]
    mean_level = [Level("chance", sum(chance.values()) / len(chance))] if chance else []
    return [
        Chart(
            "PatchNCE, mean of layers",
            "How well a patch of the translation points at its own place; lower is better.",
            _mean_nce_curves(run),
            mean_level,
            from_zero=True,
        ),
        Chart(
            "PatchNCE by layer of the generator",
            f"Chance is {_chance_in_words(run, values)}.",
            _curves(run.train, {f"nce/{layer}": layer for layer in chance}),
            levels,
            from_zero=True,
        ),
    ]


def _better(key: str) -> str:
    meaning = SCORES[key].meaning
    return f"{meaning[0].upper()}{meaning[1:]}."


def _curves(rows: Sequence[Row], names: dict[str, str], *, summary: bool = False) -> list[Curve]:
    """A curve a name that any row has; rows that lack it leave gaps."""
    return [
        Curve(
            label,
            [row["step"] for row in rows],
            [row.get(name, math.nan) for row in rows],
            summary,
        )
        for name, label in names.items()
        if any(name in row for row in rows)
    ]


def _mean_nce_curves(run: Run) -> list[Curve]:
    """The logged losses carry lambda_nce; without it they compare with chance."""
    weight = run.config.loss.lambda_nce
    curves = _curves(
        run.train, {"loss_nce": "satellite to map", "loss_nce_identity": "identity, map to map"}
    )
    if weight == 0:
        return []
    return [Curve(c.label, c.steps, [value / weight for value in c.values]) for c in curves]


def _chance_in_words(run: Run, levels: Sequence[float]) -> str:
    values = ", ".join(f"{level:.2f}" for level in levels)
    plain = run.config.loss.weighting.kind == "ce" and run.config.loss.weighting.scale == 1
    if plain and len(levels) == 1:
        return f"ln({round(math.exp(levels[0]))} patches) = {values}"
    return f"{values}, by patches a layer and the weighting"
