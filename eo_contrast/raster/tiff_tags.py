"""The text that GDAL keeps of a raster's tags inside a TIFF, replaced without moving a byte.

GDAL's copies keep either the bands' plain tags or the tags of other domains, never both, and
a cloud-optimised file that is opened for update is none any more.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

GDAL_METADATA = 42112
END = "</GDALMetadata>"


def read_metadata_text(path: Path) -> str:
    """The XML in the first image's GDAL_METADATA tag; empty where there is none."""
    with path.open("rb") as file:
        place = _place(file)
        if place is None:
            return ""
        offset, length = place
        file.seek(offset)
        return file.read(length).rstrip(b"\0").decode()


def replace_metadata_text(path: Path, text: str) -> None:
    """Write ``text`` where the GDAL_METADATA tag's XML is, filled up with spaces.

    Raises: ValueError: there is no such tag, or it is shorter than ``text``.
    """
    content = text.rstrip("\0\n ").removesuffix(END).encode()
    with path.open("r+b") as file:
        place = _place(file)
        offset, length = place or (0, 0)
        room = length - len(content) - len(END) - 1
        if room < 0:
            raise ValueError(f"{path}: its tags have {length} bytes, too few for {len(content)}")
        file.seek(offset)
        file.write(content + b" " * room + END.encode() + b"\0")


def _place(file: BinaryIO) -> tuple[int, int] | None:
    """Offset and length of the tag's text in a little-endian TIFF, classic or big."""
    big = file.read(4) == b"II\x2b\0"
    number, count, entry, first = ("Q", "Q", "<HHQQ", 8) if big else ("I", "H", "<HHII", 4)
    file.seek(first)
    (directory,) = _unpacked(file, f"<{number}")
    file.seek(directory)
    (entries,) = _unpacked(file, f"<{count}")
    for _ in range(entries):
        tag, _kind, length, offset = _unpacked(file, entry)
        if tag == GDAL_METADATA:
            return offset, length
    return None


def _unpacked(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))
