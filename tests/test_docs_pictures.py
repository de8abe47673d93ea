"""Every picture of the documentation has the command that makes it, and the script draws."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image
from raster_factory import UTM_10M, write_raster
from shapely.geometry import box

from eo_contrast.errors import InputError

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
PAGE = (PICTURES / "README.md").read_text()


def drawing() -> Any:
    spec = importlib.util.spec_from_file_location("draw", PICTURES / "draw.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(*words: Any) -> None:
    done = CliRunner().invoke(drawing().main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", sorted(path.name for path in PICTURES.glob("*.jpg")))
def test_a_picture_has_the_command_that_makes_it(name: str) -> None:
    section = re.search(rf"## {re.escape(name)}\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL)
    assert section is not None
    assert f"docs/pictures/{name}" in section.group(1)


def test_rasters_stand_side_by_side_in_their_own_colours(tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 40, 200)]
    rasters = [
        write_raster(
            tmp_path / f"{number}.tif",
            np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (3, 30, 40)).copy(),
            **UTM_10M,
        )
        for number, colour in enumerate(colours)
    ]
    drawn("beside", tmp_path / "both.jpg", *rasters, "--height", 60)
    pixels = np.asarray(Image.open(tmp_path / "both.jpg")).astype(int)
    assert pixels.shape == (60, 160, 3)
    for half, colour in zip((pixels[:, :80], pixels[:, 80:]), colours, strict=True):
        assert abs(half.mean((0, 1)) - colour).max() < 6


def test_photo_map_and_outlines_lie_on_one_grid(tmp_path: Path) -> None:
    photo, marked = np.zeros((3, 300, 300), np.uint8), np.zeros((3, 300, 300), np.uint8)
    photo[:, 100:200, 100:200], marked[0, 100:200, 100:200] = 255, 255
    files = [write_raster(tmp_path / f"{each}.tif", pixels, **UTM_10M)
             for each, pixels in (("photo", photo), ("map", marked))]  # fmt: skip
    with rasterio.open(files[0]) as dataset:
        left, top = dataset.transform @ (100, 100)
        right, bottom = dataset.transform @ (200, 200)
        crs = dataset.crs
    square = geopandas.GeoDataFrame(geometry=[box(left, bottom, right, top)], crs=crs)
    square.to_file(tmp_path / "square.gpkg")
    drawn("one-grid", tmp_path / "grid.jpg", *files, tmp_path / "square.gpkg", "--width", 300)
    pixels = np.asarray(Image.open(tmp_path / "grid.jpg")).astype(int)
    height = pixels.shape[0] // 2
    middle = (height // 2, 150)
    assert pixels[middle].min() > 200
    red, green, _ = pixels[middle[0], middle[1] + 300]
    assert red > 200
    assert green < 60
    # On the photo's own picture but for the outlines.
    yellow = np.abs(pixels[height:, 300:] - pixels[:height, :300]).sum(-1) > 150
    rows, columns = np.nonzero(yellow)
    # The square's third of the picture, a little turned by the other projection.
    assert 85 < rows.min() < 115 < 185 < rows.max() < 215
    assert 85 < columns.min() < 115 < 185 < columns.max() < 215


def test_it_draws_no_other_format(tmp_path: Path) -> None:
    raster = write_raster(tmp_path / "a.tif", np.zeros((3, 8, 8), np.uint8), **UTM_10M)
    with pytest.raises(InputError, match=r"a\.png: is to be a \.jpg file"):
        drawn("beside", tmp_path / "a.png", raster)
