"""Synthetic archives in the layouts that ``ingest`` reads: one function a layout.

A function of a plan gives the archive's images one by one, with their pixels; :func:`write_archive`
puts them on disk. The same plan gives the same images again, so a reader can be compared with what
was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from eo_contrast.errors import InputError
from eo_contrast.files import refuse_existing, whole_folder
from eo_contrast.progress import Advance
from eo_contrast.synth.archives.bigearthnet import bigearthnet_v1, bigearthnet_v2
from eo_contrast.synth.archives.eurosat import eurosat_ms, eurosat_rgb
from eo_contrast.synth.archives.ground_range import s1_grd
from eo_contrast.synth.archives.images import ArchivePlan, SyntheticImage, write_images
from eo_contrast.synth.archives.plain import folder as folder_of_rasters
from eo_contrast.synth.archives.plain import write_folder, xyz
from eo_contrast.synth.archives.rois import dfc2020, sen12ms, terramesh
from eo_contrast.synth.archives.series import s1_rtc, s2_safe, seco, ssl4eo_v1
from eo_contrast.synth.archives.so2sat import so2sat, write_h5_files
from eo_contrast.synth.archives.zarr_files import ssl4eo_v1_1, write_zarr_files


@dataclass(frozen=True)
class Archive:
    """A layout's images.

    Attributes:
        images: of a plan, one by one.
        a_place: images of each place.
        dated: whether there are so many for each date.
        write: puts them below a folder.
    """

    images: Callable[[ArchivePlan], Iterator[SyntheticImage]]
    a_place: int
    dated: bool = False
    write: Callable[[Iterator[SyntheticImage], Path, Advance], int] = write_images


ARCHIVES: Mapping[str, Archive] = MappingProxyType(
    {
        "s2-safe": Archive(s2_safe, 1, dated=True),
        "s1-grd": Archive(s1_grd, 1, dated=True),
        "s1-rtc": Archive(s1_rtc, 1, dated=True),
        "ssl4eo-v1": Archive(ssl4eo_v1, 3, dated=True),
        "ssl4eo-v1.1": Archive(ssl4eo_v1_1, 4, dated=True, write=write_zarr_files),
        "seco": Archive(seco, 1, dated=True),
        "sen12ms": Archive(sen12ms, 3),
        "dfc2020": Archive(dfc2020, 3),
        "bigearthnet-v1": Archive(bigearthnet_v1, 2),
        "bigearthnet-v2": Archive(bigearthnet_v2, 3),
        "terramesh": Archive(terramesh, 5),
        "eurosat-rgb": Archive(eurosat_rgb, 1),
        "eurosat-ms": Archive(eurosat_ms, 1),
        "so2sat": Archive(so2sat, 2, write=write_h5_files),
        "xyz": Archive(xyz, 1),
        "folder": Archive(folder_of_rasters, 3, dated=True, write=write_folder),
    }
)


def image_count(layout: str, plan: ArchivePlan) -> int:
    """How many images an archive has."""
    archive = ARCHIVES[layout]
    return plan.places * archive.a_place * (plan.dates if archive.dated else 1)


def write_archive(
    folder: Path, layout: str, plan: ArchivePlan, advance: Advance, *, overwrite: bool = False
) -> int:
    """Write an archive whole, or not at all.

    Args:
        layout: a key of ``ARCHIVES``.
        advance: told after each image.

    Returns: number of images.
    Raises:
        InputError: no such layout, or ``folder`` exists and ``overwrite`` is false.
        WorldError: the disk is full or failing.
    """
    if layout not in ARCHIVES:
        raise InputError(f"{layout}: no such layout; known ones are sat2map {' '.join(ARCHIVES)}")
    refuse_existing(folder, overwrite=overwrite)
    archive = ARCHIVES[layout]
    with whole_folder(folder) as partial:
        return archive.write(archive.images(plan), partial, advance)
