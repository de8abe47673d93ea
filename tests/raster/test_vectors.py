"""Polygons of a map: exact edges, no gap or overlap, and the same however it was cut."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent.parent))

from full_disk import files_of_at_most
from raster_factory import UTM_10M, random_values, write_raster

from eo_contrast.errors import InputError, WorldError
from eo_contrast.raster import outlines, vectors
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import unplaced_silently
from eo_contrast.raster.vector_files import refuse_unwritable
from eo_contrast.raster.vectors import polygon_steps, write_polygons

COLOURS = {
    "water": ((182, 208, 209),),
    "park": ((205, 247, 201), (175, 209, 159)),
    "road": ((255, 255, 255),),
    "building": ((195, 177, 177),),
}
NAMES = list(COLOURS)
AS_IS = {"simplify_px": 0.0, "sieve_px": 0}
WGS84_SURFACE_M2 = 510_065_621_724_089.0


@dataclass
class Layer:
    """What a vector file holds."""

    classes: list[str]
    areas: np.ndarray
    colours: list[str]
    polygons: np.ndarray
    crs: str | None

    def area_of(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for name, polygon in zip(self.classes, self.polygons, strict=True):
            total[name] += polygon.area
        return total


def drawn(classes: np.ndarray) -> np.ndarray:
    """The map (3, rows, columns) of class numbers."""
    colours = np.array([COLOURS[name][0] for name in NAMES], np.uint8)
    return np.moveaxis(colours[classes], -1, 0)


def landscape(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Class numbers in smooth patches, with specks."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [
        np.sin(x * rng.normal(0, 0.12) + y * rng.normal(0, 0.12) + rng.uniform(0, 6))
        for _ in range(12)
    ]
    classes = np.argmax(np.sum(np.reshape(waves, (3, 4, height, width)), axis=0), axis=0)
    noise = rng.random((height, width)) < 0.02
    return np.where(noise, rng.integers(0, 4, (height, width)), classes)


def write_map(path: Path, classes: np.ndarray, *, valid: Any = None, **profile: Any) -> Path:
    def mask(dataset: Any) -> None:
        if valid is not None:
            dataset.write_mask(valid)

    return write_raster(path, drawn(classes), edit=mask, **{**UTM_10M, **profile})


def read(path: Path) -> Layer:
    meta, _, wkb, fields = pyogrio.raw.read(path)
    columns = dict(zip(meta["fields"], fields, strict=True))
    return Layer(
        classes=list(columns["class"]),
        areas=columns["area_m2"].astype(float),
        colours=list(columns["colour"]),
        polygons=shapely.from_wkb(wkb),
        crs=meta["crs"],
    )


def polygonised(folder: Path, classes: np.ndarray, *, profile: Any = None, **choices: Any) -> Layer:
    raster = write_map(folder / "map.tif", classes, **(profile or {}))
    out = folder / "map.gpkg"
    count = write_polygons(raster, out, COLOURS, **choices)
    layer = read(out)
    assert len(layer.polygons) == count
    return layer


def in_pixels(layer: Layer, transform: Affine = UTM_10M["transform"]) -> np.ndarray:
    inverse = ~transform
    return shapely.transform(
        layer.polygons, lambda points: np.stack(inverse @ tuple(points.T), axis=1)
    )


def painted(layer: Layer, shape: tuple[int, int], empty: int = 9) -> np.ndarray:
    """Class numbers of the pixels that a layer's polygons cover."""
    pairs = zip(in_pixels(layer), map(NAMES.index, layer.classes), strict=True)
    return rasterize(pairs, out_shape=shape, fill=empty, dtype=np.uint8)


def assert_coverage(polygons: np.ndarray) -> None:
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)


def test_unsimplified_polygons_paint_the_pixels_they_came_from(tmp_path):
    classes = np.random.default_rng(0).integers(0, 4, (31, 23))
    layer = polygonised(tmp_path, classes, **AS_IS)
    np.testing.assert_array_equal(painted(layer, classes.shape), classes)
    assert_coverage(layer.polygons)


def test_a_pixel_has_the_class_of_the_colour_nearest_in_cielab(tmp_path):
    colour = pytest.importorskip("skimage.color")
    values = random_values(3, 40, 50)
    raster = write_raster(tmp_path / "a.tif", values, **UTM_10M)
    write_polygons(raster, tmp_path / "a.gpkg", COLOURS, **AS_IS)
    of_class = [(number, each) for number, name in enumerate(NAMES) for each in COLOURS[name]]
    palette = colour.rgb2lab(np.array([[each for _, each in of_class]], np.uint8))
    pixels = colour.rgb2lab(np.moveaxis(values, 0, -1))[:, :, None]
    nearest = colour.deltaE_cie76(pixels, palette).argmin(axis=2)
    expected = np.array([number for number, _ in of_class])[nearest]
    np.testing.assert_array_equal(painted(read(tmp_path / "a.gpkg"), (40, 50)), expected)


def test_masked_pixels_are_in_no_polygon(tmp_path):
    classes = landscape(30, 30)
    valid = np.random.default_rng(1).random((30, 30)) > 0.3
    layer = polygonised(tmp_path, classes, profile={"valid": valid}, **AS_IS)
    np.testing.assert_array_equal(painted(layer, (30, 30)), np.where(valid, classes, 9))


def test_edges_of_the_mask_are_simplified_too_and_stay_within_a_pixel(tmp_path):
    y, x = np.mgrid[:60, :60]
    valid = x > y // 2 + 10
    layer = polygonised(tmp_path, np.zeros((60, 60), int), profile={"valid": valid})
    (polygon,) = in_pixels(layer)
    assert shapely.get_num_coordinates(polygon) < 12
    assert polygon.area == pytest.approx(valid.sum(), rel=0.01)


def test_a_map_that_is_all_masked_gives_an_empty_layer(tmp_path):
    valid = np.zeros((5, 5), bool)
    layer = polygonised(tmp_path, np.zeros((5, 5), int), profile={"valid": valid})
    assert layer.classes == []


def test_simplified_polygons_cover_the_raster_without_gap_or_overlap(tmp_path):
    layer = polygonised(tmp_path, landscape(120, 90))
    assert_coverage(layer.polygons)
    assert layer.polygons.size > 10
    covered = shapely.union_all(layer.polygons)
    assert covered.equals(shapely.box(500_000, 5_400_000 - 1200, 500_900, 5_400_000))
    assert sum(polygon.area for polygon in layer.polygons) == pytest.approx(covered.area)


@pytest.mark.parametrize("run", [1, 2, 3, 7, 12])
def test_stairs_become_the_slope_that_they_stand_for(tmp_path, run):
    y, x = np.mgrid[:60, :60]
    layer = polygonised(tmp_path, (x > y // run + 8).astype(int))
    ends = [tuple(point) for point in in_pixels(layer)[0].exterior.coords]
    inner = [(x, y) for x, y in ends if 5 < y < 55 and 0 < x < 60]
    assert len(inner) <= 4
    assert all(abs(x - 9 - (y - 0.5) / run) < 1 for x, y in inner)


def test_a_speck_of_11_pixels_goes_and_one_of_12_stays(tmp_path):
    classes = np.zeros((30, 40), int)
    classes[5:8, 5:9] = 1
    classes[20:23, 20:24] = 1
    classes[22, 23] = 0
    layer = polygonised(tmp_path, classes, simplify_px=0.0)
    expected = np.zeros((30, 40), int)
    expected[5:8, 5:9] = 1
    np.testing.assert_array_equal(painted(layer, classes.shape), expected)


def test_a_fringe_one_pixel_wide_between_two_classes_goes_to_them(tmp_path):
    classes = np.zeros((30, 30), int)
    classes[:, 15] = 3
    classes[:, 16:] = 2
    assert polygonised(tmp_path, classes).classes == ["water", "road"]


def test_a_long_winding_part_is_one_part_and_stays(tmp_path):
    classes = np.zeros((50, 42), int)
    for turn in range(0, 48, 6):
        classes[turn : turn + 2] = 1
        columns = slice(0, 2) if turn % 12 else slice(40, 42)
        classes[turn : turn + 8, columns] = 1
    # Each straight of the road has 84 pixels, each field between two 160.
    layer = polygonised(tmp_path, classes, simplify_px=0.0, sieve_px=150)
    np.testing.assert_array_equal(painted(layer, classes.shape), classes)


@pytest.mark.parametrize("chunk_px", [13, 16, 47, 95])
def test_chunks_give_the_same_polygons_as_one_chunk(tmp_path, chunk_px):
    classes = landscape(95, 140)
    whole = polygonised(tmp_path, classes, simplify_px=0.0)
    cut = polygonised(tmp_path, classes, simplify_px=0.0, chunk_px=chunk_px)
    assert_coverage(cut.polygons)
    assert cut.classes == whole.classes
    assert shapely.equals(cut.polygons, whole.polygons).all()


@pytest.mark.parametrize("chunk_px", [13, 16, 47, 95])
def test_simplified_chunks_still_are_a_coverage_with_the_same_area_of_each_class(
    tmp_path, chunk_px
):
    classes = landscape(95, 140)
    whole = polygonised(tmp_path, classes)
    cut = polygonised(tmp_path, classes, chunk_px=chunk_px)
    assert_coverage(cut.polygons)
    assert sorted(cut.classes) == sorted(whole.classes)
    for name, area in whole.area_of().items():
        assert cut.area_of()[name] == pytest.approx(area, rel=0.02)
    assert sum(cut.area_of().values()) == pytest.approx(classes.size * 100)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6), chunk_px=st.integers(6, 30), classes=st.integers(2, 4))
def test_noise_and_masks_in_any_chunks_are_a_coverage(tmp_path_factory, seed, chunk_px, classes):
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(seed)
    noise = np.kron(rng.integers(0, classes, (13, 17)), np.ones((3, 3), int))
    noise = np.where(rng.random(noise.shape) < 0.2, rng.integers(0, classes, noise.shape), noise)
    profile = {"valid": rng.random(noise.shape) > 0.1}
    whole = polygonised(folder, noise, profile=profile, simplify_px=0.0, sieve_px=6)
    pixels = polygonised(
        folder, noise, profile=profile, simplify_px=0.0, sieve_px=6, chunk_px=chunk_px
    )
    assert pixels.area_of() == pytest.approx(whole.area_of())
    simple = polygonised(folder, noise, profile=profile, sieve_px=6, chunk_px=chunk_px)
    assert_coverage(pixels.polygons)
    assert_coverage(simple.polygons)


def test_polygons_too_large_to_hold_are_cut_at_a_chunk_and_still_a_coverage(tmp_path, monkeypatch):
    classes = landscape(95, 140)
    whole = polygonised(tmp_path, classes, simplify_px=0.0)
    monkeypatch.setattr(outlines, "MOST_PENDING_VERTICES", 100)
    cut = polygonised(tmp_path, classes, simplify_px=0.0, chunk_px=16)
    assert_coverage(cut.polygons)
    assert len(cut.polygons) > len(whole.polygons)
    assert cut.area_of() == pytest.approx(whole.area_of())


def test_a_rotated_raster_gives_the_same_polygons_rotated(tmp_path):
    turned = Affine.translation(500_000.1, 5_400_000.3) @ Affine.rotation(31) @ Affine.scale(0.3)
    classes = landscape(95, 90)
    straight = polygonised(tmp_path, classes, chunk_px=40)
    rotated = polygonised(tmp_path, classes, profile={"transform": turned}, chunk_px=40)
    assert_coverage(rotated.polygons)
    assert rotated.classes == straight.classes
    back, expected = in_pixels(rotated, turned), in_pixels(straight)
    assert np.abs(shapely.area(back) - shapely.area(expected)).max() < 1e-6
    assert shapely.hausdorff_distance(back, expected).max() < 1e-6


def test_polygons_are_sorted_by_class_then_by_first_vertex(tmp_path):
    layer = polygonised(tmp_path, landscape(80, 80))
    pixels = in_pixels(layer)
    firsts = [tuple(np.round(polygon.exterior.coords[0], 3)) for polygon in pixels]
    keys = list(zip(map(NAMES.index, layer.classes), firsts, strict=True))
    assert keys == sorted(keys)
    hexes = dict(zip(NAMES, ["#b6d0d1", "#cdf7c9", "#ffffff", "#c3b1b1"], strict=True))
    assert layer.colours == [hexes[name] for name in layer.classes]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".parquet"])
def test_the_same_map_gives_the_same_bytes(tmp_path, suffix, monkeypatch):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.setattr(vectors, "BATCH", 7)
    raster = write_map(tmp_path / "map.tif", landscape(60, 60))
    written = set()
    for _ in range(3):
        write_polygons(raster, tmp_path / f"a{suffix}", COLOURS, chunk_px=32)
        written.add((tmp_path / f"a{suffix}").read_bytes())
    assert len(written) == 1


def test_the_date_that_is_pinned_for_a_geopackage_is_free_again_afterwards(tmp_path):
    polygonised(tmp_path, np.zeros((4, 4), int))
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
    assert b"1970-01-01T00:00:00" in (tmp_path / "map.gpkg").read_bytes()


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".GPKG"])
def test_the_layer_has_the_raster_s_crs_and_the_name_that_was_asked(tmp_path, suffix):
    raster = write_map(tmp_path / "map.tif", landscape(30, 30))
    write_polygons(raster, tmp_path / f"a{suffix}", COLOURS, layer="land")
    info = pyogrio.read_info(tmp_path / f"a{suffix}")
    assert (info["crs"], info["layer_name"]) == ("EPSG:32633", "land")
    assert info["geometry_type"] == "Polygon"
    assert list(info["fields"]) == ["class", "area_m2", "colour"]


def test_geojson_is_in_degrees_counterclockwise_and_still_a_coverage(tmp_path):
    raster = write_map(tmp_path / "map.tif", landscape(60, 60))
    write_polygons(raster, tmp_path / "a.geojson", COLOURS, chunk_px=32)
    document = json.loads((tmp_path / "a.geojson").read_text())
    assert "crs" not in document
    polygons = np.array([shapely.geometry.shape(f["geometry"]) for f in document["features"]])
    assert all(polygon.exterior.is_ccw for polygon in polygons)
    assert not any(hole.is_ccw for polygon in polygons for hole in polygon.interiors)
    assert shapely.total_bounds(polygons) == pytest.approx((15, 48.747, 15.008, 48.753), abs=1e-3)
    assert_coverage(polygons)


def test_geojson_keeps_pixels_of_a_millimetre_apart(tmp_path):
    profile = {"transform": Affine(0.001, 0, 500_000, 0, -0.001, 5_400_000)}
    raster = write_map(tmp_path / "map.tif", landscape(20, 20), **profile)
    write_polygons(raster, tmp_path / "a.geojson", COLOURS, **AS_IS)
    assert_coverage(read(tmp_path / "a.geojson").polygons)


def test_geojson_is_cut_in_two_at_the_antimeridian(tmp_path):
    profile = {"crs": "EPSG:32701", "transform": Affine(10, 0, 166_000, 0, -10, 9_990_000)}
    raster = write_map(tmp_path / "map.tif", np.zeros((50, 100), int), **profile)
    write_polygons(raster, tmp_path / "a.geojson", COLOURS)
    (polygon,) = read(tmp_path / "a.geojson").polygons
    west, _, east, _ = polygon.bounds
    assert (polygon.geom_type, west, east) == ("MultiPolygon", -180, 180)


def test_geoparquet_says_its_crs_and_holds_the_same_polygons(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    raster = write_map(tmp_path / "map.tif", landscape(60, 60))
    for suffix in (".gpkg", ".parquet"):
        write_polygons(raster, tmp_path / f"a{suffix}", COLOURS)
    table = parquet.read_table(tmp_path / "a.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["columns"]["geometry"]["crs"]["id"] == {"authority": "EPSG", "code": 32633}
    packaged = read(tmp_path / "a.gpkg")
    assert table.column("class").to_pylist() == packaged.classes
    polygons = shapely.from_wkb(table.column("geometry").to_pylist())
    assert shapely.equals_identical(polygons, packaged.polygons).all()


def test_a_raster_with_no_place_gives_polygons_in_pixels_with_no_area(tmp_path):
    with unplaced_silently():
        raster = write_raster(tmp_path / "map.tif", drawn(np.zeros((4, 6), int)))
    write_polygons(raster, tmp_path / "a.fgb", COLOURS)
    layer = read(tmp_path / "a.fgb")
    assert layer.crs is None
    assert layer.polygons[0].bounds == (0, 0, 6, 4)
    assert np.isnan(layer.areas).all()


def test_a_raster_with_no_place_is_refused_for_geojson(tmp_path):
    with unplaced_silently():
        raster = write_raster(tmp_path / "map.tif", drawn(np.zeros((4, 6), int)))
    with pytest.raises(InputError, match=r"map\.tif: has no place on the Earth .* write \.gpkg"):
        write_polygons(raster, tmp_path / "a.geojson", COLOURS)


def test_areas_are_those_on_the_ellipsoid_not_on_the_map(tmp_path):
    # On the central meridian of UTM lengths are 0.9996 of those on the ground.
    profile = {"transform": Affine(10, 0, 499_800, 0, -10, 5_400_000)}
    layer = polygonised(tmp_path, landscape(40, 40), profile=profile)
    expected = shapely.area(layer.polygons) / 0.9996**2
    np.testing.assert_allclose(layer.areas, expected, rtol=1e-6)


@pytest.mark.parametrize("west", [-180, 0])
def test_the_whole_earth_has_the_surface_of_its_ellipsoid(tmp_path, west):
    profile = {"crs": "EPSG:4326", "transform": Affine(2, 0, west, 0, -2, 90)}
    layer = polygonised(tmp_path, np.zeros((90, 180), int), profile=profile)
    assert layer.areas[0] == pytest.approx(WGS84_SURFACE_M2, rel=1e-9)


@pytest.mark.parametrize(("crs", "south"), [("EPSG:3413", False), ("EPSG:3031", True)])
def test_an_area_that_holds_a_pole_is_measured_around_it(tmp_path, crs, south):
    profile = {"crs": crs, "transform": Affine(1000, 0, -100_000, 0, -1000, 100_000)}
    layer = polygonised(tmp_path, np.zeros((200, 200), int), profile=profile)
    # Stereographic: lengths at the pole are drawn at the scale of the true parallel.
    latitude = np.radians(71 if south else 70)
    e = 0.0818191908426215
    t = np.tan(np.pi / 4 - latitude / 2) * (
        (1 + e * np.sin(latitude)) / (1 - e * np.sin(latitude))
    ) ** (e / 2)
    m = np.cos(latitude) / np.sqrt(1 - (e * np.sin(latitude)) ** 2)
    k = 0.5 * m / t * np.sqrt((1 + e) ** (1 + e) * (1 - e) ** (1 - e))
    assert layer.areas[0] == pytest.approx((200_000 / k) ** 2, rel=2e-3)


def test_areas_across_the_antimeridian_are_no_larger_than_elsewhere(tmp_path):
    areas = []
    for zone, west in (("EPSG:32701", 166_000), ("EPSG:32731", 166_000)):
        profile = {"crs": zone, "transform": Affine(10, 0, west, 0, -10, 9_990_000)}
        areas += list(polygonised(tmp_path, np.zeros((50, 100), int), profile=profile).areas)
    assert areas[0] == pytest.approx(areas[1], rel=1e-9)


def test_progress_is_told_for_every_chunk(tmp_path):
    raster = write_map(tmp_path / "map.tif", landscape(50, 70))
    told: list[int] = []
    write_polygons(raster, tmp_path / "a.gpkg", COLOURS, chunk_px=32, advance=told.append)
    meta = RasterMeta(driver="GTiff", width=70, height=50, dtypes=("uint8",) * 3)
    assert told == list(range(1, polygon_steps(meta, 32) + 1)) == [1, 2, 3, 4, 5, 6]


def test_an_unknown_suffix_is_refused_with_those_that_are_known():
    message = r"a\.shp: polygons are written as \.gpkg, \.geojson, \.parquet, \.fgb"
    with pytest.raises(InputError, match=message):
        refuse_unwritable(Path("a.shp"))


def test_geoparquet_without_pyarrow_is_refused_before_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"a\.parquet: GeoParquet needs the package pyarrow"):
        refuse_unwritable(Path("a.parquet"))


@pytest.mark.parametrize("values", [np.zeros((1, 4, 4), np.uint8), np.zeros((3, 4, 4), np.uint16)])
def test_what_is_no_picture_is_refused(tmp_path, values):
    raster = write_raster(tmp_path / "a.tif", values, **UTM_10M)
    with pytest.raises(InputError, match=r"a\.tif: has . band\(s\) of uint"):
        write_polygons(raster, tmp_path / "a.gpkg", COLOURS)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb"])
@pytest.mark.parametrize("room", [0, 20_000, 120_000])
def test_a_full_disk_is_a_world_error(tmp_path, suffix, room):
    raster = write_map(tmp_path / "map.tif", landscape(150, 150))
    with files_of_at_most(room), pytest.raises(WorldError, match=rf"a\{suffix}: "):
        write_polygons(raster, tmp_path / f"a{suffix}", COLOURS, **AS_IS)
    assert {path.name for path in tmp_path.iterdir()} <= {"map.tif", f"a{suffix}"}


def test_rasterio_reads_what_was_written_here_as_one_map(tmp_path):
    """The factory's map is what this file takes it for."""
    classes = landscape(20, 20)
    with rasterio.open(write_map(tmp_path / "map.tif", classes)) as dataset:
        np.testing.assert_array_equal(dataset.read(), drawn(classes))
