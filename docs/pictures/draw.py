"""Pictures of rasters for the documentation; each one's command is in README.md beside this."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_geom
from shapely.geometry import mapping, shape

from eo_contrast.errors import InputError
from eo_contrast.files import whole_file
from eo_contrast.report.pictures import overview, view_of

WEB_MERCATOR = "EPSG:3857"
SQUARE = 75
OUTLINE = (240, 224, 40)
Pixels = NDArray[np.uint8]


@click.group()
def main() -> None:
    """Draw rasters into a JPEG."""


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("rasters", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--height", default=512, show_default=True)
def beside(out: Path, rasters: tuple[Path, ...], height: int) -> None:
    """Rasters side by side, each in its own colours, all of one height."""
    saved(np.concatenate([of_height(overview(view_of(each)), height) for each in rasters], 1), out)


@main.command("one-grid")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("drawn", type=click.Path(path_type=Path))
@click.argument("polygons", type=click.Path(path_type=Path))
@click.option("--width", default=600, show_default=True)
def one_grid(out: Path, photo: Path, drawn: Path, polygons: Path, width: int) -> None:
    """A photo, its map, both in alternate squares, and the outlines of the map's polygons.

    Each is put on one Web Mercator grid by its own georeference alone.
    """
    one, grid = warped(photo, width)
    other, _ = warped(drawn, width, grid)
    rows, columns = np.indices(one.shape[:2]) // SQUARE
    squares = np.where(((rows + columns) % 2 == 1)[..., None], one, other)
    outlined = one.copy()
    outlined[outlines(polygons, grid, one.shape[:2])] = OUTLINE
    above, below = np.concatenate([one, other], 1), np.concatenate([squares, outlined], 1)
    saved(np.concatenate([above, below], 0), out)


def of_height(pixels: Pixels, height: int) -> Pixels:
    """The picture at another height, its proportions kept."""
    size = (round(pixels.shape[1] * height / pixels.shape[0]), height)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def warped(path: Path, width: int, grid: Affine | None = None) -> tuple[Pixels, Affine]:
    """(H, W, 3) in Web Mercator and its grid; on another's grid where one is given."""
    with rasterio.open(path) as dataset, WarpedVRT(dataset, crs=WEB_MERCATOR) as whole:
        scale = whole.width / width
        onto = grid or whole.transform @ Affine.scale(scale)
        size = (width, round(whole.height / scale))
        with WarpedVRT(
            dataset,
            crs=WEB_MERCATOR,
            transform=onto,
            width=size[0],
            height=size[1],
            resampling=Resampling.average,
        ) as small:
            return np.ascontiguousarray(np.moveaxis(small.read([1, 2, 3]), 0, 2)), onto


def outlines(path: Path, grid: Affine, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where the polygons' borders lie."""
    table = pyogrio.raw.read(path)
    borders = [
        shape(transform_geom(table[0]["crs"], WEB_MERCATOR, mapping(each.boundary)))
        for each in shapely.from_wkb(table[2])
    ]
    return rasterize(borders, out_shape=size, transform=grid, all_touched=False).astype(bool)


def saved(pixels: Pixels, out: Path) -> None:
    """The picture as a JPEG, whole or not at all."""
    if out.suffix != ".jpg":
        raise InputError(f"{out}: is to be a .jpg file")
    with whole_file(out) as partial:
        Image.fromarray(pixels).save(partial, format="JPEG", quality=88)


if __name__ == "__main__":
    main()
