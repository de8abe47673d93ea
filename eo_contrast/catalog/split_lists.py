"""Split places by lists of names, one file a split, as publishers of archives give them.

A line names a place, or one of its images, with the name of the archive before it or without:
``bigearthnet-v1/S2A_MSIL2A_20170617T113321_36_85``, ``River_1.tif``. What follows a comma is
passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eo_contrast.catalog.splits import NAMES
from eo_contrast.config import nearest
from eo_contrast.errors import InputError

PICTURES = (".tif", ".tiff", ".jpg", ".jpeg", ".png")
"""Endings of files that names of places do not have."""

Places = Mapping[str, str | None]
"""The place of each name; None: the name is that of several."""


@dataclass(frozen=True)
class NameLists:
    """Files of names, by split."""

    files: Mapping[str, Path]

    def __post_init__(self) -> None:
        for split in self.files:
            if split not in NAMES:
                raise InputError(
                    f"--files {split}={self.files[split]}: no such split{nearest(split, NAMES)}; "
                    f"there are {', '.join(NAMES)}"
                )


def split_by_lists(
    lists: NameLists, images: Iterable[tuple[str, str]], say: Callable[[str], None]
) -> dict[str, str]:
    """Split of each place that is in a list; the others are left out.

    Args:
        images: id and place of each.
        say: takes a remark on names that are none of theirs.

    Raises: InputError: a list cannot be read or names no place of theirs, a name is that of
        several places, or a place is in two lists.
    """
    places = places_by_name(images)
    split: dict[str, str] = {}
    for name, file in lists.files.items():
        for place in _listed(file, places, say):
            other = split.setdefault(place, name)
            if other != name:
                raise InputError(
                    f"{file}: {place} is in {lists.files[other]}, too; a place is of one split, "
                    "take it out of one of the lists"
                )
    return split


def places_by_name(images: Iterable[tuple[str, str]]) -> Places:
    """The place of each name that it or an image of it goes by.

    Args:
        images: id and place of each.
    """
    found: dict[str, str | None] = {}
    whole: dict[str, str] = {}
    for image, place in images:
        whole[place] = place
        for name in (image, _without_archive(place), _without_archive(image)):
            found[name] = place if found.get(name, place) == place else None
    return {**found, **whole}


def read_names(file: Path) -> list[str]:
    """The first column of a file, each name once, without blank lines.

    Raises: InputError: it is missing, no text, or names nothing.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; give a list of places, one a line") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: is not readable as a list of places ({error})") from error
    names = [line.partition(",")[0].strip().strip('"') for line in lines]
    if not any(names):
        raise InputError(f"{file}: names no place; one a line is expected")
    return list(dict.fromkeys(name for name in names if name))


def _listed(file: Path, places: Places, say: Callable[[str], None]) -> list[str]:
    """The places that a file names."""
    names = read_names(file)
    spelled = {name: _spelled(name, places) for name in names}
    unknown = [name for name in names if spelled[name] not in places]
    if len(unknown) == len(names):
        like = next((f", as {place}" for place in places.values() if place), "")
        raise InputError(
            f"{file}: none of its {len(names)} names is in the catalogue, the first {names[0]}; "
            f"give names of its places{like}"
        )
    if unknown:
        few = f"{len(unknown)} of its {len(names)} names, the first {unknown[0]}"
        say(f"{file}: the catalogue lacks {few}")
    return [_only(file, spelled[name], places) for name in names if spelled[name] in places]


def _spelled(name: str, places: Places) -> str:
    """The name as places have it: of a file without its ending."""
    path = PurePosixPath(name)
    if name in places or path.suffix.lower() not in PICTURES:
        return name
    return str(path.with_suffix(""))


def _only(file: Path, name: str, places: Places) -> str:
    place = places[name]
    if place is None:
        raise InputError(
            f"{file}: {name} is the name of several places; write the archive's before it, "
            "as the catalogue does"
        )
    return place


def _without_archive(name: str) -> str:
    archive, _, rest = name.partition("/")
    return rest or archive
