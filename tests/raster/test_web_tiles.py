"""Web tiles: numbered as everybody does, exact where they can be, whole where maps wrap round."""

from __future__ import annotations

import math
import sqlite3
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import morecantile
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import TileType, tileid_to_zxy, zxy_to_tileid
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent.parent))

from full_disk import files_of_at_most
from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.errors import InputError, WorldError
from eo_contrast.files import whole_file
from eo_contrast.raster.picture import write_png
from eo_contrast.raster.tile_archives import tms_row, write_mbtiles, write_pmtiles
from eo_contrast.raster.tile_mosaic import tile_folder_mosaic
from eo_contrast.raster.tile_names import EQUATOR_M, Tile, tile_transform
from eo_contrast.raster.web_tiles import count_tiles, write_xyz

MERCATOR = morecantile.tms.get("WebMercatorQuad")
PALETTE = {0: (200, 0, 0, 255), 1: (0, 200, 0, 255), 2: (0, 0, 200, 255)}
WRITERS = {"xyz": write_xyz, "mbtiles": write_mbtiles, "pmtiles": write_pmtiles}


@st.composite
def addresses(draw):
    z = draw(st.integers(0, 24))
    return Tile(z, draw(st.integers(0, 2**z - 1)), draw(st.integers(0, 2**z - 1)))


def on_tile(tile: Tile, side: int) -> dict[str, Any]:
    """Profile of a raster whose first pixel is that of ``tile``, of ``side`` pixels."""
    return {"crs": "EPSG:3857", "transform": Affine(*tile_transform(tile, side, side))}


def masked(valid: np.ndarray) -> dict[str, Any]:
    return {"edit": lambda dataset: dataset.write_mask(valid.astype(np.uint8) * np.uint8(255))}


def with_palette(dataset: Any) -> None:
    dataset.write_colormap(1, PALETTE)


def tiles_in(folder: Path) -> dict[Tile, Path]:
    return {
        Tile(*(int(part) for part in path.relative_to(folder).with_suffix("").parts)): path
        for path in folder.rglob("*.png")
    }


def deepest_in(folder: Path) -> dict[Tile, Path]:
    tiles = tiles_in(folder)
    deepest = max(tile.z for tile in tiles)
    return {tile: path for tile, path in tiles.items() if tile.z == deepest}


def pixels(path: Path) -> np.ndarray:
    """(side, side, 4) RGBA."""
    return np.array(Image.open(path).convert("RGBA"))


def save(path: Path, values: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def grey(level: int, side: int = 256) -> np.ndarray:
    return np.full((side, side), level, np.uint8)


def read_mosaic(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.read_masks(1)


# Numbering and exactness


@settings(max_examples=30, deadline=None)
@given(addresses())
def test_a_raster_that_is_a_tile_becomes_this_tile_pixel_for_pixel(tile):
    values = random_values(3, 8, 8)
    with tempfile.TemporaryDirectory() as folder:
        raster = write_raster(Path(folder) / "a.tif", values, **on_tile(tile, 8))
        summary = write_xyz(raster, Path(folder) / "out", tile_side=8)
        written = tiles_in(Path(folder) / "out")
        assert list(written) == [tile]
        assert (summary.minzoom, summary.maxzoom, summary.opaque) == (tile.z, tile.z, True)
        np.testing.assert_array_equal(pixels(written[tile])[..., :3].transpose(2, 0, 1), values)


@pytest.mark.parametrize("side", [256, 512])
def test_a_raster_put_together_from_tiles_gives_the_same_tiles_back(tmp_path, side):
    rng = np.random.default_rng(1)
    given_tiles = {}
    for x, y in ((8000, 6001), (8001, 6000), (8002, 6001)):
        tile = rng.integers(0, 256, (side, side, 4), dtype=np.uint8)
        tile[..., 3] = 255 * (rng.random((side, side)) > 0.3)
        tile[tile[..., 3] == 0] = 0
        given_tiles[Tile(14, x, y)] = tile
        save(tmp_path / "in" / "14" / str(x) / f"{y}.png", tile)
    mosaic = tile_folder_mosaic(tmp_path / "in", tmp_path / "in.vrt")
    write_xyz(mosaic, tmp_path / "out", tile_side=side)
    written = deepest_in(tmp_path / "out")
    assert set(written) == set(given_tiles)
    for tile, path in written.items():
        np.testing.assert_array_equal(pixels(path), given_tiles[tile])


@pytest.mark.parametrize(("west", "south"), [(8.2, 47.1), (-70.3, -33.9), (-0.4, -0.3), (151, 70)])
def test_tiles_are_numbered_as_by_morecantile(tmp_path, west, south):
    transform = Affine(0.01, 0, west, 0, -0.01, south + 0.7)
    raster = write_raster(
        tmp_path / "a.tif", random_values(3, 70, 100), crs="EPSG:4326", transform=transform
    )
    summary = write_xyz(raster, tmp_path / "out", tile_side=32)
    expected = {
        Tile(tile.z, tile.x, tile.y)
        for zoom in range(summary.minzoom, summary.maxzoom + 1)
        for tile in MERCATOR.tiles(west, south, west + 1, south + 0.7, zoom)
    }
    assert set(tiles_in(tmp_path / "out")) == expected
    assert summary.tiles == len(expected)
    assert summary.bounds == pytest.approx((west, south, west + 1, south + 0.7), abs=1e-5)


def test_tms_rows_count_from_the_south():
    assert [tms_row(Tile(2, 0, y)) for y in range(4)] == [3, 2, 1, 0]


# Zooms


@pytest.mark.parametrize(
    ("coarser", "zoom"), [(1, 12), (1.4, 12), (1.45, 11), (0.72, 12), (0.7, 13)]
)
def test_the_zoom_is_that_whose_pixels_are_nearest_in_size(tmp_path, coarser, zoom):
    a, b, c, d, e, f = tile_transform(Tile(12, 2000, 1500), 16, 16)
    transform = Affine(a * coarser, b, c, d, e * coarser, f)
    raster = write_raster(
        tmp_path / "a.tif", random_values(1, 20, 20), crs="EPSG:3857", transform=transform
    )
    assert write_xyz(raster, tmp_path / "out", tile_side=16).maxzoom == zoom


def test_the_shallowest_zoom_is_the_last_at_which_one_tile_holds_the_raster(tmp_path):
    raster = write_raster(tmp_path / "a.tif", random_values(1, 40, 40), **on_tile(Tile(9, 4, 8), 8))
    write_xyz(raster, tmp_path / "out", tile_side=8)
    zooms = [tile.z for tile in tiles_in(tmp_path / "out")]
    assert {zoom: zooms.count(zoom) for zoom in zooms} == {5: 1, 6: 2, 7: 4, 8: 9, 9: 25}


def test_a_shallower_pyramid_holds_the_same_tiles(tmp_path):
    raster = write_raster(tmp_path / "a.tif", random_values(3, 90, 70), **UTM_10M)
    summary = write_xyz(raster, tmp_path / "all", tile_side=16)
    write_xyz(raster, tmp_path / "some", tile_side=16, zoom=summary.maxzoom - 2)
    every, some = tiles_in(tmp_path / "all"), tiles_in(tmp_path / "some")
    assert set(some) == {tile for tile in every if tile.z <= summary.maxzoom - 2}
    assert all(some[tile].read_bytes() == every[tile].read_bytes() for tile in some)


def test_a_deeper_zoom_enlarges(tmp_path):
    tile = Tile(5, 9, 11)
    raster = write_raster(tmp_path / "a.tif", random_values(1, 8, 8) // 2, **on_tile(tile, 8))
    summary = write_xyz(raster, tmp_path / "out", tile_side=8, zoom=7)
    assert (summary.minzoom, summary.maxzoom) == (5, 7)
    assert len(deepest_in(tmp_path / "out")) == 16


def test_the_center_is_seen_at_a_zoom_that_shows_the_raster(tmp_path):
    raster = write_raster(tmp_path / "a.tif", random_values(1, 64, 64), **on_tile(Tile(9, 3, 7), 8))
    longitude, latitude, zoom = write_xyz(raster, tmp_path / "out", tile_side=8).center
    # The raster is eight tiles wide; its centre is the corner of four.
    assert MERCATOR.tile(longitude + 1e-6, latitude - 1e-6, 9) == morecantile.Tile(7, 11, 9)
    assert MERCATOR.tile(longitude - 1e-6, latitude + 1e-6, 9) == morecantile.Tile(6, 10, 9)
    assert zoom == 7


# What the tiles above are made of


def test_a_parent_is_the_mean_of_its_children_by_alpha(tmp_path):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 256, (4, 8, 8), dtype=np.uint8)
    values[3, :4] = 255
    values[3, 4:, :2] = 0
    rgba = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    raster = write_raster(
        tmp_path / "a.tif",
        values,
        **{**on_tile(Tile(9, 6, 4), 4), "alpha": "YES", "photometric": "RGB"},
        edit=lambda dataset: setattr(dataset, "colorinterp", rgba),
    )
    write_xyz(raster, tmp_path / "out", tile_side=4)
    parent = pixels(tiles_in(tmp_path / "out")[Tile(8, 3, 2)])
    for row in range(4):
        for column in range(4):
            four = [values[:, 2 * row + i, 2 * column + j] for i in (0, 1) for j in (0, 1)]
            weight = sum(float(pixel[3]) for pixel in four)
            expected = [sum(float(p[k]) * float(p[3]) for p in four) for k in range(3)]
            expected = [part / weight if round(weight / 4) else 0.0 for part in expected]
            np.testing.assert_allclose(parent[row, column], [*expected, weight / 4], atol=0.5)


def test_a_parent_of_classes_has_the_class_of_most_valid_children(tmp_path):
    values = np.array([[0, 1, 1, 2], [1, 2, 2, 0], [2, 2, 0, 1], [0, 0, 1, 1]], np.uint8)[None]
    valid = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 0]], bool)

    def edit(dataset: Any) -> None:
        with_palette(dataset)
        dataset.write_mask(valid.astype(np.uint8) * np.uint8(255))

    raster = write_raster(
        tmp_path / "a.tif", values, **on_tile(Tile(9, 6, 4), 2), photometric="PALETTE", edit=edit
    )
    write_xyz(raster, tmp_path / "out", tile_side=2)
    tiles = tiles_in(tmp_path / "out")
    # Most; most of the valid; two equal ones of two valid; one valid alone, hidden.
    expected = [[PALETTE[1], PALETTE[2]], [PALETTE[2], (0, 0, 0, 0)]]
    np.testing.assert_array_equal(pixels(tiles[Tile(8, 3, 2)]), expected)
    np.testing.assert_array_equal(pixels(tiles[Tile(9, 6, 4)])[0, 0], PALETTE[0])


def test_classes_are_never_mixed(tmp_path):
    values = random_values(1, 60, 60) % 3
    raster = write_raster(
        tmp_path / "a.tif", values, **UTM_10M, photometric="PALETTE", edit=with_palette
    )
    write_xyz(raster, tmp_path / "out", tile_side=16)
    seen = {
        tuple(colour)
        for path in tiles_in(tmp_path / "out").values()
        for colour in pixels(path).reshape(-1, 4).tolist()
    }
    assert seen == {*PALETTE.values(), (0, 0, 0, 0)}


def test_borders_of_tiles_do_not_show_in_a_ramp(tmp_path):
    ramp = np.tile(np.linspace(0, 250, 700).astype(np.uint8), (600, 1))[None]
    profile = {"crs": "EPSG:32633", "transform": Affine(7, 1, 5e5, 1, -7, 5.4e6)}
    raster = write_raster(tmp_path / "a.tif", ramp, **profile)
    write_xyz(raster, tmp_path / "out", tile_side=64)
    values, mask = read_64_px_tiles(deepest_in(tmp_path / "out"))
    inside = (mask[:, 1:] > 0) & (mask[:, :-1] > 0)
    steps = np.abs(np.diff(values.astype(int), axis=1))
    assert steps[inside].max() <= 1


def read_64_px_tiles(tiles: dict[Tile, Path]) -> tuple[np.ndarray, np.ndarray]:
    west, north = min(tile.x for tile in tiles), min(tile.y for tile in tiles)
    across = max(tile.x for tile in tiles) - west + 1
    down = max(tile.y for tile in tiles) - north + 1
    canvas = np.zeros((64 * down, 64 * across, 4), np.uint8)
    for tile, path in tiles.items():
        top, left = 64 * (tile.y - north), 64 * (tile.x - west)
        canvas[top : top + 64, left : left + 64] = pixels(path)
    return canvas[..., 0], canvas[..., 3]


# What is invalid


def test_invalid_pixels_are_transparent_and_tiles_without_others_are_not_written(tmp_path):
    valid = np.zeros((16, 16), bool)
    valid[:8, :8] = True
    valid[0, 8] = True
    raster = write_raster(
        tmp_path / "a.tif", random_values(3, 16, 16), **on_tile(Tile(9, 6, 4), 8), **masked(valid)
    )
    summary = write_xyz(raster, tmp_path / "out", tile_side=8)
    tiles = deepest_in(tmp_path / "out")
    assert set(tiles) == {Tile(9, 6, 4), Tile(9, 7, 4)}
    assert Image.open(tiles[Tile(9, 6, 4)]).mode == "RGB"
    assert Image.open(tiles[Tile(9, 7, 4)]).mode == "RGBA"
    assert (pixels(tiles[Tile(9, 7, 4)])[..., 3] > 0).sum() == 1
    assert not summary.opaque


def test_a_pixel_is_invalid_where_all_its_bands_are_nodata(tmp_path):
    values = np.full((3, 8, 8), 100, np.uint8)
    values[0] = 255
    values[:, 2, 3] = 255
    raster = write_raster(tmp_path / "a.tif", values, **on_tile(Tile(9, 6, 4), 8), nodata=255)
    write_xyz(raster, tmp_path / "out", tile_side=8)
    alpha = pixels(tiles_in(tmp_path / "out")[Tile(9, 6, 4)])[..., 3]
    assert np.argwhere(alpha == 0).tolist() == [[2, 3]]


def test_invalid_pixels_do_not_bleed_into_valid_ones(tmp_path):
    values = np.full((3, 60, 60), 255, np.uint8)
    valid = np.ones((60, 60), bool)
    values[:, 20:40, 20:40] = 0
    valid[20:40, 20:40] = False
    raster = write_raster(tmp_path / "a.tif", values, **UTM_10M, **masked(valid))
    write_xyz(raster, tmp_path / "out", tile_side=32)
    for path in tiles_in(tmp_path / "out").values():
        tile = pixels(path)
        assert (tile[tile[..., 3] > 0][:, :3] == 255).all()


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_grey_and_extra_bands_are_shown_as_rgb(tmp_path, bands):
    values = random_values(bands, 8, 8)
    raster = write_raster(tmp_path / "a.tif", values, **on_tile(Tile(9, 6, 4), 8))
    write_xyz(raster, tmp_path / "out", tile_side=8)
    image = Image.open(tiles_in(tmp_path / "out")[Tile(9, 6, 4)])
    assert image.mode == "RGB"
    expected = np.broadcast_to(values[:3] if bands > 1 else values, (3, 8, 8))
    np.testing.assert_array_equal(np.array(image).transpose(2, 0, 1), expected)


# Round the Earth


def longitudes_as_grey(path: Path, crs: str, transform: Affine, width: int, height: int) -> Path:
    """A raster that holds the longitude east or west of Greenwich, whole degrees, of its pixels."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = transform @ (columns, rows)
    if crs == "EPSG:3857":
        longitudes = 360 * x / EQUATOR_M
    else:
        found, _ = rasterio.warp.transform(crs, "OGC:CRS84", x.ravel(), y.ravel())
        longitudes = np.reshape(found, x.shape)
    folded = np.abs((longitudes + 180) % 360 - 180)
    valid = np.ones(folded.shape, bool)
    return write_raster(
        path, folded.astype(np.uint8)[None], crs=crs, transform=transform, **masked(valid)
    )


AROUND = {
    "degrees to 190": ("EPSG:4326", Affine(0.1, 0, 170, 0, -0.1, 5), 200, 100),
    "degrees from -190": ("EPSG:4326", Affine(0.1, 0, -190, 0, -0.1, 5), 200, 100),
    "zone 60": ("EPSG:32660", Affine(1000, 0, 500_000, 0, -1000, 6.6e6), 600, 200),
    "zone 1": ("EPSG:32701", Affine(1000, 0, 100_000, 0, -1000, 6.6e6), 600, 200),
    "Pacific mercator": ("EPSG:3832", Affine(2000, 0, 2.8e6, 0, -2000, 1e6), 600, 200),
    "web mercator east": (
        "EPSG:3857",
        Affine(2000, 0, EQUATOR_M / 2 - 5e5, 0, -2000, 1e6),
        500,
        99,
    ),
    "web mercator west": (
        "EPSG:3857",
        Affine(2000, 0, -EQUATOR_M / 2 - 5e5, 0, -2000, 1e6),
        500,
        99,
    ),
}


@pytest.mark.parametrize("case", AROUND)
def test_a_raster_across_the_antimeridian_has_tiles_at_both_ends_only(tmp_path, case):
    raster = longitudes_as_grey(tmp_path / "a.tif", *AROUND[case])
    summary = write_xyz(raster, tmp_path / "out", tile_side=64)
    assert_longitudes_are_right(deepest_in(tmp_path / "out"))
    columns = {tile.x for tile in deepest_in(tmp_path / "out")}
    count = 2**summary.maxzoom
    assert {0, count - 1} <= columns
    assert len(columns) <= 12 < count
    assert (summary.bounds[0], summary.bounds[2]) == (-180, 180)
    assert abs(summary.center[0]) > 175


@pytest.mark.parametrize("west", [-180, 0, -10, -0.5])
def test_a_global_raster_fills_the_world_wherever_it_begins(tmp_path, west):
    transform = Affine(1, 0, west, 0, -1, 90)
    raster = longitudes_as_grey(tmp_path / "a.tif", "EPSG:4326", transform, 360, 180)
    write_xyz(raster, tmp_path / "out", tile_side=64)
    tiles = deepest_in(tmp_path / "out")
    assert len(tiles) == 16
    alphas = np.stack([pixels(path)[..., 3] for path in tiles.values()])
    assert (alphas == 255).all()
    assert_longitudes_are_right(tiles)


def assert_longitudes_are_right(tiles: dict[Tile, Path]) -> None:
    for tile, path in tiles.items():
        rgba = pixels(path)
        columns = tile.x + (np.arange(64) + 0.5) / 64
        expected = np.broadcast_to(np.abs(360 * columns / 2**tile.z - 180), (64, 64))
        valid = rgba[..., 3] > 0
        assert np.abs(rgba[..., 0] + 0.5 - expected)[valid].max() < 1.1


def test_a_map_round_the_pole_is_cut_where_web_mercator_ends(tmp_path):
    transform = Affine(20_000, 0, -4e6, 0, -20_000, 4e6)
    values = np.full((1, 400, 400), 9, np.uint8)
    raster = write_raster(tmp_path / "a.tif", values, crs="EPSG:3413", transform=transform)
    summary = write_xyz(raster, tmp_path / "out", tile_side=64, zoom=3)
    assert {tile.x for tile in deepest_in(tmp_path / "out")} == set(range(8))
    assert min(tile.y for tile in deepest_in(tmp_path / "out")) == 0
    assert summary.bounds[3] == pytest.approx(85.0511287, abs=1e-6)


def test_a_satellites_full_disk_is_written_though_its_corners_are_off_the_earth(tmp_path):
    crs = rasterio.CRS.from_proj4("+proj=geos +h=35785831 +lon_0=140 +sweep=y +ellps=WGS84")
    transform = Affine(110_000, 0, -5.5e6, 0, -110_000, 5.5e6)
    raster = write_raster(
        tmp_path / "a.tif", random_values(1, 100, 100), crs=crs, transform=transform
    )
    summary = write_xyz(raster, tmp_path / "out", tile_side=64)
    assert summary.tiles > 4
    assert summary.center[0] == pytest.approx(140, abs=3)


# Archives


@pytest.fixture
def mapped(tmp_path: Path) -> Path:
    valid = np.ones((90, 70), bool)
    valid[40:60, 10:50] = False
    return write_raster(tmp_path / "map.tif", random_values(3, 90, 70), **UTM_10M, **masked(valid))


def test_mbtiles_hold_the_tiles_in_rows_from_the_south(tmp_path, mapped):
    assert write_xyz(mapped, tmp_path / "out", tile_side=16) == write_mbtiles(
        mapped, tmp_path / "out.mbtiles", tile_side=16
    )
    with sqlite3.connect(tmp_path / "out.mbtiles") as database:
        rows = database.execute("SELECT * FROM tiles").fetchall()
    held = {(z, x, 2**z - 1 - row): png for z, x, row, png in rows}
    assert held == {
        (tile.z, tile.x, tile.y): path.read_bytes()
        for tile, path in tiles_in(tmp_path / "out").items()
    }


def test_mbtiles_say_what_they_are(tmp_path, mapped):
    summary = write_mbtiles(mapped, tmp_path / "a.mbtiles", name="Kyiv", attribution="© us")
    with sqlite3.connect(tmp_path / "a.mbtiles") as database:
        about = dict(database.execute("SELECT * FROM metadata").fetchall())
    west, south, east, north = (float(part) for part in about.pop("bounds").split(","))
    assert (west, south, east, north) == pytest.approx(summary.bounds, abs=1e-6)
    longitude, latitude, zoom = (float(part) for part in about.pop("center").split(","))
    assert west < longitude < east
    assert south < latitude < north
    assert summary.minzoom <= zoom <= summary.maxzoom
    assert about == {
        "name": "Kyiv",
        "attribution": "© us",
        "format": "png",
        "type": "overlay",
        "version": "1",
        "minzoom": str(summary.minzoom),
        "maxzoom": str(summary.maxzoom),
    }


def test_gdal_reads_the_mbtiles_at_their_place(tmp_path):
    values = random_values(3, 256, 512)
    raster = write_raster(tmp_path / "a.tif", values, **on_tile(Tile(14, 8001, 6000), 256))
    summary = write_mbtiles(raster, tmp_path / "a.mbtiles")
    with rasterio.open(tmp_path / "a.mbtiles") as dataset, rasterio.open(raster) as source:
        window = dataset.window(*source.bounds).round_offsets().round_lengths()
        assert dataset.crs == source.crs
        assert dataset.res == pytest.approx(source.res)
        np.testing.assert_array_equal(dataset.read([1, 2, 3], window=window), values)
    assert summary.maxzoom == 14


def test_pmtiles_hold_the_tiles_in_the_order_of_their_numbers(tmp_path, mapped):
    summary = write_xyz(mapped, tmp_path / "out", tile_side=16)
    assert write_pmtiles(mapped, tmp_path / "a.pmtiles", tile_side=16) == summary
    with (tmp_path / "a.pmtiles").open("rb") as file:
        held = dict(all_tiles(MmapSource(file)))
        header, about = Reader(MmapSource(file)).header(), Reader(MmapSource(file)).metadata()
    assert held == {
        (tile.z, tile.x, tile.y): path.read_bytes()
        for tile, path in tiles_in(tmp_path / "out").items()
    }
    numbers = [zxy_to_tileid(*address) for address in held]
    assert numbers == sorted(numbers)
    assert [tileid_to_zxy(number) for number in numbers] == list(held)
    assert header["clustered"]
    assert header["tile_type"] == TileType.PNG
    assert (header["min_zoom"], header["max_zoom"]) == (summary.minzoom, summary.maxzoom)
    edges = [header[f"{edge}_e7"] / 1e7 for edge in ("min_lon", "min_lat", "max_lon", "max_lat")]
    assert edges == pytest.approx(summary.bounds, abs=1e-6)
    assert about == {"name": "map", "format": "png", "type": "overlay", "version": "1"}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_raster_gives_the_same_bytes_at_any_time(tmp_path, mapped, kind, monkeypatch):
    found = []
    for clock in (1e9, 1.5e9):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        out = tmp_path / f"{clock}"
        WRITERS[kind](mapped, out, tile_side=16)
        files = sorted(out.rglob("*.png")) if out.is_dir() else [out]
        found.append([file.read_bytes() for file in files])
    assert found[0] == found[1]


def test_pmtiles_without_the_package_name_the_extra(tmp_path, mapped, monkeypatch):
    monkeypatch.setitem(sys.modules, "pmtiles.tile", None)
    with pytest.raises(InputError, match=r"pip install 'eo-contrast\[tiles\]'"):
        write_pmtiles(mapped, tmp_path / "a.pmtiles")


def test_an_old_archive_is_replaced(tmp_path, mapped):
    (tmp_path / "a.mbtiles").write_text("a left-over of a killed run")
    write_mbtiles(mapped, tmp_path / "a.mbtiles", tile_side=32)
    write_mbtiles(mapped, tmp_path / "a.mbtiles", tile_side=32)


@pytest.mark.parametrize("kind", WRITERS)
def test_progress_counts_to_the_number_of_tiles_that_are_read(tmp_path, mapped, kind):
    heard: list[int] = []

    def advance(done: int, note: str = "", /) -> None:
        heard.append(done)

    WRITERS[kind](mapped, tmp_path / "out", tile_side=16, advance=advance)
    assert heard == list(range(1, count_tiles(mapped, tile_side=16) + 1))


@pytest.mark.parametrize("room", [1000, 30_000])
@pytest.mark.parametrize(("kind", "write"), [*WRITERS.items(), ("png", write_png)][1:])
def test_a_full_disk_is_a_world_error(tmp_path, kind, write, room):
    raster = write_raster(tmp_path / "a.tif", random_values(3, 256, 256), **UTM_10M)
    with (
        files_of_at_most(room),
        pytest.raises(WorldError, match=rf"{kind}: writing failed"),
        whole_file(tmp_path / f"out.{kind}") as partial,
    ):
        write(raster, partial)
    assert not (tmp_path / f"out.{kind}").exists()


def test_memory_grows_with_the_number_of_zooms_only(tmp_path):
    peaks, zooms = [], []
    for side in (128, 512):
        values = np.full((3, side, side), 9, np.uint8)
        raster = write_raster(tmp_path / f"{side}.tif", values, **UTM_10M)
        tracemalloc.start()
        summary = write_xyz(raster, tmp_path / f"{side}", tile_side=64)
        peaks.append(tracemalloc.get_traced_memory()[1])
        zooms.append(summary.maxzoom - summary.minzoom + 1)
        tracemalloc.stop()
    # Four children of RGBA a zoom.
    assert peaks[1] - peaks[0] <= (zooms[1] - zooms[0]) * 4 * 4 * 64**2 + 100_000


# What is refused


def ground_points(dataset: Any) -> None:
    dataset.gcps = (
        [GroundControlPoint(0, 0, 14, 50), GroundControlPoint(9, 9, 15, 49)],
        "EPSG:4326",
    )


REFUSED = {
    "no CRS": ({"transform": Affine(10, 0, 0, 0, -10, 0)}, "has no CRS"),
    "no transform": ({"crs": "EPSG:32633"}, "has no transform"),
    "points only": ({"edit": ground_points}, "placed by ground control points only"),
    "at the pole": (
        {"crs": "EPSG:3413", "transform": Affine(10, 0, -50, 0, -10, 50)},
        "no part lies within 85.05 degrees",
    ),
    "nothing valid": ({**UTM_10M, **masked(np.zeros((10, 10), bool))}, "no pixel is valid"),
    "a plan's own axes": (
        {"crs": 'LOCAL_CS["plan",UNIT["metre",1]]', "transform": Affine(1, 0, 0, 0, -1, 0)},
        "cannot be tied to longitudes",
    ),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_a_raster_without_a_place_on_a_web_map_is_refused_in_one_line(tmp_path, case):
    profile, words = REFUSED[case]
    raster = write_raster(tmp_path / "a.tif", random_values(3, 10, 10), **profile)
    with pytest.raises(InputError, match=rf"a\.tif: .*{words}") as caught:
        write_xyz(raster, tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bands", "dtype", "words"), [(3, "uint16", "uint16"), (2, "uint8", "2 bands")]
)
def test_a_raster_that_is_no_picture_is_refused(tmp_path, bands, dtype, words):
    raster = write_raster(tmp_path / "a.tif", random_values(bands, 9, 9, dtype), **UTM_10M)
    with pytest.raises(InputError, match=words):
        write_xyz(raster, tmp_path / "out")
    with pytest.raises(InputError, match=words):
        write_png(raster, tmp_path / "a.png")


def test_a_damaged_raster_is_refused_in_one_line(tmp_path):
    raster = write_raster(tmp_path / "a.tif", random_values(3, 300, 300), **UTM_10M)
    raster.write_bytes(raster.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"a\.tif: pixels cannot be read"):
        write_xyz(raster, tmp_path / "out")


def test_a_zoom_with_more_pixels_than_gdal_counts_is_refused(tmp_path):
    profile = {"crs": "EPSG:4326", "transform": Affine(1, 0, 5, 0, -1, 50)}
    raster = write_raster(tmp_path / "a.tif", random_values(1, 9, 9), **profile)
    with pytest.raises(InputError, match="choose a shallower zoom"):
        write_xyz(raster, tmp_path / "out", zoom=30)


@pytest.mark.parametrize("zoom", [-1, 31])
def test_a_zoom_outside_the_pyramid_is_refused(tmp_path, mapped, zoom):
    with pytest.raises(InputError, match=r"outside 0 \.\. 30"):
        write_xyz(mapped, tmp_path / "out", zoom=zoom)


# One PNG


def test_a_png_keeps_pixels_place_and_mask(tmp_path, mapped):
    files = write_png(mapped, tmp_path / "map.png")
    assert [file.name for file in files] == ["map.png", "map.pgw", "map.png.aux.xml"]
    with rasterio.open(mapped) as source, rasterio.open(files[0]) as png:
        assert (png.crs, png.transform) == (source.crs, source.transform)
        np.testing.assert_array_equal(png.read([1, 2, 3]), source.read())
        np.testing.assert_array_equal(png.read(4), source.dataset_mask())


def test_a_world_file_gives_the_centre_of_the_first_pixel(tmp_path, mapped):
    write_png(mapped, tmp_path / "map.png")
    numbers = [float(line) for line in (tmp_path / "map.pgw").read_text().split()]
    assert numbers == [10, 0, 0, -10, 500_005, 5_399_995]


def test_a_png_without_a_mask_has_no_alpha(tmp_path):
    values = random_values(3, 9, 7)
    write_png(write_raster(tmp_path / "a.tif", values, **UTM_10M), tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png")
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.array(image).transpose(2, 0, 1), values)


def test_a_fourth_band_that_is_not_alpha_does_not_make_a_png_transparent(tmp_path):
    values = random_values(4, 9, 7)
    write_png(write_raster(tmp_path / "a.tif", values, **UTM_10M), tmp_path / "a.png")
    np.testing.assert_array_equal(
        np.array(Image.open(tmp_path / "a.png")).transpose(2, 0, 1), values[:3]
    )


@pytest.mark.parametrize("hole", [False, True])
def test_a_colour_table_keeps_its_colours_in_a_png(tmp_path, hole):
    values = random_values(1, 9, 7) % 3
    valid = np.ones((9, 7), bool)
    valid[2, 3] = not hole

    def edit(dataset: Any) -> None:
        with_palette(dataset)
        if hole:
            dataset.write_mask(valid.astype(np.uint8) * np.uint8(255))

    raster = write_raster(tmp_path / "a.tif", values, **UTM_10M, photometric="PALETTE", edit=edit)
    write_png(raster, tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == ("RGBA" if hole else "P")
    shown = pixels(tmp_path / "a.png")
    expected = np.array([PALETTE[value] for value in values.ravel()]).reshape(9, 7, 4)
    np.testing.assert_array_equal(shown[valid], expected[valid])
    assert (shown[~valid][:, 3] == 0).all()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_png_of_a_raster_without_a_place_is_one_file(tmp_path):
    raster = write_raster(tmp_path / "a.tif", random_values(3, 9, 7))
    (tmp_path / "a.pgw").write_text("left over")
    assert write_png(raster, tmp_path / "a.png") == (tmp_path / "a.png",)
    assert {file.name for file in tmp_path.iterdir()} == {"a.tif", "a.png"}


# Tiles read as one raster


def test_absent_tiles_are_invalid_and_the_others_at_their_place(tmp_path):
    for x, y, level in ((8, 5, 10), (9, 6, 20)):
        save(tmp_path / "t" / "4" / str(x) / f"{y}.png", grey(level), "RGB")
    values, mask = read_mosaic(tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt"))
    assert values.shape == (3, 512, 512)
    assert (values[:, :256, :256] == 10).all()
    assert (values[:, 256:, 256:] == 20).all()
    np.testing.assert_array_equal(mask[::256, ::256], [[255, 0], [0, 255]])
    with rasterio.open(tmp_path / "t.vrt") as dataset:
        assert dataset.crs == "EPSG:3857"
        assert dataset.transform == pytest.approx(Affine(*tile_transform(Tile(4, 8, 5), 256, 256)))


def test_tiles_of_all_kinds_stand_side_by_side(tmp_path):
    rgba = np.dstack([grey(7), grey(8), grey(9), grey(0)])
    rgba[:128, :, 3] = 255
    classes = Image.fromarray(grey(1))
    classes.putpalette([9, 9, 9, 40, 50, 60])
    folder = tmp_path / "t" / "5"
    save(folder / "0" / "0.jpg", grey(100), quality=95)
    save(folder / "1" / "0.png", rgba)
    save(folder / "2" / "0.webp", np.dstack([grey(200)] * 3), lossless=True)
    (folder / "3").mkdir()
    classes.save(folder / "3" / "0.png")
    classes.save(tmp_path / "transparent.png", transparency=1)
    (folder / "4").mkdir()
    (tmp_path / "transparent.png").rename(folder / "4" / "0.png")
    save(folder / "5" / "0.tif", np.dstack([grey(1), grey(2), grey(3)]))
    values, mask = read_mosaic(tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt"))
    found = values[:, 5, 5::256].T.tolist()
    assert found == [[100] * 3, [7, 8, 9], [200] * 3, [40, 50, 60], found[4], [1, 2, 3]]
    assert mask[5, 5::256].tolist() == [255, 255, 255, 255, 0, 255]
    assert mask[250, 5::256].tolist() == [255, 0, 255, 255, 0, 255]


def test_tiles_may_be_named_by_quadkey(tmp_path):
    for x in (10, 11):
        quadkey = MERCATOR.quadkey(morecantile.Tile(x, 700, 12))
        save(tmp_path / "t" / f"{quadkey}.png", grey(x))
    values, _ = read_mosaic(tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt"))
    assert values[0, 0, ::256].tolist() == [10, 11]


def test_the_deepest_zoom_counts(tmp_path):
    save(tmp_path / "t" / "4" / "8" / "5.png", grey(1))
    save(tmp_path / "t" / "5" / "16" / "10.png", grey(2))
    values, _ = read_mosaic(tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt"))
    assert values.shape == (3, 256, 256)
    assert (values == 2).all()


def test_tiles_on_both_sides_of_the_antimeridian_stay_together(tmp_path):
    for x in (0, 255):
        save(tmp_path / "t" / "8" / str(x) / "90.png", grey(x // 2))
    mosaic = tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt")
    values, _ = read_mosaic(mosaic)
    assert values[0, 0, ::256].tolist() == [127, 0]
    write_xyz(mosaic, tmp_path / "out")
    assert {tile.x for tile in deepest_in(tmp_path / "out")} == {0, 255}


def test_names_that_xml_or_shells_would_choke_on_are_fine(tmp_path):
    folder = tmp_path / "R&D <tiles> 'ü'"
    save(folder / "4" / "8" / "5.png", grey(3))
    values, _ = read_mosaic(tile_folder_mosaic(folder, tmp_path / "t.vrt"))
    assert (values == 3).all()


def test_hidden_files_are_not_tiles(tmp_path):
    save(tmp_path / "t" / "4" / "8" / "5.png", grey(3))
    (tmp_path / "t" / "4" / "8" / "._5.png").write_bytes(b"of macOS")
    tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt")


STRAYS = {
    "another name": ("overview.png", grey(1), r"overview\.png: its name is no tile address"),
    "another size": ("4/9/5.png", grey(1, 512), r"5\.png: is 512 pixels wide, 5\.png 256"),
    "no tile's size": ("4/9/5.png", grey(1, 100), r"5\.png: is 100 x 100 pixels"),
    "not square": ("4/9/5.png", grey(1)[:99], r"5\.png: is 256 x 99 pixels"),
    "twice": ("4/8/5.jpg", grey(1), r"5\.png: is the same tile as .*5\.jpg"),
    "too wide": ("4/9/5.png", grey(1).astype(np.uint16), r"5\.png: holds 1 bands of uint16"),
}


@pytest.mark.parametrize("case", STRAYS)
def test_a_file_that_does_not_fit_is_named(tmp_path, case):
    name, values, words = STRAYS[case]
    save(tmp_path / "t" / "4" / "8" / "5.png", grey(3))
    save(tmp_path / "t" / name, values)
    with pytest.raises(InputError, match=words):
        tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt")


def test_a_damaged_tile_is_named(tmp_path):
    save(tmp_path / "t" / "4" / "8" / "5.png", grey(3)).write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"5\.png: not readable as an image"):
        tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt")


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_folder_without_tiles_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=rf"{name}: (no such folder|holds no tiles)"):
        tile_folder_mosaic(tmp_path / name, tmp_path / "t.vrt")


def test_tiles_too_far_apart_for_one_raster_are_refused(tmp_path):
    count = 2**25
    for x in (0, count // 2):
        save(tmp_path / "t" / "25" / str(x) / "90.png", grey(1))
    assert count / 2 * 256 > math.pow(2, 31)
    with pytest.raises(InputError, match="too far for one raster"):
        tile_folder_mosaic(tmp_path / "t", tmp_path / "t.vrt")
