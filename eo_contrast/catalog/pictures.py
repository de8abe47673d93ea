"""Pictures of eight bits a channel: tiles of a web map, and photo and map side by side.

Grey, palette and transparent ones are shown as red, green and blue; what is transparent has no
data. Their position, where they have one, is told by their name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from rasterio.crs import CRS
from rasterio.transform import Affine

from eo_contrast.catalog.grids import Grid, Row, grid_of, part_under
from eo_contrast.catalog.headers import Described, described
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.reading import Stored, physical, refuse_unplaced
from eo_contrast.errors import InputError
from eo_contrast.raster.tile_names import Tile, tile_transform
from eo_contrast.raster.truncation import truncated

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
COLOURS = ("red", "green", "blue")
SCALE = 1 / 255
WEB_MERCATOR = "EPSG:3857"

_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})


def is_picture(path: Path) -> bool:
    """Whether a file's name ends as a picture's."""
    return path.suffix.lower() in SUFFIXES


def describe_picture(path: Path, *, tile: Tile | None, halves: int = 1) -> Described | Skipped:
    """Size and position of a picture, or of one of the ``halves`` parts side by side in it.

    Raises: InputError: it is no picture.
    """
    with _opened(path) as picture:
        (width, height), mode = picture.size, picture.mode
    fault = truncated(path)
    if fault:
        return Skipped(path, fault)
    if mode not in _EIGHT_BIT_MODES:
        return Skipped(path, f"pixels of type {mode}, 8 bits a channel expected")
    if width % halves:
        return Skipped(
            path, f"is {width} pixels wide; two pictures side by side need an even width"
        )
    width //= halves
    if tile is None:
        return described(None, None, height, width, "uint8")
    transform = Affine(*tile_transform(tile, width, height))
    return described(CRS.from_user_input(WEB_MERCATOR), transform, height, width, "uint8")


def read_picture(row: Row, places: Sequence[int], onto: Grid) -> Iterator[Stored]:
    """Read colours of a picture; the row's part, if any, is its number among those side by side.

    Raises: InputError: it is gone or damaged.
    """
    path, whole = Path(row["href"]), grid_of(row)
    refuse_unplaced(path, whole, onto)
    top, bottom, left, right = part_under(onto, whole)
    begin = (row["part"][0] if row["part"] else 0) * whole.width
    colours, valid = _pixels(path, (begin + left, top, begin + right, bottom))
    part = whole.window(top, left, bottom - top, right - left)
    for place in places:
        yield Stored(physical(row, colours[place], valid), part)


def _pixels(
    path: Path, box: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Red, green and blue (3, rows, columns) of a box, and where it is not transparent."""
    with _opened(path) as picture:
        cropped = picture.crop(box)
        seen = cropped.has_transparency_data
        pixels = np.moveaxis(np.asarray(cropped.convert("RGBA" if seen else "RGB")), -1, 0)
    valid = pixels[3] > 0 if seen else np.ones(pixels.shape[1:], dtype=bool)
    return pixels[:3], valid


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    try:
        with Pillow.open(path) as picture:
            yield picture
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; was it moved since ingest?") from error
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise InputError(f"{path}: is not readable as a picture ({error})") from error


def picture(
    path: Path,
    *,
    id: str,
    place_id: str,
    product: str = "rgb",
    split: str = "",
    label: str = "",
    part: tuple[int, ...] = (),
) -> Image:
    """An image of a catalogue that is a picture, or one of those side by side in it."""
    return Image(
        id=id,
        place_id=place_id,
        sensor="rgb",
        product=product,
        bands=COLOURS,
        files=(path,),
        part=part,
        scale=SCALE,
        split=split,
        label=label,
    )
