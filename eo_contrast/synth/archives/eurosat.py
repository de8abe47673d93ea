"""EuroSAT, synthesised: tiles that one class describes, as 13 bands or as pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eo_contrast.bands import ORDERS, REFLECTANCE_SCALE
from eo_contrast.synth.archives.images import ArchivePlan, SyntheticImage, picture_of
from eo_contrast.synth.districts import Kind
from eo_contrast.synth.land_types import ANNUAL_CROPS, PERMANENT_CROPS, TREES, LandType, shares
from eo_contrast.synth.radar import PIXEL_M
from eo_contrast.synth.sites import (
    Site,
    inner,
    optical_bands,
    place_corner,
    site_at,
    skies,
)
from eo_contrast.synth.world import LandClass

CLASSES = 10
LOOKS_A_TILE = 60
YEAR = 2017


def eurosat_ms(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """13-band tiles of level 1C, as many of each class as the landscape gives."""
    for place, label, number, site in labelled_tiles(plan):
        names = ORDERS["eurosat-ms"]
        (sky, _), *_ = skies(plan.seed, place, 1, YEAR)
        yield SyntheticImage(
            files=(f"{label}/{label}_{number}.tif",),
            bands=optical_bands(site, sky, "s2-l1c", dict.fromkeys(names, PIXEL_M)),
            product="s2-l1c",
            place=place,
            scale=REFLECTANCE_SCALE,
            label=label,
        )


def eurosat_rgb(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """The same tiles as pictures, stretched for the eye and without a position."""
    for place, label, number, site in labelled_tiles(plan):
        (sky, _), *_ = skies(plan.seed, place, 1, YEAR)
        counts = optical_bands(site, sky, "s2-l1c", dict.fromkeys(("B04", "B03", "B02"), PIXEL_M))
        yield SyntheticImage(
            files=(f"{label}/{label}_{number}.jpg",),
            bands=picture_of(counts),
            product="rgb",
            place=place,
            scale=1 / 255,
            label=label,
        )


def scene_label(site: Site) -> str:
    """EuroSAT's class of a place by what lies on it; empty where none describes it."""
    of = shares(inner(site, site.types))
    kinds = inner(site, site.cover.districts.kind)
    motorway = float((inner(site, site.cover.land_class) == LandClass.MOTORWAY).mean())
    town = of[LandType.PAVED] + of[LandType.BUILDING] + of[LandType.ROAD]
    rules = (
        ("SeaLake", of[LandType.WATER] > 0.6),
        ("River", of[LandType.WATER] > 0.1),
        ("Highway", motorway > 0.03),
        ("Industrial", town > 0.3 and float((kinds == Kind.COMMERCIAL).mean()) > 0.5),
        ("Residential", town + of[LandType.GARDEN] > 0.5),
        ("Forest", sum(of[each] for each in TREES) > 0.6),
        ("AnnualCrop", sum(of[each] for each in ANNUAL_CROPS) > 0.45),
        ("PermanentCrop", sum(of[each] for each in PERMANENT_CROPS) > 0.4),
        ("Pasture", of[LandType.PASTURE] > 0.5),
        ("HerbaceousVegetation", of[LandType.HERBACEOUS] > 0.5),
    )
    return next((name for name, holds in rules if holds), "")


def labelled_tiles(
    plan: ArchivePlan, label_of: Callable[[Site], str] = scene_label, classes: int = CLASSES
) -> Iterator[tuple[int, str, int, Site]]:
    """``plan.places`` tiles with as equal numbers of each class as are found.

    Args:
        label_of: the class of a place; empty where none describes it.
        classes: how many of them the landscape has.

    Yields: number of the place, class, number within the class from 1, ground.
    """
    quota = -(-plan.places // classes)
    counts: dict[str, int] = {}
    given = 0
    for place in range(plan.places * LOOKS_A_TILE):
        if given == plan.places:
            return
        site = site_at(plan.seed, place_corner(place, plan.size), plan.size)
        label = label_of(site)
        if not label or counts.get(label, 0) >= quota:
            continue
        counts[label] = counts.get(label, 0) + 1
        given += 1
        yield place, label, counts[label], site
