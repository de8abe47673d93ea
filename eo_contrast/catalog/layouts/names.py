"""What names of files and folders tell, in several layouts alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from eo_contrast.bands import band_name
from eo_contrast.catalog.images import Skipped
from eo_contrast.errors import InputError

_TIME = re.compile(r"\d{8}T\d{6}")
TIME_FORMAT = "%Y%m%dT%H%M%S"


def time_in(name: str) -> datetime | None:
    """The first time in a name, as 20200604T054639, in UTC; None: there is none that exists."""
    found = _TIME.search(name)
    if found is None:
        return None
    try:
        return datetime.strptime(found[0], TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def dated_bands(
    scene: Path, expected: Sequence[str]
) -> tuple[tuple[Path, ...], datetime] | Skipped:
    """A scene's file of each expected band, and the time in its folder's name; or what lacks."""
    found = by_band(scene.glob("*.tif"))
    missing = [name for name in expected if name not in found]
    if missing:
        return Skipped(scene, f"bands {' '.join(missing)} are missing")
    date = time_in(scene.name)
    if date is None:
        return Skipped(scene, "the name of the folder has no time, as in 20200604T054639")
    return tuple(found[name] for name in expected), date


def by_band(files: Iterable[Path]) -> dict[str, Path]:
    """Files named by their band, in whatever spelling; others are left out."""
    found = {}
    for path in sorted(files):
        try:
            found[band_name(path.stem)] = path
        except InputError:
            continue
    return found
