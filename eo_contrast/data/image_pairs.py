"""Folders of satellite (A) and map (B) images: what is there, and its pixels.

Three layouts are known. ``split`` names the folder, or several joined by ``+``:

- **aligned**: ``root/train/*.jpg``, satellite and map side by side in one file;
- **folders**: ``root/trainA/*`` and ``root/trainB/*``; ``test`` falls back to ``valA``, ``valB``;
- **tiles**: ``root/train/satellite/*`` and ``root/train/map/*``, or ``root/satellite/*`` and
  ``root/map/*`` where there are no splits; usually ``z/x/y.png`` below.

``root/pairs.csv`` (columns ``file`` and ``tag``) may give each image a tag to balance by.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eo_contrast.errors import InputError
from eo_contrast.raster.tile_names import Tile, tiles_from_names

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
MEMORY_LIMIT_BYTES = 512 * 2**20

Side = Literal["left", "right"]
Part = Literal["whole", "left", "right"]
Layout = Literal["aligned", "folders", "tiles"]


@dataclass(frozen=True)
class ImageRef:
    """One image of one domain, possibly half of a side-by-side file.

    ``tag`` comes from ``pairs.csv``, "" where there is none. ``tile`` is the web-mercator
    address where all names of the folder are addresses, else None.
    """

    path: Path
    part: Part
    tag: str
    tile: Tile | None


ReadImage = Callable[[ImageRef], NDArray[np.uint8]]


def read_image(ref: ImageRef) -> NDArray[np.uint8]:
    """Pixels of ``ref`` as RGB, shape (H, W, 3). Grey and palette images are expanded.

    Raises:
        InputError: not an image, damaged, more than 8 bits a channel, or a side-by-side
            file of odd width.
    """
    try:
        with Image.open(ref.path) as image:
            if image.mode not in EIGHT_BIT_MODES:
                raise InputError(
                    f"{ref.path}: pixels of type {image.mode}, expected 8 bits a channel; "
                    "scale it to 8-bit RGB first"
                )
            half = _half_width(ref.path, image.width) if ref.part != "whole" else image.width
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{ref.path}: not readable as an image ({error}); replace or remove it"
        ) from error
    return pixels[:, half:] if ref.part == "right" else pixels[:, :half]


@dataclass(frozen=True)
class ImagePairs:
    """The satellite images ``a`` and map images ``b`` of a split.

    ``paired``: a[i] and b[i] show the same ground. ``read`` gives an image's pixels.
    """

    layout: Layout
    a: tuple[ImageRef, ...]
    b: tuple[ImageRef, ...]
    paired: bool
    read: ReadImage = read_image


def find_image_pairs(root: Path, split: str, *, satellite_side: Side = "left") -> ImagePairs:
    """List the images of ``split`` in order of their names as strings (1, 10, 100, 2).

    >>> pairs = eo_contrast.find_image_pairs(Path("sat2map"), "train")
    >>> len(pairs.a), pairs.paired
    (6, True)

    Args:
        root: the data set's folder.
        split: ``train``, ``test``, ...; several are joined by ``+``: ``train+train-more``.
        satellite_side: which half of a side-by-side file is the satellite image.

    Raises:
        InputError: no such folder, no images, splits of different layouts, a side-by-side
            file of odd width, two images of one pair that differ in size, or a damaged
            ``pairs.csv``.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of images")
    names = [name.strip() for name in split.split("+")]
    if not all(names) or len(set(names)) != len(names):
        raise InputError(f"split '{split}': expected names of folders in {root}, each once")
    parts = [_find_split(root, name, satellite_side, _read_tags(root)) for name in names]
    layouts = {part.layout for part in parts}
    if len(layouts) > 1:
        raise InputError(f"{root}: the splits {split} mix layouts ({', '.join(sorted(layouts))})")
    return ImagePairs(
        layout=parts[0].layout,
        a=tuple(ref for part in parts for ref in part.a),
        b=tuple(ref for part in parts for ref in part.b),
        paired=all(part.paired for part in parts),
    )


def keep_in_memory(pairs: ImagePairs, limit_bytes: int = MEMORY_LIMIT_BYTES) -> ImagePairs:
    """The same pairs, whose images are decoded once and then kept, up to ``limit_bytes``.

    Images beyond the limit are decoded at each reading: training visits all images equally
    often, so keeping the first ones serves as well as keeping the latest. Safe to read from
    several threads. The arrays are read-only.
    """
    kept: dict[ImageRef, NDArray[np.uint8]] = {}
    room = limit_bytes

    def read(ref: ImageRef) -> NDArray[np.uint8]:
        """The kept image, or a decoded one."""
        nonlocal room
        found = kept.get(ref)
        if found is not None:
            return found
        pixels = np.ascontiguousarray(pairs.read(ref))
        pixels.flags.writeable = False
        if pixels.nbytes <= room:
            room -= pixels.nbytes
            kept[ref] = pixels
        return pixels

    return replace(pairs, read=read)


def read_pair(pairs: ImagePairs, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Satellite and map image of one place, each of shape (H, W, 3).

    Raises:
        InputError: the split is not paired, or the two differ in size.
    """
    if not pairs.paired:
        raise InputError(
            f"{pairs.a[0].path.parent}: satellite and map images do not have equal names, "
            "so they are no pairs; name both images of a place alike"
        )
    a, b = pairs.read(pairs.a[index]), pairs.read(pairs.b[index])
    if a.shape != b.shape:
        raise _unequal_sizes(pairs.a[index], a.shape[1::-1], b.shape[1::-1])
    return a, b


def _find_split(root: Path, split: str, satellite_side: Side, tags: dict[str, str]) -> ImagePairs:
    # Without a folder for each split, all tiles are for training: nothing is held out.
    for base in (root / split, root) if split == "train" else (root / split,):
        if (base / "satellite").is_dir() and (base / "map").is_dir():
            return _two_folders(root, base / "satellite", base / "map", tags, "tiles")
    for prefix in (split, "val") if split == "test" else (split,):
        folder_a, folder_b = root / f"{prefix}A", root / f"{prefix}B"
        if folder_a.is_dir() and folder_b.is_dir():
            return _two_folders(root, folder_a, folder_b, tags, "folders")
    if (root / split).is_dir():
        return _side_by_side(root, root / split, satellite_side, tags)
    found = sorted(path.name for path in root.iterdir() if path.is_dir())
    raise InputError(
        f"{root}: no images of split '{split}'; expected a folder {split}/ of side-by-side files, "
        f"{split}A/ and {split}B/, or satellite/ and map/; found {', '.join(found) or 'no folder'}"
    )


def _side_by_side(
    root: Path, folder: Path, satellite_side: Side, tags: dict[str, str]
) -> ImagePairs:
    files = _image_files(folder)
    for file in files:
        _half_width(file, _image_size(file)[0])
    map_side: Side = "right" if satellite_side == "left" else "left"
    return ImagePairs(
        layout="aligned",
        a=_references(root, folder, files, satellite_side, tags),
        b=_references(root, folder, files, map_side, tags),
        paired=True,
    )


def _two_folders(
    root: Path, folder_a: Path, folder_b: Path, tags: dict[str, str], layout: Layout
) -> ImagePairs:
    files_a, files_b = _image_files(folder_a), _image_files(folder_b)
    places_a = [file.relative_to(folder_a).with_suffix("") for file in files_a]
    places_b = [file.relative_to(folder_b).with_suffix("") for file in files_b]
    pairs = ImagePairs(
        layout=layout,
        a=_references(root, folder_a, files_a, "whole", tags),
        b=_references(root, folder_b, files_b, "whole", tags),
        paired=places_a == places_b,
    )
    if pairs.paired:
        for a, b in zip(pairs.a, pairs.b, strict=True):
            size_a, size_b = _image_size(a.path), _image_size(b.path)
            if size_a != size_b:
                raise _unequal_sizes(a, size_a, size_b)
    return pairs


def _image_files(folder: Path) -> list[Path]:
    files = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        raise InputError(
            f"{folder}: holds no image; expected files ending in {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    # By name without suffix, so that 1.jpg of A and 1.png of B take the same place in the order.
    return sorted(files, key=lambda path: (_name(path.with_suffix(""), folder), path.suffix))


def _references(
    root: Path, folder: Path, files: Sequence[Path], part: Part, tags: dict[str, str]
) -> tuple[ImageRef, ...]:
    tiles = tiles_from_names([_name(file, folder) for file in files])
    return tuple(
        ImageRef(file, part, tags.get(_name(file, root), ""), tile)
        for file, tile in zip(files, tiles, strict=True)
    )


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _read_tags(root: Path) -> dict[str, str]:
    table = root / "pairs.csv"
    if not table.is_file():
        return {}
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not readable as a table ({error})") from error
    if rows and not {"file", "tag"} <= rows[0].keys():
        raise InputError(f"{table}: has columns {', '.join(rows[0])}; needs 'file' and 'tag'")
    return {PurePosixPath(row["file"]).as_posix(): row["tag"] or "" for row in rows if row["file"]}


def _image_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: not readable as an image ({error}); replace or remove it"
        ) from error


def _half_width(path: Path, width: int) -> int:
    if width % 2:
        raise InputError(
            f"{path}: {width} pixels wide, which does not divide into two halves; "
            "side-by-side files have an even width"
        )
    return width // 2


def _unequal_sizes(ref: ImageRef, size_a: Sequence[int], size_b: Sequence[int]) -> InputError:
    return InputError(
        f"{ref.path}: the satellite image has {size_a[0]}x{size_a[1]} pixels, its map "
        f"{size_b[0]}x{size_b[1]}; both images of a pair must have one size"
    )
