"""What nature and the motorway builders laid down: fields over the ground, in metres.

Each function is pure in (seed, position). Signed distances are negative inside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.noise import (
    fractal_noise,
    level_set_distance,
    smooth_noise,
    stream,
)

Metres = NDArray[np.float64]
Noise = NDArray[np.float32]

LAKE_LEVEL = 0.5
WIDEST_RIVER_M = 46.0
NARROWEST_RIVER_M = 9.0


def water_distance(seed: int, x: Metres, y: Metres) -> Noise:
    """Signed distance to the shore of the nearest river or lake, negative in the water."""

    def river(x: Metres, y: Metres) -> Noise:
        return fractal_noise(
            x, y, scale=3100.0, seed=stream(seed, "river"), octaves=4
        ) + np.float32(0.12)

    def lake(x: Metres, y: Metres) -> Noise:
        noise = fractal_noise(x, y, scale=1700.0, seed=stream(seed, "lake"), octaves=4)
        return np.float32(LAKE_LEVEL) - noise

    breadth = smooth_noise(x, y, scale=4300.0, seed=stream(seed, "river breadth")) + np.float32(0.5)
    half_width = np.clip(
        breadth * np.float32(WIDEST_RIVER_M), np.float32(NARROWEST_RIVER_M), np.float32(90)
    )
    to_river = np.abs(level_set_distance(river, x, y, step=4.0)) - half_width
    return np.minimum(to_river, level_set_distance(lake, x, y, step=4.0))


def motorway_distance(seed: int, x: Metres, y: Metres) -> Noise:
    """Distance to the middle of the nearest motorway, >= 0."""

    def course(x: Metres, y: Metres) -> Noise:
        return fractal_noise(
            x, y, scale=5200.0, seed=stream(seed, "motorway"), octaves=2
        ) - np.float32(0.1)

    return np.abs(level_set_distance(course, x, y, step=8.0))


def wood_distance(seed: int, x: Metres, y: Metres, level: Noise) -> Noise:
    """Signed distance to the edge of the woods, negative among the trees.

    Args:
        level: share of openness, same shape as the positions: about -1 all wood, 1 none.
    """

    def density(x: Metres, y: Metres) -> Noise:
        noise = fractal_noise(x, y, scale=520.0, seed=stream(seed, "wood"), octaves=4)
        return level - noise

    return level_set_distance(density, x, y, step=2.0)


def urbanity(seed: int, x: Metres, y: Metres) -> Noise:
    """How much town there is: below about -0.1 country, above about 0.3 inner city."""
    return fractal_noise(x, y, scale=4200.0, seed=stream(seed, "urbanity"), octaves=2)


def bend(seed: int, x: Metres, y: Metres) -> tuple[Metres, Metres]:
    """How far the street plan is pushed aside at a position, so that roads curve.

    Returns: metres east and north. The slope stays below about 0.2, so widths hold.
    """
    east = fractal_noise(x, y, scale=900.0, seed=stream(seed, "bend east"), octaves=3)
    north = fractal_noise(x, y, scale=900.0, seed=stream(seed, "bend north"), octaves=3)
    return east.astype(np.float64) * 55.0, north.astype(np.float64) * 55.0
