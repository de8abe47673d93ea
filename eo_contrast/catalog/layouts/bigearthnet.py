"""BigEarthNet v1 and v2 (reBEN): patches of 1.2 km, one TIFF a band.

v1: ``<patch>/<patch>_B02.tif`` with ``<patch>_labels_metadata.json``, alone or in folders
``BigEarthNet-v1.0`` and ``BigEarthNet-S1-v1.0``. v2: ``BigEarthNet-S2/<product>/<patch>/``,
``BigEarthNet-S1/<product>/<patch>/``, ``Reference_Maps/<product>/<patch>/`` and, if it is there,
``metadata.parquet`` with labels, split and the radar patch of each optical one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from eo_contrast.bands import ORDERS, REFLECTANCE_SCALE
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts.names import time_in
from eo_contrast.errors import InputError

EXPECTS_V1 = "folders S2A_MSIL2A_..., or BigEarthNet-v1.0 and BigEarthNet-S1-v1.0 of them"
EXPECTS_V2 = "folders BigEarthNet-S2, BigEarthNet-S1 and Reference_Maps"
V1_FOLDERS = ("", "BigEarthNet-v1.0", "BigEarthNet-S1-v1.0")
V2_FOLDERS = ("BigEarthNet-S1", "BigEarthNet-S2", "Reference_Maps")
TABLE = "metadata.parquet"

_OPTICAL = re.compile(r"S2[A-D]_MSIL2A_(?P<time>\d{8}T\d{6})_(?P<place>(\w+_)?\d{1,2}_\d{1,2})")
_RADAR = re.compile(r"S1[A-D]_IW_GRDH_1SDV_(?P<time>\d{8}T\d{6})_(?P<place>(\w+_)?\d{1,2}_\d{1,2})")
_MGRS = re.compile(r"T?(\d{2}[A-Z]{3})_(\d+)_(\d+)$")


@dataclass(frozen=True)
class Told:
    """What the archive's own table says of a patch."""

    labels: str = ""
    split: str = ""


def recognises_v1(root: Path) -> bool:
    """Whether patches lie in the root or in a folder of v1."""
    return any(_is_patch(path) for name in V1_FOLDERS for path in _folders(root / name))


def recognises_v2(root: Path) -> bool:
    """Whether one of v2's folders is there."""
    return any((root / name).is_dir() for name in V2_FOLDERS)


def scan_v1(root: Path) -> Iterator[Image | Skipped]:
    """The patches of v1, the radar ones at the place of their optical partner."""
    for name in V1_FOLDERS:
        for patch in _folders(root / name):
            if _is_patch(patch):
                yield _v1_patch(patch)


def scan_v2(root: Path) -> Iterator[Image | Skipped]:
    """The patches and reference maps of v2."""
    told, partners = _table(root / TABLE)
    for name in V2_FOLDERS:
        for product in _folders(root / name):
            for patch in _folders(product):
                place = partners.get(patch.name, patch.name)
                known = told.get(place, Told())
                if name == "Reference_Maps":
                    yield _reference_map(patch, place, known)
                else:
                    yield _patch(patch, "bigearthnet-v2", place, known)


def _v1_patch(patch: Path) -> Image | Skipped:
    path = patch / f"{patch.name}_labels_metadata.json"
    try:
        facts = json.loads(path.read_text()) if path.is_file() else {}
        labels = ";".join(facts.get("labels", ()))
        place = facts.get("corresponding_s2_patch", patch.name)
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
        return Skipped(path, f"is not readable as a patch's metadata ({error})")
    return _patch(patch, "bigearthnet-v1", place, Told(labels=labels))


def _patch(patch: Path, layout: str, place: str, told: Told) -> Image | Skipped:
    optical = _OPTICAL.fullmatch(patch.name)
    match = optical or _RADAR.fullmatch(patch.name)
    if match is None:
        return Skipped(patch, "the name is that of no patch, as S2A_MSIL2A_20170617T113321_36_85")
    expected = ORDERS["bigearthnet-s2" if optical else "bigearthnet-s1"]
    files = tuple(patch / f"{patch.name}_{band}.tif" for band in expected)
    missing = [band for band, path in zip(expected, files, strict=True) if not path.is_file()]
    if missing:
        return Skipped(patch, f"bands {' '.join(missing)} are missing")
    return Image(
        id=f"{layout}/{patch.name}",
        place_id=f"{layout}/{_place(place)}",
        sensor="s2" if optical else "s1",
        product="s2-l2a" if optical else "s1-grd",
        bands=expected,
        files=files,
        date=time_in(match["time"]),
        scale=REFLECTANCE_SCALE if optical else 1.0,
        nodata=0 if optical else None,
        split=told.split,
        label=told.labels,
    )


def _reference_map(patch: Path, place: str, told: Told) -> Image | Skipped:
    path = patch / f"{patch.name}_reference_map.tif"
    match = _OPTICAL.fullmatch(patch.name)
    if not path.is_file() or match is None:
        return Skipped(patch, f"no {path.name}")
    return Image(
        id=f"bigearthnet-v2/{patch.name}/reference_map",
        place_id=f"bigearthnet-v2/{_place(place)}",
        sensor="label",
        product="label",
        bands=("corine",),
        files=(path,),
        date=time_in(match["time"]),
        nodata=0,
        split=told.split,
        label=told.labels,
    )


def _place(patch: str) -> str:
    """The tile and the patch's row and column in it, where the name has them; else the name."""
    found = _MGRS.search(patch)
    return "_".join(found.groups()) if found else patch


def _table(path: Path) -> tuple[Mapping[str, Told], Mapping[str, str]]:
    """What is told of each optical patch, and the optical partner of each radar patch.

    Raises: InputError: the table is damaged or has other columns.
    """
    if not path.is_file():
        return {}, {}
    columns = ["patch_id", "s1_name", "labels", "split"]
    try:
        present = pq.read_schema(path).names
        absent = [name for name in columns if name not in present]
        rows = [] if absent else pq.read_table(path, columns=columns).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: is not readable as a table of patches ({error})") from error
    if absent:
        raise InputError(f"{path}: has no columns {' '.join(absent)}")
    names = {"validation": "val"}
    told = {
        row["patch_id"]: Told(
            ";".join(row["labels"] or ()), names.get(row["split"] or "", row["split"] or "")
        )
        for row in rows
    }
    return told, {row["s1_name"]: row["patch_id"] for row in rows if row["s1_name"]}


def _is_patch(path: Path) -> bool:
    return bool(_OPTICAL.fullmatch(path.name) or _RADAR.fullmatch(path.name))


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir())
