"""Changes of intensity, of reflectance or dB: factors, blur, noise, bands and squares left out.

The order is fixed: brightness, contrast, saturation, tint, gamma, grey, blur, solarise, noise. The
published codes shuffle the first ones; brightness, contrast and tint commute but for the mean that
contrast turns about, so that what a shuffle adds is small, and a fixed order is one pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.augment.draws import Key, between, gammas, normals, uniforms
from eo_contrast.augment.geometry import resampled

# What each column of a sample's uniform numbers is for; groups of bands follow after them.
JITTER, BRIGHTNESS, CONTRAST, SATURATION, GAMMA, GREY, BLUR, SIGMA, SOLARISE = range(9)
CUTOUT, CUTOUT_TOP, CUTOUT_LEFT = range(9, 12)
FIRST_GROUP = 12
LEAST_POWER = 1e-3
LEAST_WEIGHT = 1e-6
LEAST_TAP = 1e-9
SOLARISED_ABOVE = 0.5


def recoloured(
    values: Tensor,
    valid: Tensor | None,
    *,
    config: AugmentConfig,
    unit: str,
    groups: Sequence[Sequence[int]],
    keys: Sequence[Key],
) -> tuple[Tensor, Tensor | None]:
    """Values and validity with everything drawn applied; what is not valid stays 0.

    Args:
        values: float32 (N, bands, S, S) in ``unit``.
        valid: bool of the same shape; None: everywhere, in the result, too.
        config: for the unit, as ``for_unit`` gives it.
        groups: positions of bands that are changed together.
    """
    drawn = uniforms(keys, FIRST_GROUP + 2 * len(groups))
    # As numbers, since arithmetic with bool is many times slower.
    weight = None if valid is None else valid.to(values.dtype)
    if config.jitters:
        values = _jittered(values, weight, config, unit, groups, drawn)
    values = _greyed(values, weight, drawn[:, GREY] < config.grey)
    values = _blurred(values, weight, drawn[:, BLUR] < config.blur, config, drawn[:, SIGMA])
    chosen = drawn[:, SOLARISE] < config.solarise
    if chosen.any():
        mirrored = torch.where(values >= SOLARISED_ABOVE, (1 - values).clamp_min(0), values)
        values = torch.where(_column(chosen, values), mirrored, values)
    values = _noisy(values, config, unit, keys)
    left = _kept(values.shape, config, groups, drawn)
    if left is not None:
        left = left.to(values.device)
        valid = left.expand_as(values) if valid is None else valid & left
    if valid is None:
        return values, None
    return values.masked_fill(~valid, 0), valid


def _jittered(
    values: Tensor,
    weight: Tensor | None,
    config: AugmentConfig,
    unit: str,
    groups: Sequence[Sequence[int]],
    drawn: NDArray[np.float64],
) -> Tensor:
    active = drawn[:, JITTER] < config.jitter_probability
    factors = {
        BRIGHTNESS: _factor(drawn[:, BRIGHTNESS], config.brightness, active),
        CONTRAST: _factor(drawn[:, CONTRAST], config.contrast, active),
        SATURATION: _factor(drawn[:, SATURATION], config.saturation, active),
        GAMMA: _factor(drawn[:, GAMMA], config.gamma, active),
    }
    brightness = _column(factors[BRIGHTNESS], values)
    # The first step makes a copy; the others work on it in place, for new memory costs more than
    # the arithmetic.
    if unit == "dB":
        values = values + 10 * brightness.clamp_min(LEAST_POWER).log10()
    else:
        values = values * brightness
    for axes, strength, column in (
        ((2, 3), config.contrast, CONTRAST),
        ((1,), config.saturation, SATURATION),
    ):
        if strength:
            mean = _mean(values, weight, axes)
            factor = _column(factors[column], values)
            values.mul_(factor).add_(mean * (1 - factor))
    if config.tint:
        values *= _tints(config, groups, drawn, active, values)
    if unit != "dB":
        values.clamp_min_(0)
    if config.gamma:
        values.pow_(_column(factors[GAMMA], values))
    return values


def _tints(
    config: AugmentConfig,
    groups: Sequence[Sequence[int]],
    drawn: NDArray[np.float64],
    active: NDArray[np.bool_],
    values: Tensor,
) -> Tensor:
    """(N, bands, 1, 1) factors, one a group."""
    factors = np.ones(values.shape[:2])
    for number, group in enumerate(groups):
        own = _factor(drawn[:, FIRST_GROUP + number], config.tint, active)
        factors[:, list(group)] = own[:, None]
    return torch.from_numpy(factors).to(values)[..., None, None]


def _greyed(values: Tensor, weight: Tensor | None, chosen: NDArray[np.bool_]) -> Tensor:
    if not chosen.any():
        return values
    grey = _mean(_of(values, chosen), None if weight is None else _of(weight, chosen), (1,))
    return _replaced(values, chosen, grey.expand(-1, values.shape[1], -1, -1))


def _blurred(
    values: Tensor,
    weight: Tensor | None,
    chosen: NDArray[np.bool_],
    config: AugmentConfig,
    drawn: NDArray[np.float64],
) -> Tensor:
    """Gaussian means of valid pixels alone: no data would darken reflectance, and brighten dB."""
    if not chosen.any():
        return values
    sigma = between(drawn, *config.blur_sigma)[chosen]
    means = _gaussian_means(sigma, values.shape[-1]).to(values)
    sharp = _of(values, chosen)
    if weight is None:
        blurred = resampled(sharp, means, means)
    else:
        there = _of(weight, chosen)
        # A sample without holes is divided by 1 and not by a sum of weights, so that nothing in
        # it hangs on the rest of the batch.
        whole = there.flatten(1).all(1)[:, None, None, None]
        share = resampled(there, means, means).masked_fill(whole, 1)
        blurred = resampled(sharp * there, means, means) / share.clamp_min(LEAST_WEIGHT)
    return _replaced(values, chosen, blurred)


def _of(values: Tensor, chosen: NDArray[np.bool_]) -> Tensor:
    """The chosen samples; of large images, seen one at a time, that is mostly all, and no copy."""
    if chosen.all():
        return values
    return values[torch.from_numpy(np.flatnonzero(chosen)).to(values.device)]


def _replaced(values: Tensor, chosen: NDArray[np.bool_], changed: Tensor) -> Tensor:
    """The samples, the chosen ones as they were changed."""
    if chosen.all():
        return changed
    rows = torch.from_numpy(np.flatnonzero(chosen)).to(values.device)
    return values.index_copy(0, rows, changed)


def _gaussian_means(sigma: NDArray[np.float64], side: int) -> Tensor:
    """(N, side, side) weights of the pixels of a line in each pixel's Gaussian mean.

    A radius of a twentieth of the side is SimCLR's kernel of a tenth of it. What lies beyond an
    edge is the line mirrored about its last pixel. As a matrix, since a product passes over the
    image twice, and a sum of shifted images once for each weight of the kernel.
    """
    if side == 1:
        return torch.ones(len(sigma), 1, 1)
    radius = max(1, round(side / 20))
    away = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (away[None] / sigma[:, None]) ** 2)
    # What no float32 would notice is nought: numbers near the least that there is are slow.
    weights[weights < LEAST_TAP] = 0
    weights /= weights.sum(1, keepdims=True)
    # One zero behind the kernel, for all that is further away.
    padded = np.concatenate([weights, np.zeros((len(sigma), 1))], 1)
    pixel = np.arange(side)
    means = np.zeros((len(sigma), side, side))
    for mirrored, inside in (
        (pixel, pixel >= 0),
        (-pixel, pixel > 0),
        (2 * (side - 1) - pixel, pixel < side - 1),
    ):
        apart = mirrored[None, :] - pixel[:, None]
        at = np.where((np.abs(apart) <= radius) & inside, apart + radius, len(away))
        means += padded[:, at]
    return torch.from_numpy(means)


def _noisy(values: Tensor, config: AugmentConfig, unit: str, keys: Sequence[Key]) -> Tensor:
    shape = tuple(values.shape[1:])
    if config.speckle_looks is not None:
        factors = gammas(keys, shape, config.speckle_looks, values.device)
        if unit == "dB":
            values = values + 10 * factors.clamp_min(LEAST_POWER).log10()
        else:
            values = values * factors
    if config.noise:
        values = values + config.noise * normals(keys, shape, values.device)
    return values


def _kept(
    shape: torch.Size,
    config: AugmentConfig,
    groups: Sequence[Sequence[int]],
    drawn: NDArray[np.float64],
) -> Tensor | None:
    """What the dropped bands and squares leave, to be broadcast; None: everything."""
    count, bands, side, _ = shape
    kept: Tensor | None = None
    if config.band_dropout:
        own = np.ones((count, bands), dtype=bool)
        for number, group in enumerate(groups):
            dropped = drawn[:, FIRST_GROUP + len(groups) + number] < config.band_dropout
            own[:, list(group)] = ~dropped[:, None]
        kept = torch.from_numpy(own)[..., None, None]
    chosen = drawn[:, CUTOUT] < config.cutout
    if chosen.any():
        taken = max(1, round(side * config.cutout_share**0.5))
        pixel = np.arange(side)[None]
        inside = [
            (start <= pixel) & (pixel < start + taken)
            for start in (
                np.floor(drawn[:, column] * (side - taken + 1))[:, None]
                for column in (CUTOUT_TOP, CUTOUT_LEFT)
            )
        ]
        square = inside[0][:, :, None] & inside[1][:, None, :] & chosen[:, None, None]
        outside = ~torch.from_numpy(square)[:, None]
        kept = outside if kept is None else kept & outside
    return kept


def _factor(
    drawn: NDArray[np.float64], strength: float, active: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """1 - strength .. 1 + strength, at least 0; 1 where not active."""
    return np.where(active, between(drawn, max(0.0, 1 - strength), 1 + strength), 1.0)


def _column(numbers: NDArray[np.generic], values: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1) beside the values."""
    column = torch.from_numpy(numbers).to(values.device)[:, None, None, None]
    return column if column.dtype == torch.bool else column.to(values.dtype)


def _mean(values: Tensor, weight: Tensor | None, axes: tuple[int, ...]) -> Tensor:
    """Over pixels of weight 1, not of 0; 0 where there is none. None: all have weight 1."""
    if weight is None:
        return values.mean(axes, keepdim=True)
    count = weight.sum(axes, keepdim=True)
    return (values * weight).sum(axes, keepdim=True) / count.clamp_min(1)
