"""What names of files and folders tell, in several layouts alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from eo_contrast.bands import band_name
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


def by_band(files: Iterable[Path]) -> dict[str, Path]:
    """Files named by their band, in whatever spelling; others are left out."""
    found = {}
    for path in sorted(files):
        try:
            found[band_name(path.stem)] = path
        except InputError:
            continue
    return found
