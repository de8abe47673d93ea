"""Sentinel-1 GRD products: amplitudes as a pass sees them, control points, calibration tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rasterio.transform import Affine

from eo_contrast.bands import VV_VH
from eo_contrast.synth.archives.images import TIME, ArchivePlan, SyntheticImage, sites
from eo_contrast.synth.radar import Pass
from eo_contrast.synth.sites import Raster, passes, radar_bands

YEAR = 2021
# Of sigma nought, from the near to the far range; of the noise, in squared amplitude.
SIGMA = (420.0, 560.0)
NOISE = {"VV": (900.0, 500.0), "VH": (650.0, 400.0)}
AZIMUTH_GAIN = (1.0, 0.8)
TABLE_STEP = 40


def s1_grd(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """A product a pass, in a folder a place: ascending ones upside down, descending ones mirrored.

    Amplitude² = power x sigma² + noise, by the tables that the product holds.
    """
    for place, site in sites(plan):
        for overflight, date in passes(plan.seed, place, plan.dates, YEAR):
            power = radar_bands(site, overflight, linear=True)
            product = f"S1A_IW_GRDH_1SDV_{date:{TIME}}_{date:{TIME}}_036000_043A2B_{place:04X}"
            stems = {
                name: f"s1a-iw-grd-{name.lower()}-{date:{TIME}}-{date:{TIME}}-036000-043a2b-00{n}"
                for n, name in enumerate(VV_VH, start=1)
            }
            root = f"x{place:05}/{product}.SAFE"
            yield SyntheticImage(
                files=tuple(f"{root}/measurement/{stems[name]}.tiff" for name in VV_VH),
                bands={name: _amplitudes(power[name], overflight, name) for name in VV_VH},
                product="s1-grd",
                place=place,
                date=date,
                unit="linear",
                ground_control=True,
                beside={
                    f"{root}/annotation/{path}": text
                    for name in VV_VH
                    for path, text in _texts(stems[name], name, plan.size, overflight).items()
                },
            )


def _amplitudes(power: Raster, overflight: Pass, band: str) -> Raster:
    values, transform = power.values, power.transform
    side = len(values)
    if overflight.orbit == "ascending":
        values, transform = values[::-1], transform @ Affine(1, 0, 0, 0, -1, side)
    else:
        values, transform = values[:, ::-1], transform @ Affine(-1, 0, side, 0, 1, 0)
    squared = values * np.linspace(*SIGMA, side) ** 2 + noise_of(band, side)
    return Raster(np.rint(np.sqrt(squared)).astype(np.uint16), transform)


def noise_of(band: str, side: int) -> np.ndarray:
    """Squared amplitude of the noise over an image, as its tables tell it."""
    return np.linspace(*AZIMUTH_GAIN, side)[:, None] * np.linspace(*NOISE[band], side)


def _texts(stem: str, band: str, side: int, overflight: Pass) -> dict[str, str]:
    pixels = [*range(0, side - 1, TABLE_STEP), side - 1]
    places = np.array(pixels) / (side - 1)
    columns = " ".join(map(str, pixels))

    def numbers(ends: tuple[float, float]) -> str:
        return " ".join(f"{value:.9e}" for value in ends[0] + (ends[1] - ends[0]) * places)

    def vectors(name: str, values: str) -> str:
        return "".join(
            f"<{name}><line>{line}</line><pixel count='{len(pixels)}'>{columns}</pixel>{values}"
            f"</{name}>"
            for line in (0, side - 1)
        )

    sigma = vectors("calibrationVector", f"<sigmaNought>{numbers(SIGMA)}</sigmaNought>")
    across = vectors("noiseRangeVector", f"<noiseRangeLut>{numbers(NOISE[band])}</noiseRangeLut>")
    along = (
        "<noiseAzimuthVector><swath>IW1</swath><firstAzimuthLine>0</firstAzimuthLine>"
        f"<firstRangeSample>0</firstRangeSample><lastAzimuthLine>{side - 1}</lastAzimuthLine>"
        f"<lastRangeSample>{side - 1}</lastRangeSample><line count='{len(pixels)}'>{columns}</line>"
        f"<noiseAzimuthLut>{numbers(AZIMUTH_GAIN)}</noiseAzimuthLut></noiseAzimuthVector>"
    )
    return {
        f"{stem}.xml": f"<product><pass>{overflight.orbit.capitalize()}</pass></product>",
        f"calibration/calibration-{stem}.xml": f"<calibration>{sigma}</calibration>",
        f"calibration/noise-{stem}.xml": f"<noise>{across}{along}</noise>",
    }
