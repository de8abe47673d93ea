"""Randomness as a pure function of position: hashes of integers and smooth noise in metres.

Everything here is element by element and uses only arithmetic, ``floor`` and ``sqrt``
on arrays, which IEEE 754 rounds alike wherever they run: a value never depends on the
window it was computed in, nor on the machine.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Metres = NDArray[np.float64]
Noise = NDArray[np.float32]

NOISE_GAIN = 1.5

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
# Twelve octaves of noise must not share a lattice: their zeros would coincide.
_OCTAVE_SHIFT = 0.37


def stream(seed: int, purpose: str) -> int:
    """The seed of one independent stream of random numbers, named by what it decides."""
    return (seed * 0x100000001B3 + zlib.crc32(purpose.encode())) & 0xFFFFFFFFFFFFFFFF


def hash_bits(seed: int, *keys: NDArray[np.generic] | int) -> Bits:
    """64 random bits for every tuple of integers (splitmix64, Steele et al. 2014).

    Args:
        seed: which of the independent hash functions.
        keys: integer arrays that broadcast together.

    Returns: uint64 array of the broadcast shape (at least one dimension).
    """
    state = np.full(1, seed & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    for key in keys:
        words = np.asarray(key)
        if words.dtype != np.uint64:
            words = words.astype(np.int64).view(np.uint64)
        state = (state ^ words) * _GOLDEN + _SECOND
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        state = state ^ (state >> np.uint64(31))
    return state


def units(bits: Bits) -> NDArray[np.float64]:
    """Hashed bits as uniform numbers in [0, 1)."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hash_units(seed: int, *keys: NDArray[np.generic] | int) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for every tuple of integers; see :func:`hash_bits`."""
    return units(hash_bits(seed, *keys))


def directions(turns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors of the first quadrant for numbers in [0, 1), without sine or cosine.

    Returns: cosine and sine of 2 atan(turn), each of the shape of ``turns``.
    """
    square = turns * turns
    return (1 - square) / (1 + square), 2 * turns / (1 + square)


def smooth_noise(x: Metres, y: Metres, *, scale: float, seed: int) -> Noise:
    """Gradient noise (Perlin 2002) with one bump every ``scale`` metres.

    Args:
        x, y: positions in metres: a row (1, W) and a column (H, 1) of a grid, which is
            the faster, or any two arrays of one shape.
        scale: lattice spacing in metres.
        seed: which noise.

    Returns: float32 of the broadcast shape, about -1..1, mean 0.
    """
    value, _, _ = _noise_and_slope(x, y, scale=scale, seed=seed, sloped=False)
    return value


def fractal_noise(x: Metres, y: Metres, *, scale: float, seed: int, octaves: int) -> Noise:
    """Sum of ``octaves`` noises, each at half the scale and half the weight of the one before.

    Returns: float32, about -1..1, mean 0.
    """
    total = smooth_noise(x, y, scale=scale, seed=seed)
    for octave in range(1, octaves):
        finer, shift = _finer(scale, octave)
        noise = smooth_noise(x + shift, y - shift, scale=finer, seed=seed + octave)
        total = total + noise * np.float32(0.5**octave)
    return total


def level_distance(
    x: Metres, y: Metres, *, level: float | Noise, scale: float, seed: int, octaves: int
) -> Noise:
    """Signed distance to where a fractal noise crosses ``level``: excess over slope.

    First order: good near the crossing, where it is used; far away it only grows.

    Args:
        level: number, or array of the broadcast shape.

    Returns: float32 metres, positive where the noise lies above the level.
    """
    value, slope_x, slope_y = _noise_and_slope(x, y, scale=scale, seed=seed, sloped=True)
    for octave in range(1, octaves):
        finer, shift = _finer(scale, octave)
        weight = np.float32(0.5**octave)
        more, more_x, more_y = _noise_and_slope(
            x + shift, y - shift, scale=finer, seed=seed + octave, sloped=True
        )
        value = value + weight * more
        slope_x, slope_y = slope_x + weight * more_x, slope_y + weight * more_y
    steepness = np.sqrt(slope_x * slope_x + slope_y * slope_y + np.float32(1e-12))
    excess = value - np.asarray(level, dtype=np.float32)
    return np.asarray(excess / steepness, dtype=np.float32)


def _finer(scale: float, octave: int) -> tuple[float, float]:
    finer = scale / 2**octave
    return finer, _OCTAVE_SHIFT * octave * finer


def _noise_and_slope(
    x: Metres, y: Metres, *, scale: float, seed: int, sloped: bool
) -> tuple[Noise, Noise, Noise]:
    """Gradient noise and, if ``sloped``, its derivatives a metre east and north.

    On one lattice row, noise is ``a(x) + b(x) * v`` for the height ``v`` above it; on a
    grid, ``a`` and ``b`` need to be computed once a lattice row, not once a pixel.
    """
    column, row = np.floor(x / scale), np.floor(y / scale)
    u, v = (x / scale - column).astype(np.float32), (y / scale - row).astype(np.float32)
    left, bottom = int(column.min()), int(row.min())
    east, north = _lattice(
        seed,
        np.arange(bottom, int(row.max()) + 2)[:, None],
        np.arange(left, int(column.max()) + 2)[None, :],
    )
    column_index, row_index = column.astype(np.int64) - left, row.astype(np.int64) - bottom
    on_grid = x.ndim == y.ndim == 2 and x.shape[0] == 1 and y.shape[1] == 1
    fade, steep = _fade(u), _fade_slope(u)

    def along(values: Noise, up: int, right: int) -> Noise:
        picked_columns = column_index + right
        if on_grid:
            return values[:, picked_columns[0]]
        return values[row_index + up, picked_columns]

    def strip(up: int) -> list[Noise]:
        """``a, b`` and their derivatives by ``u``, on the lattice row ``up`` above."""
        east_0, east_1 = along(east, up, 0), along(east, up, 1)
        north_0, north_1 = along(north, up, 0), along(north, up, 1)
        start, rise = east_0 * u, east_1 * (u - 1) - east_0 * u
        parts = [start + fade * rise, north_0 + fade * (north_1 - north_0)]
        if sloped:
            parts.append(east_0 + fade * (east_1 - east_0) + steep * rise)
            parts.append(steep * (north_1 - north_0))
        return [part[row_index[:, 0] + up] for part in parts] if on_grid else parts

    low, high = strip(0), strip(1)
    fade_v = _fade(v)
    below, gap = low[0] + low[1] * v, high[0] + high[1] * (v - 1)
    gap = gap - below
    gain = np.float32(NOISE_GAIN)
    value: Noise = gain * (below + fade_v * gap)
    if not sloped:
        return value, value, value
    slope_x, above_x = low[2] + low[3] * v, high[2] + high[3] * (v - 1)
    per_metre = np.float32(NOISE_GAIN / scale)
    slope_x = per_metre * (slope_x + fade_v * (above_x - slope_x))
    slope_y = per_metre * (low[1] + fade_v * (high[1] - low[1]) + _fade_slope(v) * gap)
    return value, slope_x, slope_y


def _lattice(seed: int, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[Noise, Noise]:
    """A unit vector for each lattice point: its east and north parts."""
    bits = hash_bits(seed, rows, columns)
    cosine, sine = directions(units(bits))
    # The two low bits turn the first quadrant's direction into any of the four.
    east = np.where(bits & np.uint64(1), cosine, -cosine).astype(np.float32)
    return east, np.where(bits & np.uint64(2), sine, -sine).astype(np.float32)


def _fade(t: Noise) -> Noise:
    return np.asarray(t * t * t * (t * (6 * t - 15) + 10), dtype=np.float32)


def _fade_slope(t: Noise) -> Noise:
    return np.asarray(30 * t * t * (t * (t - 2) + 1), dtype=np.float32)
