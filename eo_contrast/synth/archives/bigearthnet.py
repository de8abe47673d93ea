"""BigEarthNet v1 and v2, synthesised: pairs of patches with multiple labels."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from eo_contrast.bands import L2A, REFLECTANCE_SCALE
from eo_contrast.synth.archives.images import TIME, ArchivePlan, SyntheticImage, sites
from eo_contrast.synth.land_types import shares
from eo_contrast.synth.optical import Sky, native_metres
from eo_contrast.synth.radar import Pass
from eo_contrast.synth.sites import (
    Raster,
    Site,
    inner,
    label_band,
    optical_bands,
    passes,
    radar_bands,
    skies,
)

LEAST_LABEL_SHARE = 0.05
DATES_A_YEAR = 4
SUMMER = 2
YEAR = 2017

# CORINE's code of each land type, in the order of LandType.
CORINE = (512, 312, 311, 211, 211, 211, 222, 221, 231, 321, 141, 112, 121, 122, 112)
NINETEEN_CLASSES = MappingProxyType(
    {
        112: "Urban fabric",
        121: "Industrial or commercial units",
        211: "Arable land",
        221: "Permanent crops",
        222: "Permanent crops",
        231: "Pastures",
        311: "Broad-leaved forest",
        312: "Coniferous forest",
        321: "Natural grassland and sparsely vegetated areas",
        512: "Inland waters",
    }
)
SPLITS = MappingProxyType({"train": "train", "validation": "val", "test": "test"})


@dataclass(frozen=True)
class _Patch:
    """What one sensor sees of a place."""

    product: str
    bands: Mapping[str, Raster]
    scale: float

    def image(
        self,
        place: int,
        date: datetime,
        stem: str,
        labels: Sequence[str],
        *,
        split: str = "",
        beside: Mapping[str, str | bytes] = MappingProxyType({}),
    ) -> SyntheticImage:
        """The image that an archive has of it; ``stem`` is its files' name up to the band."""
        return SyntheticImage(
            files=tuple(f"{stem}_{name}.tif" for name in self.bands),
            bands=self.bands,
            product=self.product,
            place=place,
            date=date,
            scale=self.scale,
            label=";".join(labels),
            split=split,
            beside=beside,
        )


def bigearthnet_v1(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Pairs of optical and radar patches, each with its labels in a file of its own."""
    for place, site in sites(plan):
        (sky, date), (overflight, later) = _summer(plan, place)
        position = f"{place // 100}_{place % 100}"
        optical = f"S2A_MSIL2A_{date:{TIME}}_{position}"
        radar = f"S1A_IW_GRDH_1SDV_{later:{TIME}}_32TNU_{position}"
        labels = labels_of(site)
        facts = json.dumps({"labels": labels, "corresponding_s2_patch": optical})
        stem = f"BigEarthNet-v1.0/{optical}/{optical}"
        beside = {f"{stem}_labels_metadata.json": facts}
        yield _optical(site, sky).image(place, date, stem, labels, beside=beside)
        stem = f"BigEarthNet-S1-v1.0/{radar}/{radar}"
        beside = {f"{stem}_labels_metadata.json": facts}
        yield _radar(site, overflight).image(place, later, stem, labels, beside=beside)


def bigearthnet_v2(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Optical and radar patches and reference maps, with the archive's table of all of them."""
    table: dict[str, list[object]] = {"patch_id": [], "s1_name": [], "labels": [], "split": []}
    for place, site in sites(plan):
        (sky, date), (overflight, later) = _summer(plan, place)
        position = f"{place // 100:02}_{place % 100:02}"
        product = f"S2A_MSIL2A_{date:{TIME}}_N9999_R022_T32TNU"
        optical = f"{product}_{position}"
        radar_product = f"S1A_IW_GRDH_1SDV_{later:{TIME}}"
        radar = f"{radar_product}_32TNU_{position}"
        labels = labels_of(site)
        theirs = ("train", "train", "validation", "test")[place % 4]
        for name, value in zip(table, (optical, radar, labels, theirs), strict=True):
            table[name].append(value)
        split = SPLITS[theirs]
        stem = f"BigEarthNet-S2/{product}/{optical}/{optical}"
        yield _optical(site, sky).image(place, date, stem, labels, split=split)
        stem = f"BigEarthNet-S1/{radar_product}/{radar}/{radar}"
        yield _radar(site, overflight).image(place, later, stem, labels, split=split)
        last = place == plan.places - 1
        yield SyntheticImage(
            files=(f"Reference_Maps/{product}/{optical}/{optical}_reference_map.tif",),
            bands={"corine": label_band(site, CORINE, "uint16")},
            product="label",
            place=place,
            date=date,
            label=";".join(labels),
            split=split,
            beside={"metadata.parquet": _parquet(table)} if last else {},
        )


def labels_of(site: Site) -> list[str]:
    """BigEarthNet's classes that cover at least a twentieth of a place, sorted."""
    found: dict[str, float] = {}
    for land_type, share in shares(inner(site, site.types)).items():
        name = NINETEEN_CLASSES.get(CORINE[land_type])
        if name is not None:
            found[name] = found.get(name, 0.0) + share
    return sorted(name for name, share in found.items() if share >= LEAST_LABEL_SHARE)


def _summer(plan: ArchivePlan, place: int) -> tuple[tuple[Sky, datetime], tuple[Pass, datetime]]:
    sky, date = skies(plan.seed, place, DATES_A_YEAR, YEAR)[SUMMER]
    return (sky, date), passes(plan.seed, place, DATES_A_YEAR, YEAR)[SUMMER]


def _optical(site: Site, sky: Sky) -> _Patch:
    bands = optical_bands(site, sky, "s2-l2a", native_metres(L2A))
    return _Patch("s2-l2a", bands, REFLECTANCE_SCALE)


def _radar(site: Site, overflight: Pass) -> _Patch:
    return _Patch("s1-grd", radar_bands(site, overflight), 1.0)


def _parquet(columns: Mapping[str, list[object]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), buffer)
    return buffer.getvalue()
