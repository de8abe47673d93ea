"""What nature and the motorway builders laid down: fields over the ground, in metres.

Each function is pure in (seed, position). Signed distances are negative inside.
"""

from __future__ import annotations

import numpy as np

from eo_contrast.synth.noise import (
    Metres,
    Noise,
    fractal_noise,
    level_distance,
    smooth_noise,
    stream,
)

# A level of 0 would pass through every lattice point of the noise.
RIVER_LEVEL = -0.12
LAKE_LEVEL = 0.5
MOTORWAY_LEVEL = 0.1
NARROWEST_RIVER_M = 9.0
BROAD_RIVER_M = 46.0
WIDEST_RIVER_M = 90.0


def river_distance(seed: int, x: Metres, y: Metres) -> Noise:
    """Signed distance to the bank of the nearest river, negative in it."""
    breadth = smooth_noise(x, y, scale=4300.0, seed=stream(seed, "river breadth"))
    half_width = np.clip(
        (breadth + np.float32(0.5)) * np.float32(BROAD_RIVER_M),
        np.float32(NARROWEST_RIVER_M),
        np.float32(WIDEST_RIVER_M),
    )
    to_middle = level_distance(
        x, y, level=RIVER_LEVEL, scale=3100.0, seed=stream(seed, "river"), octaves=4
    )
    to_bank: Noise = np.abs(to_middle) - half_width
    return to_bank


def lake_distance(seed: int, x: Metres, y: Metres) -> Noise:
    """Signed distance to the shore of the nearest lake, negative in it."""
    return -level_distance(
        x, y, level=LAKE_LEVEL, scale=1700.0, seed=stream(seed, "lake"), octaves=4
    )


def water_distance(seed: int, x: Metres, y: Metres) -> Noise:
    """Signed distance to the shore of the nearest river or lake, negative in the water."""
    return np.minimum(river_distance(seed, x, y), lake_distance(seed, x, y))


def motorway_distance(seed: int, x: Metres, y: Metres) -> Noise:
    """Distance to the middle of the nearest motorway, >= 0."""
    course = level_distance(
        x, y, level=MOTORWAY_LEVEL, scale=5200.0, seed=stream(seed, "motorway"), octaves=2
    )
    return np.abs(course)


def wood_distance(seed: int, x: Metres, y: Metres, level: Noise) -> Noise:
    """Signed distance to the edge of the woods, negative among the trees.

    Args:
        level: share of openness, same shape as the positions: about -1 all wood, 1 none.
    """
    return -level_distance(x, y, level=level, scale=520.0, seed=stream(seed, "wood"), octaves=4)


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
