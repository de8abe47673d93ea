"""Signs in a run's log that training went wrong, each with what to try."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from eo_contrast.objectives.patchnce import weighting
from eo_contrast.report.run_folder import Row, Run, patches_by_layer
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.watch import COLLAPSED_SPREAD

NEAR_CHANCE = 0.97


def warning_signs(run: Run) -> list[str]:
    """One sentence a sign, worst first; empty when there is none."""
    return [
        *_not_finite(run.train),
        *_collapsed(run.watch),
        *_at_chance(run.train, chance_levels(run.config)),
    ]


def chance_levels(config: TranslatorConfig) -> dict[str, float]:
    """PatchNCE of features that say nothing, by layer, weighted as in training.

    A query that resembles all n keys alike gives p = 1/n, so log p = -ln n: for plain cross
    entropy the level is ln n.
    """
    weigh = weighting(config.loss.weighting)
    return {
        layer: float(weigh(torch.tensor(-math.log(patches))))
        for layer, patches in patches_by_layer(config).items()
    }


def _not_finite(rows: Sequence[Row]) -> list[str]:
    for row in rows:
        for name, value in row.items():
            if not math.isfinite(value):
                return [
                    f"{name} is no longer finite at step {int(row['step']):,}: training has "
                    "diverged. Lower optimizer.lr, or train in precision 32-true."
                ]
    return []


def _collapsed(rows: Sequence[Row]) -> list[str]:
    spread = rows[-1].get("output_spread", math.inf) if rows else math.inf
    if spread >= COLLAPSED_SPREAD:
        return []
    return [
        f"All translations look alike (spread {spread:.1f} of 255 grey levels at step "
        f"{int(rows[-1]['step']):,}): the generator has collapsed. Train with another seed, "
        "a lower optimizer.lr, or a larger loss.lambda_nce."
    ]


def _at_chance(rows: Sequence[Row], chance: dict[str, float]) -> list[str]:
    if not rows:
        return []
    found = {layer: rows[-1].get(f"nce/{layer}", math.nan) for layer in chance}
    stuck = [layer for layer, level in chance.items() if found[layer] >= NEAR_CHANCE * level]
    if not stuck:
        return []
    values = ", ".join(f"{layer} {found[layer]:.2f} of {chance[layer]:.2f}" for layer in stuck)
    return [
        f"PatchNCE is still at chance at step {int(rows[-1]['step']):,} ({values}): these layers "
        "do not tie a translation to its place. Normal in the first few hundred steps; later, "
        "train longer or raise loss.lambda_nce."
    ]
