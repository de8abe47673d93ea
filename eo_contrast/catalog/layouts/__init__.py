"""The archive layouts that are known: one module each, with ``recognises`` and ``scan``.

``recognises(root)`` says whether the folder looks like the layout; it looks at few names.
``scan(root)`` gives each image, or why it is skipped, in order of names; no pixel is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from eo_contrast.catalog.headers import Describe, describe_rasters
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts import (
    bigearthnet,
    eurosat,
    folder,
    monthly,
    roi_patches,
    s1_grd,
    s1_rtc,
    s2_safe,
    sat2map,
    seco,
    so2sat,
    ssl4eo_v1,
    ssl4eo_v1_1,
    terramesh,
    xyz,
)
from eo_contrast.catalog.pictures import read_picture
from eo_contrast.catalog.reading import Read, read_rasters
from eo_contrast.errors import InputError

FOLDER = "folder"


@dataclass(frozen=True)
class Layout:
    """How an archive lies on disk.

    Attributes:
        expects: what its root holds, for messages.
        describe: an image, from the headers of its files.
        read: bands of an image of the catalogue.
        accepts: whether a folder will do that is said to be of the layout; None: as it is
            recognised.
    """

    recognises: Callable[[Path], bool]
    scan: Callable[[Path], Iterator[Image | Skipped]]
    expects: str
    describe: Describe = describe_rasters
    read: Read = read_rasters
    accepts: Callable[[Path], bool] | None = None


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "s2-safe": Layout(s2_safe.recognises, s2_safe.scan, s2_safe.EXPECTS),
        "s1-grd": Layout(
            s1_grd.recognises, s1_grd.scan, s1_grd.EXPECTS, s1_grd.describe, s1_grd.read
        ),
        "s1-rtc": Layout(s1_rtc.recognises, s1_rtc.scan, s1_rtc.EXPECTS),
        "ssl4eo-v1": Layout(ssl4eo_v1.recognises, ssl4eo_v1.scan, ssl4eo_v1.EXPECTS),
        "ssl4eo-v1.1": Layout(
            ssl4eo_v1_1.recognises,
            ssl4eo_v1_1.scan,
            ssl4eo_v1_1.EXPECTS,
            ssl4eo_v1_1.describe,
            ssl4eo_v1_1.read,
        ),
        "seco": Layout(seco.recognises, seco.scan, seco.EXPECTS),
        "sen12ms": Layout(
            roi_patches.recognises_sen12ms, roi_patches.scan_sen12ms, roi_patches.EXPECTS_SEN12MS
        ),
        "dfc2020": Layout(
            roi_patches.recognises_dfc2020, roi_patches.scan_dfc2020, roi_patches.EXPECTS_DFC2020
        ),
        "bigearthnet-v1": Layout(
            bigearthnet.recognises_v1, bigearthnet.scan_v1, bigearthnet.EXPECTS_V1
        ),
        "bigearthnet-v2": Layout(
            bigearthnet.recognises_v2, bigearthnet.scan_v2, bigearthnet.EXPECTS_V2
        ),
        "terramesh": Layout(terramesh.recognises, terramesh.scan, terramesh.EXPECTS),
        "eurosat-rgb": Layout(eurosat.recognises_rgb, eurosat.scan_rgb, eurosat.EXPECTS_RGB),
        "eurosat-ms": Layout(eurosat.recognises_ms, eurosat.scan_ms, eurosat.EXPECTS_MS),
        "so2sat": Layout(
            so2sat.recognises, so2sat.scan, so2sat.EXPECTS, so2sat.describe, so2sat.read
        ),
        "sat2map": Layout(
            sat2map.recognises, sat2map.scan, sat2map.EXPECTS, sat2map.describe, read_picture
        ),
        "xyz": Layout(xyz.recognises, xyz.scan, xyz.EXPECTS, xyz.describe, read_picture),
        "cropharvest": Layout(
            monthly.recognises_cropharvest,
            monthly.scan_cropharvest,
            monthly.EXPECTS_CROPHARVEST,
            monthly.describe_cropharvest,
            monthly.read_cropharvest,
        ),
        "worldcereal": Layout(
            monthly.recognises_worldcereal,
            monthly.scan_worldcereal,
            monthly.EXPECTS_WORLDCEREAL,
            monthly.describe_worldcereal,
            monthly.read_worldcereal,
        ),
        FOLDER: Layout(
            folder.recognises, folder.scan, folder.EXPECTS, folder.describe, accepts=folder.accepts
        ),
    }
)


def find_layout(root: Path, wanted: str) -> tuple[str, Layout]:
    """The layout named ``wanted``; for ``auto`` the one that the folder looks like.

    Raises: InputError: no such folder, it is empty, no such layout, or the folder does not
        look like it (or, for ``auto``, like exactly one).
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the root of an archive")
    if not any(root.iterdir()):
        raise InputError(f"{root}: is empty; give the root of an archive")
    if wanted != "auto":
        if wanted not in LAYOUTS:
            raise InputError(f"--layout {wanted}: unknown; known ones are {' '.join(LAYOUTS)}")
        layout = LAYOUTS[wanted]
        if not (layout.accepts or layout.recognises)(root):
            raise InputError(
                f"{root}: does not look like {wanted}, which has {layout.expects}; found "
                f"{_names(root)}"
            )
        return wanted, layout
    alike = [name for name, layout in LAYOUTS.items() if layout.recognises(root)]
    if len(alike) != 1:
        what = f"looks like {' and '.join(alike)}" if alike else "looks like no layout"
        raise InputError(
            f"{root}: {what} (it has {_names(root)}); give --layout, one of {' '.join(LAYOUTS)}"
        )
    return alike[0], LAYOUTS[alike[0]]


def _names(root: Path, most: int = 5) -> str:
    names = sorted(path.name for path in root.iterdir())
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
