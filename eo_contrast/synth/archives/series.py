"""Archives of several dates a place: products as agencies give them, SSL4EO-S12, SeCo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from eo_contrast.bands import L2A, ORDERS, REFLECTANCE_SCALE, VV_VH
from eo_contrast.synth.archives.images import TIME, ArchivePlan, SyntheticImage, as_bytes, sites
from eo_contrast.synth.optical import Sky, native_metres
from eo_contrast.synth.sites import (
    Raster,
    optical_bands,
    passes,
    radar_bands,
    skies,
)

Level = Literal["s2-l1c", "s2-l2a"]

TILE = "T32TNU"
BASELINE_4_ADDS = 1000
# Each product's own years: before and after baseline 04.00 both occur.
YEARS = (2021, 2022)
SSL4EO_SPELLING = MappingProxyType({"B8A": "B8A", **{f"B{n:02}": f"B{n}" for n in range(1, 13)}})
LEVELS: tuple[tuple[str, Level], ...] = (("s2c", "s2-l1c"), ("s2a", "s2-l2a"))
# The radar's boxes of SSL4EO lie some pixels off the optical ones.
RADAR_MOVED = (2, -3)


def s2_safe(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Products of level 1C and 2A in turn, each of one place: JPEG 2000 and their metadata."""
    for place, site in sites(plan):
        for k, (sky, date) in enumerate(_dated(plan, place)):
            level: Level = "s2-l1c" if k % 2 == 0 else "s2-l2a"
            short = level[3:].upper()
            names = ORDERS["ssl4eo-s2c"] if level == "s2-l1c" else L2A
            baseline = "0400" if date.year >= YEARS[1] else "0301"
            add = BASELINE_4_ADDS if baseline == "0400" else 0
            bands = optical_bands(site, sky, level, native_metres(names), add=add)
            # One place a tile: products of a tile show the same ground.
            tile = _tile(place)
            product = f"S2A_MSI{short}_{date:{TIME}}_N{baseline}_R022_{tile}_{date:{TIME}}.SAFE"
            images = f"{product}/GRANULE/{short}_{tile}_A000001_{date:{TIME}}/IMG_DATA"
            metres = native_metres(names)
            yield SyntheticImage(
                files=tuple(_safe_file(images, tile, date, name, level, metres) for name in bands),
                bands=bands,
                product=level,
                place=place,
                date=date,
                scale=REFLECTANCE_SCALE,
                offset=float(-add),
                beside={
                    f"{product}/MTD_MSI{short}.xml": _metadata(short, baseline, add, sky.clouds)
                },
            )


def s1_rtc(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Terrain-corrected linear power, a file a polarisation, in a folder a place."""
    for place, site in sites(plan):
        for overflight, date in passes(plan.seed, place, plan.dates, _year(place)):
            stem = f"S1A_IW_GRDH_1SDV_{date:{TIME}}_{date:{TIME}}_032904_03CFBA"
            bands = radar_bands(site, overflight, linear=True)
            yield SyntheticImage(
                files=tuple(f"x{place:05}/{stem}_rtc_{name.lower()}.tif" for name in VV_VH),
                bands=bands,
                product="s1-rtc",
                place=place,
                date=date,
                unit="linear",
            )


def ssl4eo_v1(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Radar, level 1C and level 2A of each place and date, a file a band in its own pixels."""
    for place, site in sites(plan):
        for overflight, date in passes(plan.seed, place, plan.dates, _year(place)):
            scene = f"S1A_IW_GRDH_1SDV_{date:{TIME}}_{date:{TIME}}_032904_03CFBA_D457"
            yield SyntheticImage(
                files=tuple(f"s1/{place:07}/{scene}/{name}.tif" for name in VV_VH),
                bands=radar_bands(site, overflight, moved=RADAR_MOVED),
                product="s1-grd",
                place=place,
                date=date,
                beside=_facts(f"s1/{place:07}/{scene}", orbit=overflight.orbit.upper()),
            )
        for folder, level in LEVELS:
            for sky, date in _dated(plan, place):
                baseline = "04.00" if date.year >= YEARS[1] else "03.01"
                add = BASELINE_4_ADDS if baseline == "04.00" else 0
                scene = f"{folder}/{place:07}/{date:{TIME}}_{date:{TIME}}_{TILE}"
                metres = native_metres(ORDERS[f"ssl4eo-{folder}"])
                yield SyntheticImage(
                    files=tuple(f"{scene}/{SSL4EO_SPELLING[name]}.tif" for name in metres),
                    bands=optical_bands(site, sky, level, metres, add=add),
                    product=level,
                    place=place,
                    date=date,
                    scale=REFLECTANCE_SCALE,
                    offset=float(-add),
                    beside=_facts(scene, baseline=baseline, clouds=100 * sky.clouds),
                )


def seco(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Seasons of each place in 8 bits, a file a band, all of 10 m."""
    for place, site in sites(plan):
        for sky, date in skies(plan.seed, place, plan.dates, 2019):
            scene = f"{place:06}/{date:{TIME}}_{date:{TIME}}_{TILE}"
            counts = optical_bands(site, sky, "s2-l2a", dict.fromkeys(ORDERS["seco"], 10))
            yield SyntheticImage(
                files=tuple(f"{scene}/{SSL4EO_SPELLING[name]}.tif" for name in counts),
                bands={
                    name: Raster(as_bytes(raster.values * REFLECTANCE_SCALE), raster.transform)
                    for name, raster in counts.items()
                },
                product="s2-l2a",
                place=place,
                date=date,
                scale=1 / 255,
            )


def _dated(plan: ArchivePlan, place: int) -> list[tuple[Sky, datetime]]:
    return skies(plan.seed, place, plan.dates, _year(place))


def _year(place: int) -> int:
    return YEARS[place % len(YEARS)]


def _tile(place: int) -> str:
    """A tile's name of its own for each place, as many as letters and digits allow."""
    letters = "ABCDEFGHJKLMNPQRSTUV"
    zone, rest = divmod(place, len(letters) ** 2)
    return f"T{1 + zone % 60:02}T{letters[rest // len(letters)]}{letters[rest % len(letters)]}"


def _safe_file(
    images: str, tile: str, date: datetime, band: str, level: Level, metres: dict[str, int]
) -> str:
    if level == "s2-l1c":
        return f"{images}/{tile}_{date:{TIME}}_{band}.jp2"
    return f"{images}/R{metres[band]}m/{tile}_{date:{TIME}}_{band}_{metres[band]}m.jp2"


def _metadata(level: str, baseline: str, add: int, clouds: float) -> str:
    quantification = "QUANTIFICATION_VALUE" if level == "L1C" else "BOA_QUANTIFICATION_VALUE"
    tag = "RADIO_ADD_OFFSET" if level == "L1C" else "BOA_ADD_OFFSET"
    offsets = "".join(f'<{tag} band_id="{n}">{-add}</{tag}>' for n in range(13)) if add else ""
    return (
        f"<n1:Level-{level[1:]}_User_Product xmlns:n1='https://psd-14.sentinel2.eo.esa.int/'>"
        f"<PROCESSING_BASELINE>{baseline[:2]}.{baseline[2:]}</PROCESSING_BASELINE>"
        f"<{quantification} unit='none'>10000</{quantification}>{offsets}"
        f"<Cloud_Coverage_Assessment>{100 * clouds:.4f}</Cloud_Coverage_Assessment>"
        f"</n1:Level-{level[1:]}_User_Product>"
    )


def _facts(
    scene: str, *, baseline: str = "", clouds: float | None = None, orbit: str = ""
) -> dict[str, str | bytes]:
    told: dict[str, object] = {}
    if baseline:
        told["PROCESSING_BASELINE"] = baseline
    if clouds is not None:
        told["CLOUDY_PIXEL_PERCENTAGE"] = round(clouds, 4)
    if orbit:
        told["orbitProperties_pass"] = orbit
    return {f"{scene}/metadata.json": json.dumps(told)}
