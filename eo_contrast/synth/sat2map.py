"""The sat2map layout, synthesised: pairs side by side, one georeferenced scene, a table."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_points
from rasterio.windows import Window

from eo_contrast.errors import InputError, WorldError
from eo_contrast.files import refuse_existing, refuse_strangers, whole_folder
from eo_contrast.progress import Advance
from eo_contrast.synth.cartography import class_shares, render_map
from eo_contrast.synth.places import (
    scene_place,
    tag_of,
    tag_shares,
    testing_places,
    training_places,
)
from eo_contrast.synth.sensors import halo_pixels, render_aerial
from eo_contrast.synth.world import CRS, Extent, LandClass, World, land_cover

LEAST_SIZE = 32
LEAST_TEST_PAIRS = 4
RESOLUTION_RANGE_M = (0.25, 16.0)
SCENE_WINDOW = 512
SCENE_BLOCK = 256
COLUMNS = (
    "file", "set", "split", "share_water", "share_park", "share_motorway", "share_road_white",
    "share_other", "tag", "share_road_colour", "share_building", "lon", "lat",
)  # fmt: skip

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Sat2mapPlan:
    """What to synthesise.

    Attributes:
        pairs: training pairs, >= 1; a fifth as many, at least 4, are made for testing.
        size: side of a picture in pixels, >= 32.
        seed: which world.
        scene_size: side of the scene in pixels, >= 32.
        ground_resolution: metres a pixel, 0.25..16.

    Raises: InputError: a value is out of its range.
    """

    pairs: int = 64
    size: int = 256
    seed: int = 0
    scene_size: int = 1024
    ground_resolution: float = 2.0

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise InputError(f"--pairs {self.pairs}: no pair to make; give 1 or more")
        for option, value in (("--size", self.size), ("--scene-size", self.scene_size)):
            if value < LEAST_SIZE:
                raise InputError(f"{option} {value}: too small; give {LEAST_SIZE} pixels or more")
        least, most = RESOLUTION_RANGE_M
        if not least <= self.ground_resolution <= most:
            raise InputError(
                f"--ground-resolution {self.ground_resolution:g}: give metres a pixel "
                f"from {least:g} to {most:g}"
            )

    @property
    def test_pairs(self) -> int:
        """How many pairs are made for testing."""
        return max(LEAST_TEST_PAIRS, self.pairs // 5)

    @property
    def steps(self) -> int:
        """Units of work that :func:`write_sat2map` reports: pairs and scene windows."""
        return self.pairs + self.test_pairs + len(list(_windows(self.scene_size)))


def write_sat2map(
    folder: Path, plan: Sat2mapPlan, advance: Advance, *, overwrite: bool = False
) -> None:
    """Write ``train/ test/ scene.tif scene_map.tif pairs.csv`` into ``folder``, whole or not.

    Args:
        advance: told after each pair and each window of the scene.

    Raises:
        InputError: ``folder`` exists and ``overwrite`` is false, or it holds what is not ours.
        WorldError: the disk is full or failing.
    """
    refuse_existing(folder, overwrite=overwrite)
    refuse_strangers(folder, _is_ours, "no 'synth sat2map'")
    world = World(plan.seed, plan.ground_resolution)
    with whole_folder(folder) as partial:
        rows = []
        for done, row in enumerate(_write_pairs(partial, world, plan), start=1):
            rows.append(row)
            advance(done, str(row["tag"]))
        _write_table(partial / "pairs.csv", rows)
        extent = scene_place(world, scene_size=plan.scene_size)
        try:
            for done, _ in enumerate(_write_scene(partial, world, extent), start=len(rows) + 1):
                advance(done, "scene")
        except RasterioError as error:
            raise WorldError(
                f"{folder}: writing the scene failed ({error.__cause__ or error}); "
                "free some space and run again"
            ) from error


def _is_ours(name: str) -> bool:
    return name in {"train", "test", "pairs.csv"} or name.startswith(("scene.tif", "scene_map.tif"))


def picture_pair(world: World, extent: Extent) -> tuple[Pixels, Pixels]:
    """Satellite-like picture and map of one extent, each (height, width, 3) uint8 RGB."""
    cover = land_cover(world, extent, halo=halo_pixels(world.ground_resolution))
    return render_aerial(cover), render_map(cover)


def _write_pairs(folder: Path, world: World, plan: Sat2mapPlan) -> Iterator[dict[str, object]]:
    """Write every pair; yields each one's row of the table."""
    splits = {
        "train": training_places(
            world, count=plan.pairs, size=plan.size, scene_size=plan.scene_size
        ),
        "test": testing_places(world, count=plan.test_pairs, size=plan.size),
    }
    for split, extents in splits.items():
        (folder / split).mkdir()
        for index, extent in enumerate(extents):
            aerial, drawn = picture_pair(world, extent)
            name = f"{split}/{index:05d}.png"
            Image.fromarray(np.hstack([aerial, drawn])).save(folder / name)
            yield _row(name, split, drawn, _lon_lat(world, extent))


def _row(name: str, split: str, drawn: Pixels, lon_lat: tuple[float, float]) -> dict[str, object]:
    shares = class_shares(drawn)
    grouped = tag_shares(shares)
    coloured = shares[LandClass.ROAD_SECONDARY] + shares[LandClass.ROAD_PRIMARY]
    white = shares[LandClass.ROAD_MINOR]
    other = 1 - grouped["water"] - grouped["park"] - grouped["highway"] - white
    return {
        "file": name,
        "set": "synthetic",
        "split": split,
        "share_water": round(grouped["water"], 4),
        "share_park": round(grouped["park"], 4),
        "share_motorway": round(grouped["highway"], 4),
        "share_road_white": round(white, 4),
        "share_other": round(other, 4),
        "tag": tag_of(shares),
        "share_road_colour": round(coloured, 4),
        "share_building": round(grouped["dense_urban"], 4),
        "lon": round(lon_lat[0], 5),
        "lat": round(lon_lat[1], 5),
    }


def _lon_lat(world: World, extent: Extent) -> tuple[float, float]:
    """WGS 84 degrees of an extent's middle."""
    corner = world.transform(extent)
    east = corner.c + corner.a * extent.width / 2
    north = corner.f + corner.e * extent.height / 2
    (lon,), (lat,) = warp_points(CRS, "EPSG:4326", [east], [north])[:2]
    return lon, lat


def _write_table(path: Path, rows: Iterable[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _write_scene(folder: Path, world: World, extent: Extent) -> Iterator[Window]:
    """Write the scene and its true map window by window; yields each window once written.

    Raises:
        RasterioError: the disk did not take what was written.
        WorldError: it does not give it back.
    """
    paths = (folder / "scene.tif", folder / "scene_map.tif")
    checksums: list[tuple[Path, Window, int]] = []
    with ExitStack() as stack:
        datasets = [stack.enter_context(_new_scene(path, world, extent)) for path in paths]
        for window in _windows(extent.height):
            pair = picture_pair(world, _part(extent, window))
            for path, dataset, pixels in zip(paths, datasets, pair, strict=True):
                bands = np.moveaxis(pixels, -1, 0)
                dataset.write(bands, window=window)
                checksums.append((path, window, zlib.crc32(bands.tobytes())))
            yield window
    _verify_scene(checksums)


def _new_scene(path: Path, world: World, extent: Extent) -> Any:
    """An empty tiled RGB GeoTIFF of ``extent``, open for writing."""
    dataset = rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=extent.height,
        width=extent.width,
        count=3,
        dtype="uint8",
        crs=CRS,
        transform=world.transform(extent),
        tiled=True,
        blockxsize=SCENE_BLOCK,
        blockysize=SCENE_BLOCK,
        compress="deflate",
        predictor=2,
        photometric="RGB",
        bigtiff="IF_SAFER",
    )
    dataset.descriptions = ("red", "green", "blue")
    return dataset


def _verify_scene(checksums: Iterable[tuple[Path, Window, int]]) -> None:
    """Read back what was written: GDAL says nothing when the last blocks do not fit the disk.

    Raises: WorldError: some pixels are not there.
    """
    for path, windows in groupby(sorted(checksums, key=itemgetter(0)), key=itemgetter(0)):
        with rasterio.open(path) as dataset:
            for _, window, checksum in windows:
                if zlib.crc32(dataset.read(window=window).tobytes()) != checksum:
                    raise WorldError(
                        f"{path.name}: the disk lost some pixels; free some space and run again"
                    )


def _part(extent: Extent, window: Window) -> Extent:
    """Where a window of a scene lies in the world."""
    row, column = extent.row + window.row_off, extent.column + window.col_off
    return Extent(row, column, window.height, window.width)


def _windows(side: int) -> Iterator[Window]:
    """Cut a square scene into windows of whole GeoTIFF tiles, row by row."""
    for row in range(0, side, SCENE_WINDOW):
        for column in range(0, side, SCENE_WINDOW):
            height, width = min(SCENE_WINDOW, side - row), min(SCENE_WINDOW, side - column)
            yield Window(column, row, width, height)
