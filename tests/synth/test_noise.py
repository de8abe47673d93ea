"""Noise is a function of position: smooth, seeded, the same on a grid and at points."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis.strategies import floats, integers

from eo_contrast.synth.noise import (
    directions,
    fractal_noise,
    hash_bits,
    hash_units,
    level_distance,
    smooth_noise,
    stream,
)


def test_hashed_units_are_uniform_and_uncorrelated_between_neighbours() -> None:
    values = hash_units(7, np.arange(300)[:, None], np.arange(300)[None, :])
    counts, _ = np.histogram(values, bins=10, range=(0, 1))
    assert np.all(np.abs(counts - 9000) < 500)
    assert abs(np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1]) < 0.02


def test_hash_of_negative_and_swapped_keys_differs() -> None:
    found = {int(hash_bits(0, *keys)[0]) for keys in [(1, 2), (2, 1), (-1, 2), (1, -2), (1,)]}
    assert len(found) == 5


def test_streams_of_different_purpose_or_seed_differ() -> None:
    assert len({stream(0, "roof"), stream(0, "tree"), stream(1, "roof"), stream(1, "tree")}) == 4


def test_directions_have_unit_length() -> None:
    cosine, sine = directions(np.linspace(0, 0.999, 50))
    np.testing.assert_allclose(cosine**2 + sine**2, 1.0, rtol=1e-14)
    assert cosine.min() >= 0 and sine.min() >= 0


def test_noise_is_zero_on_its_lattice() -> None:
    lattice = np.arange(-3, 4) * 50.0
    noise = smooth_noise(lattice[None, :], lattice[:, None], scale=50.0, seed=1)
    np.testing.assert_allclose(noise, 0.0, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=integers(0, 2**40), shift=floats(-1e5, 1e5))
def test_noise_on_a_grid_equals_noise_at_its_points(seed: int, shift: float) -> None:
    x, y = shift + np.arange(17.0)[None, :] * 3, -shift + np.arange(11.0)[:, None] * 5
    all_x, all_y = np.broadcast_arrays(x, y)
    on_grid = fractal_noise(x, y, scale=40.0, seed=seed, octaves=3)
    at_points = fractal_noise(all_x.ravel(), all_y.ravel(), scale=40.0, seed=seed, octaves=3)
    np.testing.assert_allclose(on_grid.ravel(), at_points, atol=1e-5)


def test_noise_has_mean_zero_and_stays_within_one() -> None:
    axis = np.arange(400.0) * 7
    noise = smooth_noise(axis[None, :], axis[:, None], scale=50.0, seed=5)
    assert abs(noise.mean()) < 0.03
    assert 0.7 < np.abs(noise).max() <= 1.1


def test_level_distance_is_excess_over_the_slope_by_finite_differences() -> None:
    x, y = np.arange(200.0)[None, :] * 3 + 0.7, np.arange(150.0)[:, None] * 3 + 0.2

    def noise(east: float, north: float) -> np.ndarray:
        return fractal_noise(x + east, y + north, scale=300.0, seed=9, octaves=2).astype(float)

    step = 2.0
    slope_x = (noise(step, 0) - noise(-step, 0)) / (2 * step)
    slope_y = (noise(0, step) - noise(0, -step)) / (2 * step)
    expected = (noise(0, 0) - 0.1) / np.hypot(slope_x, slope_y)
    found = level_distance(x, y, level=0.1, scale=300.0, seed=9, octaves=2)
    near = np.abs(expected) < 60
    assert near.mean() > 0.1
    assert np.median(np.abs(found - expected)[near]) < 0.05
    assert np.quantile(np.abs(found - expected)[near], 0.99) < 2.0
