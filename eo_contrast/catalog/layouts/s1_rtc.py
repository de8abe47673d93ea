"""Sentinel-1 on a map grid: one GeoTIFF a polarisation, or one for both.

Any folders of files whose names hold a mission (S1A .. S1D), a time and a polarisation, as
``S1A_IW_GRDH_1SDV_<time>_..._rtc_vv.tif`` (Planetary Computer, ASF) or
``S1A__IW___A_<time>_VV_grd_mli_geo_norm_db.tif`` (pyroSAR). Decibel where the name ends so, else
linear power.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from eo_contrast.bands import VV_VH
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts.names import time_in

EXPECTS = "GeoTIFFs with S1A, a time and VV or VH in their names"

_MISSION = re.compile(r"S1[A-D](?=_)")
_POLARISATION = re.compile(r"(?<![A-Za-z])(VV|VH|vv|vh)(?![A-Za-z])")
_DECIBEL = re.compile(r"(?<![a-z])db(?![a-z])", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Whether a file of such a name lies in the root or one folder below."""
    return any(_fits(path) for pattern in ("*.tif", "*/*.tif") for path in root.glob(pattern))


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every scene, the files of its polarisations together."""
    scenes: dict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
    for path in sorted(root.rglob("*.tif")):
        if not _fits(path):
            continue
        name = _POLARISATION.search(path.stem)
        assert name is not None  # checked by _fits
        rest = path.stem[: name.start()] + path.stem[name.end() :]
        scenes[path.parent, rest][name[0].upper()] = path
    for (folder, rest), files in scenes.items():
        yield _image(folder, rest, files, root)


def _image(folder: Path, rest: str, files: dict[str, Path], root: Path) -> Image | Skipped:
    order = [name for name in VV_VH if name in files]
    date = time_in(rest)
    if date is None:
        return Skipped(files[order[0]], "the name has no time, as in 20200604T054639")
    stem = re.sub("_+", "_", rest).strip("_")
    inside = folder.relative_to(root).as_posix()
    place = inside if inside != "." else stem
    return Image(
        id=f"s1-rtc/{stem}" if inside == "." else f"s1-rtc/{inside}/{stem}",
        place_id=f"s1/{place}",
        sensor="s1",
        product="s1-rtc" if "rtc" in rest.lower() else "s1-grd",
        bands=tuple(order),
        files=tuple(files[name] for name in order),
        date=date,
        unit="dB" if _DECIBEL.search(rest) else "linear",
    )


def _fits(path: Path) -> bool:
    return bool(_MISSION.search(path.stem) and _POLARISATION.search(path.stem))
