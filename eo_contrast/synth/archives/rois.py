"""SEN12MS, DFC2020 and TerraMesh, synthesised: radar, optics and land cover of each patch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from eo_contrast.bands import L2A, ORDERS, REFLECTANCE_SCALE
from eo_contrast.synth.archives.images import ArchivePlan, SyntheticImage, picture_of, sites
from eo_contrast.synth.optical import FINE_M, Sky
from eo_contrast.synth.radar import PIXEL_M, Pass
from eo_contrast.synth.sites import (
    COARSEST,
    Raster,
    Site,
    label_band,
    optical_bands,
    passes,
    place_corner,
    radar_bands,
    site_at,
    skies,
)

PATCHES_A_SCENE = 4
FIRST_PATCH = 30

# Codes of each land type, in the order of LandType.
DFC = (10, 1, 1, 6, 6, 6, 6, 6, 4, 4, 4, 7, 7, 7, 7)
LAND_COVER = MappingProxyType(
    {
        "igbp": (17, 1, 4, 12, 12, 12, 12, 12, 10, 10, 10, 13, 13, 13, 13),
        "lccs_land_cover": (3, 11, 14, 31, 31, 31, 22, 22, 31, 31, 31, 1, 1, 1, 1),
        "lccs_land_use": (3, 10, 10, 36, 36, 36, 25, 25, 30, 30, 30, 9, 9, 9, 9),
        "lccs_hydrology": (3, 10, 10, 30, 30, 30, 20, 20, 30, 30, 30, 1, 1, 1, 1),
    }
)
LULC = (1, 2, 2, 5, 5, 5, 5, 5, 9, 9, 9, 6, 6, 6, 6)
# Which of a year's four dates.
SEASONS = (
    ("ROIs1158_spring", 1),
    ("ROIs1868_summer", 2),
    ("ROIs1970_fall", 3),
    ("ROIs2017_winter", 0),
)
CONTEST = (("ROIs0000_validation", "val"), ("ROIs0000_test", "test"))


def sen12ms(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Patches in fours that overlap by half, one scene a season in turn, with land cover."""
    for place in range(plan.places):
        scene, patch = divmod(place, PATCHES_A_SCENE)
        region, date = SEASONS[scene % len(SEASONS)]
        site = _overlapping(plan, scene, patch)
        names = {
            kind: f"{region}/{kind}_{scene}/{region}_{kind}_{scene}_p{FIRST_PATCH + patch}.tif"
            for kind in ("s1", "s2", "lc")
        }
        labels = {name: label_band(site, codes, "uint8") for name, codes in LAND_COVER.items()}
        sky, _ = skies(plan.seed, scene, len(SEASONS), 2017)[date]
        overflight, _ = passes(plan.seed, scene, len(SEASONS), 2017)[date]
        yield from _patch(site, place, names, sky, overflight, labels)


def dfc2020(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Patches of the contest, one in five for validation, with its land cover."""
    for place, site in sites(plan):
        region, split = CONTEST[0 if place % 5 == 4 else 1]
        names = {
            kind: f"{region}/{kind}_0/{region}_{kind}_0_p{place}.tif"
            for kind in ("s1", "s2", "dfc")
        }
        labels = {"dfc": label_band(site, DFC, "uint8")}
        [(sky, _)] = skies(plan.seed, place, 1, 2019)
        [(overflight, _)] = passes(plan.seed, place, 1, 2019)
        yield from _patch(site, place, names, sky, overflight, labels, split=split)


def terramesh(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Both levels, radar, a picture and land cover of each place, on one grid."""
    for place, site in sites(plan):
        name = f"{place:03}D_{place:03}L_0_0.tif"
        [(sky, _)] = skies(plan.seed, place, 1, 2021)
        [(overflight, _)] = passes(plan.seed, place, 1, 2021)
        surface = optical_bands(site, sky, "s2-l2a", dict.fromkeys(L2A, PIXEL_M))
        top = optical_bands(site, sky, "s2-l1c", dict.fromkeys(ORDERS["sen12ms-s2"], PIXEL_M))
        picture = picture_of(surface)
        labels = {"lulc": label_band(site, LULC, "uint8")}
        for folder, bands, product, scale in (
            ("S1RTC", radar_bands(site, overflight), "s1-rtc", 1.0),
            ("S2L1C", top, "s2-l1c", REFLECTANCE_SCALE),
            ("S2L2A", surface, "s2-l2a", REFLECTANCE_SCALE),
            ("S2RGB", picture, "rgb", 1 / 255),
            ("LULC", labels, "label", 1.0),
        ):
            yield SyntheticImage((f"{folder}/{name}",), bands, product, place, scale=scale)


def _overlapping(plan: ArchivePlan, scene: int, patch: int) -> Site:
    """One of four patches of a scene: each shares half with its neighbours."""
    row, column = place_corner(scene, 2 * plan.size)
    step = round(plan.size * PIXEL_M / FINE_M / 2 / COARSEST) * COARSEST
    down, right = divmod(patch, 2)
    return site_at(plan.seed, (row + down * step, column + right * step), plan.size)


def _patch(
    site: Site,
    place: int,
    names: Mapping[str, str],
    sky: Sky,
    overflight: Pass,
    labels: Mapping[str, Raster],
    *,
    split: str = "",
) -> Iterator[SyntheticImage]:
    radar, optical, label = names.values()
    metres = dict.fromkeys(ORDERS["sen12ms-s2"], PIXEL_M)
    yield SyntheticImage((radar,), radar_bands(site, overflight), "s1-grd", place, split=split)
    yield SyntheticImage(
        files=(optical,),
        bands=optical_bands(site, sky, "s2-l1c", metres),
        product="s2-l1c",
        place=place,
        scale=REFLECTANCE_SCALE,
        split=split,
    )
    yield SyntheticImage((label,), labels, "label", place, split=split)
