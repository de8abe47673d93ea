"""Whether a file ends before its last pixels, told without decoding any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# None of them occurs within the pixels' own bytes.
_ENDS = {
    ".jpg": b"\xff\xd9",
    ".jpeg": b"\xff\xd9",
    ".jp2": b"\xff\xd9",
    ".png": b"IEND\xaeB`\x82",
}
# What cameras and editors append behind the end.
_TAIL = 64 * 1024


def truncated(path: Path, dataset: Any = None) -> str:
    """Why a file cannot be whole; empty: it may be.

    Args:
        dataset: of rasterio, opened on it: of a TIFF the last block must end within the file.
            Pictures must have their format's end mark.
    """
    size = path.stat().st_size
    mark = _ENDS.get(path.suffix.lower())
    if mark is not None:
        with path.open("rb") as file:
            file.seek(max(0, size - _TAIL))
            whole = mark in file.read()
        return "" if whole else f"is cut short: no end mark in its {size} bytes"
    if dataset is None or dataset.driver != "GTiff":
        return ""
    end = _end_of_last_block(dataset)
    return f"is cut short: {size} bytes, and its last block ends at {end}" if end > size else ""


def _end_of_last_block(dataset: Any) -> int:
    """Byte behind the last block of the last band; 0: it is sparse, or not told."""
    height, width = dataset.block_shapes[-1]
    name = f"{(dataset.width - 1) // width}_{(dataset.height - 1) // height}"
    offset, length = (
        dataset.get_tag_item(f"BLOCK_{what}_{name}", "TIFF", bidx=dataset.count)
        for what in ("OFFSET", "SIZE")
    )
    return int(offset) + int(length) if offset and length else 0
