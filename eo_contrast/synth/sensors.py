"""How a camera in the air or in orbit sees a land cover: relief, sun, haze, optics, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eo_contrast.synth.cartography import coverage, without_halo
from eo_contrast.synth.noise import directions, fractal_noise, hash_units, smooth_noise, stream
from eo_contrast.synth.surfaces import painted_ground, roof_colours, tree_density
from eo_contrast.synth.trees import TALLEST_M, Crowns, crowns_over
from eo_contrast.synth.world import LandCover

LONGEST_SHADOW_M = 26.0
HAZE_COLOUR = (176.0, 186.0, 198.0)
SHADOW_TINT = (0.40, 0.44, 0.52)
READ_NOISE = 5.0
BLUR_SHARE = 0.17


@dataclass(frozen=True)
class Sun:
    """Where shadows fall.

    Attributes:
        east, north: unit vector along which a shadow falls.
        slope: tangent of the sun's elevation: metres of height a metre of shadow.
    """

    east: float
    north: float
    slope: float


def halo_pixels(ground_resolution: float) -> int:
    """Pixels around an extent that its picture depends on: shadows, crowns, blur."""
    return int(np.ceil(LONGEST_SHADOW_M / ground_resolution)) + 4


def sun_of(seed: int) -> Sun:
    """The sun over a whole world: a morning or afternoon of the northern summer."""
    turn, side, slope = (hash_units(stream(seed, "sun"), each) for each in range(3))
    cosine, sine = directions(0.3 + 0.4 * turn)
    east = cosine[0] if side[0] < 0.5 else -cosine[0]
    return Sun(east=float(east), north=float(sine[0]), slope=float(1.0 + 0.5 * slope[0]))


def render_aerial(cover: LandCover) -> NDArray[np.uint8]:
    """Picture a land cover's extent from above.

    Args:
        cover: with a halo of at least :func:`halo_pixels`.

    Returns: (height, width, 3) uint8 RGB.
    Raises: ValueError: the halo is too small.
    """
    size = cover.world.ground_resolution
    if cover.halo < halo_pixels(size):
        raise ValueError(f"halo {cover.halo} < {halo_pixels(size)}: shadows would miss their cause")
    sun = sun_of(cover.world.seed)
    crowns = crowns_over(cover, tree_density(cover))
    roof = coverage(cover.buildings.distance_m, size)
    height = np.where(cover.buildings.distance_m < 0, cover.buildings.height_m, crowns.height_m)
    pixels = painted_ground(cover)
    pixels = pixels + roof * (roof_colours(cover, sun.east, sun.north) - pixels)
    leaves = crowns.coverage[..., None] * (1 - roof)
    pixels = pixels + leaves * (_leaf_colours(cover, crowns, sun) - pixels)
    pixels = pixels * _light(height, sun, size)
    pixels = _through_air(cover, pixels)
    pixels = _blurred(pixels) + _read_noise(cover)
    return without_halo(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), cover.halo)


def shadows(height_m: NDArray[np.float32], sun: Sun, pixel_m: float) -> NDArray[np.float32]:
    """How deep each pixel lies in the shadow of something towards the sun, 0..1.

    Args:
        height_m: (height, width) top of what stands on each pixel.
        pixel_m: metres a pixel.
    """
    steps = int(LONGEST_SHADOW_M / pixel_m)
    deepest = np.zeros_like(height_m)
    for step in range(1, steps + 1):
        right, up = round(step * sun.east), round(step * sun.north)
        blocker = _shifted(height_m, down=-up, right=right)
        excess = blocker - height_m - np.float32(step * pixel_m * sun.slope)
        np.maximum(deepest, excess, out=deepest)
    depth: NDArray[np.float32] = np.clip(deepest / np.float32(1.5), 0, 1)
    return depth


def _light(height: NDArray[np.float32], sun: Sun, pixel_m: float) -> NDArray[np.float32]:
    shade = shadows(height, sun, pixel_m)[..., None]
    return 1 - shade * (1 - np.array(SHADOW_TINT, dtype=np.float32))


def _shifted(values: NDArray[np.float32], *, down: int, right: int) -> NDArray[np.float32]:
    """``values`` moved by whole pixels, zero where nothing moved in."""
    moved = np.zeros_like(values)
    height, width = values.shape
    if abs(down) >= height or abs(right) >= width:
        return moved
    target_rows = slice(max(down, 0), height + min(down, 0))
    target_columns = slice(max(right, 0), width + min(right, 0))
    source_rows = slice(max(-down, 0), height + min(-down, 0))
    source_columns = slice(max(-right, 0), width + min(-right, 0))
    moved[target_rows, target_columns] = values[source_rows, source_columns]
    return moved


def _leaf_colours(cover: LandCover, crowns: Crowns, sun: Sun) -> NDArray[np.float32]:
    """Greens by tree and by stand, brighter on the sunny side of each crown."""
    seed = cover.world.seed
    stand = fractal_noise(cover.x, cover.y, scale=210.0, seed=stream(seed, "stand"), octaves=3)
    kind = smooth_noise(cover.x, cover.y, scale=2600.0, seed=stream(seed, "tree kind"))
    mix = np.clip(0.55 * crowns.tone + 0.45 * (0.5 + stand), 0, 1)[..., None]
    olive = np.clip(0.5 + 0.9 * kind, 0, 1)[..., None]
    dark = np.array((38.0, 58.0, 34.0), dtype=np.float32)
    dark = dark + olive * np.array((14.0, 2.0, 0.0), dtype=np.float32)
    light = np.array((78.0, 98.0, 50.0), dtype=np.float32)
    light = light + olive * np.array((18.0, 0.0, 6.0), dtype=np.float32)
    lit = -(crowns.east * np.float32(sun.east) + crowns.north * np.float32(sun.north))
    low = np.clip(crowns.height_m / np.float32(TALLEST_M), 0, 1)
    relief = np.float32(0.72) + np.float32(0.3) * lit + np.float32(0.3) * low
    green: NDArray[np.float32] = (dark + mix * (light - dark)) * relief[..., None]
    return green


def _through_air(cover: LandCover, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Haze, exposure and tint that change slowly over kilometres, as mosaics do."""
    seed = cover.world.seed
    haze, exposure, warmth = (
        smooth_noise(cover.x, cover.y, scale=5200.0, seed=stream(seed, name))[..., None]
        for name in ("haze", "exposure", "warmth")
    )
    veil = np.clip(np.float32(0.09) + np.float32(0.09) * haze, 0.02, 0.2)
    tint = 1 + warmth * np.array((0.06, 0.0, -0.07), dtype=np.float32)
    pixels = pixels * tint * (1 + np.float32(0.16) * exposure)
    hazy: NDArray[np.float32] = pixels + veil * (np.array(HAZE_COLOUR, np.float32) - pixels)
    return hazy


def _blurred(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """A 3x3 binomial-like blur: the optics of the camera. The outermost pixels stay sharp."""
    side, middle = np.float32(BLUR_SHARE), np.float32(1 - 2 * BLUR_SHARE)
    result = pixels.copy()
    result[1:-1] = middle * pixels[1:-1] + side * (pixels[:-2] + pixels[2:])
    across = result.copy()
    across[:, 1:-1] = middle * result[:, 1:-1] + side * (result[:, :-2] + result[:, 2:])
    return across


def _read_noise(cover: LandCover) -> NDArray[np.float32]:
    """Grey noise of the detector, a function of the pixel's place in the world."""
    grown = cover.extent.grown(cover.halo)
    rows = (grown.row + np.arange(grown.height))[:, None]
    columns = (grown.column + np.arange(grown.width))[None, :]
    seed = cover.world.seed
    total = hash_units(stream(seed, "read noise"), rows, columns)
    total = total + hash_units(stream(seed, "read noise again"), rows, columns) - 1
    return (total * READ_NOISE).astype(np.float32)[..., None]
