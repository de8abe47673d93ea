"""Tiles of a web map: ``<z>/<x>/<y>.png``, or quadkeys; what is of a shallower zoom is left out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from eo_contrast.catalog.headers import Described
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.pictures import describe_picture, is_picture, picture
from eo_contrast.errors import InputError
from eo_contrast.raster.tile_names import SHORTEST_QUADKEY, Tile, tiles_from_names

EXPECTS = "folders <z>/<x> of tiles <y>.png, or tiles named by quadkey"

_LOOKED_AT = 64


def recognises(root: Path) -> bool:
    """Whether the first folders are numbers down to a tile, or the files' names are quadkeys."""
    columns = (path for path in root.glob("[0-9]*/[0-9]*") if path.parent.name.isdecimal())
    for folder in islice(columns, _LOOKED_AT):
        if folder.is_dir() and folder.name.isdecimal():
            return any(path.stem.isdecimal() and is_picture(path) for path in folder.iterdir())
    return any(_is_quadkey(path) for path in islice(root.iterdir(), _LOOKED_AT))


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every tile of the deepest zoom; a shallower one shows the same ground once more."""
    paths = sorted(filter(is_picture, root.rglob("*")))
    tiles = tiles_from_names([path.relative_to(root).as_posix() for path in paths])
    if None in tiles:
        raise InputError(f"{root}: a picture in it is named as no tile; take it out")
    placed = [(path, tile) for path, tile in zip(paths, tiles, strict=True) if tile is not None]
    deepest = max((tile.z for _, tile in placed), default=0)
    for path, tile in placed:
        if tile.z < deepest:
            yield Skipped(path, f"of zoom {tile.z}; its ground is shown by zoom {deepest}")
        else:
            name = f"xyz/{tile.z}/{tile.x}/{tile.y}"
            yield picture(path, id=name, place_id=name)


def describe(image: Image) -> Described | Skipped:
    """Placed by the address in its id."""
    _, z, x, y = image.id.split("/")
    return describe_picture(image.files[0], tile=Tile(int(z), int(x), int(y)))


def _is_quadkey(path: Path) -> bool:
    return is_picture(path) and len(path.stem) >= SHORTEST_QUADKEY and set(path.stem) <= set("0123")
