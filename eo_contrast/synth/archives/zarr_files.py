"""SSL4EO-S12 v1.1: four kinds of images of up to 64 places at several dates in one Zarr 2 file."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eo_contrast.bands import L1C, L2A, REFLECTANCE_SCALE, VV_VH
from eo_contrast.errors import WorldError
from eo_contrast.progress import Advance
from eo_contrast.synth.archives.images import TIME, ArchivePlan, SyntheticImage, picture_of, sites
from eo_contrast.synth.radar import PIXEL_M
from eo_contrast.synth.sites import Raster, optical_bands, passes, radar_bands, skies
from eo_contrast.synth.world import CRS

PLACES_A_FILE = 64
BASELINE_4_ADDS = 1000
# Of each five places one is for validation.
VALIDATION = 5
YEARS = (2020, 2022)
FIRST_DATE_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def ssl4eo_v1_1(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Every kind of every place and date, all of 10 m on one grid."""
    seen = {"train": 0, "val": 0}
    for place, site in sites(plan):
        split = "val" if place % VALIDATION == VALIDATION - 1 else "train"
        sample = seen[split] % PLACES_A_FILE
        number = seen[split] // PLACES_A_FILE + 1
        seen[split] += 1
        year = YEARS[place % len(YEARS)]
        overflights = passes(plan.seed, place, plan.dates, year)
        for time, (sky, date) in enumerate(skies(plan.seed, place, plan.dates, year)):
            overflight, later = overflights[time]
            metres = dict.fromkeys(L1C, PIXEL_M)
            top = optical_bands(site, sky, "s2-l1c", metres, add=BASELINE_4_ADDS)
            metres = dict.fromkeys(L2A, PIXEL_M)
            surface = optical_bands(site, sky, "s2-l2a", metres, add=BASELINE_4_ADDS)
            radar = {
                name: Raster(raster.values.astype(np.float16), raster.transform)
                for name, raster in radar_bands(site, overflight).items()
            }
            for folder, product, bands, when in (
                ("S1GRD", "s1-grd", {name: radar[name] for name in VV_VH}, later),
                ("S2L1C", "s2-l1c", _signed(top), date),
                ("S2L2A", "s2-l2a", _signed(surface), date),
                ("S2RGB", "rgb", picture_of(surface), date),
            ):
                optical = product.startswith("s2")
                name = f"ssl4eos12_{split}_seasonal_data_{number:06}.zarr.zip"
                yield SyntheticImage(
                    files=(f"{split}/{folder}/{name}",),
                    part=(sample, time),
                    bands=bands,
                    product=product,
                    place=place,
                    date=when,
                    scale={"rgb": 1 / 255, "s1-grd": 1.0}.get(product, REFLECTANCE_SCALE),
                    offset=-BASELINE_4_ADDS if optical else 0.0,
                    split=split,
                )


def write_zarr_files(images: Iterator[SyntheticImage], root: Path, advance: Advance) -> int:
    """Gather the images of each file and write it when all of its places are there.

    Raises: WorldError: zarr is not installed, or the disk is full or failing.
    """
    if find_spec("zarr") is None:
        raise WorldError(
            f"{root}: needs the package zarr, of version 3: pip install 'eo-contrast[zarr]'"
        )
    waiting: dict[str, list[SyntheticImage]] = defaultdict(list)
    done = 0
    for done, image in enumerate(images, start=1):
        name = image.files[0]
        folder = name.rpartition("/")[0]
        for full in [other for other in waiting if other.startswith(folder) and other != name]:
            _write_file(root / full, waiting.pop(full))
        waiting[name].append(image)
        advance(done, image.product)
    for name, gathered in waiting.items():
        _write_file(root / name, gathered)
    return done


def _signed(bands: dict[str, Raster]) -> dict[str, Raster]:
    return {
        name: Raster(each.values.astype(np.int16), each.transform) for name, each in bands.items()
    }


def _write_file(path: Path, images: Sequence[SyntheticImage]) -> None:
    import xarray

    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 1 + max(image.part[0] for image in images)
    times = 1 + max(image.part[1] for image in images)
    # In the order of sample and time, as they were drawn.
    stacks = np.stack([np.stack([each.values for each in one.bands.values()]) for one in images])
    firsts = images[::times]
    dates = np.array([image.date.replace(tzinfo=None) for image in images if image.date])
    names = [f"{image.place:07}" for image in firsts]
    grids = [next(iter(image.bands.values())).transform for image in firsts]
    _, bands, height, width = stacks.shape
    radar = images[0].product == "s1-grd"
    stored = [name.lower() if radar else name for name in images[0].bands]
    dataset = xarray.Dataset(
        {
            "bands": (
                ("sample", "time", "band", "y", "x"),
                stacks.reshape(samples, times, bands, height, width),
            ),
            "crs": ("sample", np.full(samples, int(CRS.split(":")[1]))),
            "file_id": (("sample", "time"), _ids(images, samples, times)),
            "time_": (("sample", "time"), dates.astype("datetime64[ns]").reshape(samples, times)),
            "x_": (("sample", "x"), [_middles(g.c, g.a, width) for g in grids]),
            "y_": (("sample", "y"), [_middles(g.f, g.e, height) for g in grids]),
        },
        coords={"band": stored, "sample": names, "time": np.arange(times)},
    )
    with TemporaryDirectory(dir=path.parent) as folder:
        dataset.to_zarr(
            folder,
            mode="w",
            zarr_format=2,
            consolidated=False,
            encoding={"bands": {"chunks": (1, 1, bands, height, width)}},
        )
        _zip(Path(folder), path)


def _ids(images: Sequence[SyntheticImage], samples: int, times: int) -> np.ndarray[Any, Any]:
    ids = [f"{image.date:{TIME}}_{image.place:07}" for image in images]
    return np.array(ids).reshape(samples, times)


def _middles(start: float, step: float, count: int) -> np.ndarray[Any, Any]:
    return start + step * (np.arange(count) + 0.5)


def _zip(folder: Path, path: Path) -> None:
    """All files of a folder, stored; equal files give equal bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = file.relative_to(folder).as_posix()
            archive.writestr(zipfile.ZipInfo(name, FIRST_DATE_OF_ZIP), file.read_bytes())
