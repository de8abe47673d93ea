"""Randomness as a pure function of position: hashes of integers and smooth noise in metres.

Everything here is element by element and uses only arithmetic, ``floor`` and ``sqrt``
on arrays, which IEEE 754 rounds alike wherever they run: a value never depends on the
window it was computed in, nor on the machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Floats = NDArray[np.floating]
Field = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float32]]
"""``field(x, y)``: a value at each position, in metres east and north."""

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
    return (bits >> np.uint64(11)) * 2.0**-53


def hash_units(seed: int, *keys: NDArray[np.generic] | int) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for every tuple of integers; see :func:`hash_bits`."""
    return units(hash_bits(seed, *keys))


def directions(turns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors of the first quadrant for numbers in [0, 1), without sine or cosine.

    Returns: cosine and sine of 2 atan(turn), each of the shape of ``turns``.
    """
    square = turns * turns
    return (1 - square) / (1 + square), 2 * turns / (1 + square)


def smooth_noise(
    x: NDArray[np.float64], y: NDArray[np.float64], *, scale: float, seed: int
) -> NDArray[np.float32]:
    """Gradient noise (Perlin 2002) with one bump every ``scale`` metres.

    Args:
        x, y: positions in metres, broadcastable against each other.
        scale: lattice spacing in metres.
        seed: which noise.

    Returns: float32 of the broadcast shape, about -1..1, mean 0.
    """
    column, row = np.floor(x / scale), np.floor(y / scale)
    u, v = (x / scale - column).astype(np.float32), (y / scale - row).astype(np.float32)
    left, bottom = int(column.min()), int(row.min())
    lattice_columns = np.arange(left, int(column.max()) + 2)
    lattice_rows = np.arange(bottom, int(row.max()) + 2)
    bits = hash_bits(seed, lattice_rows[:, None], lattice_columns[None, :])
    cosine, sine = directions(units(bits))
    # The two low bits turn the first quadrant's direction into any of the four.
    east = np.where(bits & np.uint64(1), cosine, -cosine).astype(np.float32)
    north = np.where(bits & np.uint64(2), sine, -sine).astype(np.float32)
    column_index, row_index = column.astype(np.int64) - left, row.astype(np.int64) - bottom

    def corner(right: int, up: int) -> NDArray[np.float32]:
        place = (row_index + up, column_index + right)
        value = east[place] * (u - np.float32(right)) + north[place] * (v - np.float32(up))
        return np.asarray(value, dtype=np.float32)

    fade_u, fade_v = _fade(u), _fade(v)
    low = corner(0, 0) * (1 - fade_u) + corner(1, 0) * fade_u
    high = corner(0, 1) * (1 - fade_u) + corner(1, 1) * fade_u
    noise: NDArray[np.float32] = (low * (1 - fade_v) + high * fade_v) * np.float32(1.5)
    return noise


def fractal_noise(
    x: NDArray[np.float64], y: NDArray[np.float64], *, scale: float, seed: int, octaves: int
) -> NDArray[np.float32]:
    """Sum of ``octaves`` noises, each at half the scale and half the weight of the one before.

    Returns: float32, about -1..1, mean 0.
    """
    total = smooth_noise(x, y, scale=scale, seed=seed)
    for octave in range(1, octaves):
        finer = scale / 2**octave
        shift = _OCTAVE_SHIFT * octave * finer
        noise = smooth_noise(x + shift, y - shift, scale=finer, seed=seed + octave)
        total = total + noise * np.float32(0.5**octave)
    return total


def level_set_distance(
    field: Field, x: NDArray[np.float64], y: NDArray[np.float64], *, step: float
) -> NDArray[np.float32]:
    """First-order signed distance to where ``field`` is zero: value over slope.

    Good near the zero line, where it is used; far away it only grows.

    Args:
        field: a smooth function of position.
        step: metres of the finite difference, small against the field's bumps.

    Returns: float32 metres, of the field's sign.
    """
    value = field(x, y)
    slope_x = (field(x + step, y) - value) / np.float32(step)
    slope_y = (field(x, y + step) - value) / np.float32(step)
    return value / np.sqrt(slope_x * slope_x + slope_y * slope_y + np.float32(1e-12))


def _fade(t: NDArray[np.float32]) -> NDArray[np.float32]:
    return t * t * t * (t * (t * np.float32(6) - np.float32(15)) + np.float32(10))
