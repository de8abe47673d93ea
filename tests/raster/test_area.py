"""Areas of interest: any vector file in any CRS, the same pixel in any window."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import transform as transform_points

from eo_contrast.errors import InputError
from eo_contrast.raster.area import Area, load_area
from eo_contrast.raster.meta import RasterMeta

UTM = "EPSG:32633"
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_400_000)


def raster(
    height: int = 60, width: int = 80, crs: str | None = UTM, transform: Any = TRANSFORM
) -> RasterMeta:
    return RasterMeta(
        driver="GTiff",
        width=width,
        height=height,
        dtypes=("uint8",),
        crs=crs and CRS.from_user_input(crs),
        transform=transform,
    )


def placed(pixels: Any, transform: Affine = TRANSFORM) -> Any:
    """Geometry in pixels (column, row) to the raster's CRS."""
    return shapely.transform(pixels, lambda p: np.stack(transform @ tuple(p.T), axis=1))


def moved(geometry: Any, source: str, target: str) -> Any:
    def move(points: np.ndarray) -> np.ndarray:
        return np.stack(transform_points(source, target, *points.T.tolist())[:2], axis=1)

    return shapely.transform(geometry, move)


def write(path: Path, geometries: list[Any], crs: str | None = UTM, **choices: Any) -> Path:
    choices = {"geometry_type": geometries[0].geom_type, **choices}
    choices |= {"driver": "KML"} if path.suffix == ".kml" else {}
    wkb = shapely.to_wkb(np.array(geometries, object))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        pyogrio.raw.write(path, wkb, field_data=[], fields=[], crs=crs, **choices)
    return path


def whole(area: Area, meta: RasterMeta) -> np.ndarray:
    return area.inside(0, meta.height, 0, meta.width)


def centres_in(pixels: Any, meta: RasterMeta) -> np.ndarray:
    x, y = np.meshgrid(np.arange(meta.width) + 0.5, np.arange(meta.height) + 0.5)
    return shapely.contains_xy(pixels, x, y)


def star(middle: tuple[float, float], size: float, seed: int = 0) -> Any:
    """A jagged polygon with a hole."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 40))
    radii = rng.uniform(size / 2, size, 40)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] + middle
    return shapely.Polygon(around).difference(shapely.Point(middle).buffer(size / 3))


SHAPE = star((40.3, 28.7), 25)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".shp", ".kml", ".gml"])
def test_pixels_with_their_centre_inside_are_in_the_area(tmp_path, suffix):
    meta = raster()
    degrees = suffix in (".geojson", ".kml")
    polygon = moved(placed(SHAPE), UTM, "OGC:CRS84") if degrees else placed(SHAPE)
    path = write(tmp_path / f"a{suffix}", [polygon], "EPSG:4326" if degrees else UTM)
    inside = whole(load_area(path, meta, name="s.tif"), meta)
    assert inside.any()
    np.testing.assert_array_equal(inside, centres_in(SHAPE, meta))


def test_a_shapefile_may_come_zipped(tmp_path):
    meta = raster()
    write(tmp_path / "a.shp", [placed(SHAPE)])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for part in tmp_path.glob("a.*"):
            if part.suffix != ".zip":
                archive.write(part, part.name)
    inside = whole(load_area(tmp_path / "a.zip", meta, name="s.tif"), meta)
    np.testing.assert_array_equal(inside, centres_in(SHAPE, meta))


@pytest.mark.parametrize("crs", ["EPSG:32633", None, "missing"])
def test_geoparquet_is_read_with_the_crs_that_it_says(tmp_path, crs):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": []}
    if crs != "missing":
        column["crs"] = crs and CRS.from_user_input(crs).to_dict(projjson=True)
    geo = {"version": "1.1.0", "primary_column": "shape", "columns": {"shape": column}}
    polygon = placed(SHAPE) if crs == UTM else moved(placed(SHAPE), UTM, "OGC:CRS84")
    table = pyarrow.table({"shape": [shapely.to_wkb(polygon), None]})
    path = tmp_path / "a.parquet"
    parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    if crs is None:
        with pytest.raises(InputError, match=r"a\.parquet: has no CRS"):
            load_area(path, raster(), name="s.tif")
    else:
        inside = whole(load_area(path, raster(), name="s.tif"), raster())
        np.testing.assert_array_equal(inside, centres_in(SHAPE, raster()))


def test_all_features_count_and_where_they_overlap_once(tmp_path):
    meta = raster()
    parts = [shapely.box(5, 5, 30, 30), shapely.box(20, 20, 50, 40), shapely.box(60, 2, 70, 9)]
    path = write(tmp_path / "a.gpkg", [placed(part) for part in parts])
    inside = whole(load_area(path, meta, name="s.tif"), meta)
    np.testing.assert_array_equal(inside, centres_in(shapely.union_all(parts), meta))


def test_the_first_layer_with_polygons_counts(tmp_path):
    path = tmp_path / "a.gpkg"
    write(path, [placed(shapely.Point(1, 1))], layer="points")
    write(path, [placed(SHAPE)], layer="first", append=True)
    write(path, [placed(shapely.box(0, 0, 2, 2))], layer="second", append=True)
    inside = whole(load_area(path, raster(), name="s.tif"), raster())
    np.testing.assert_array_equal(inside, centres_in(SHAPE, raster()))


def test_polygons_inside_collections_count_and_what_else_is_there_does_not(tmp_path):
    mixed = shapely.GeometryCollection(
        [shapely.GeometryCollection([placed(SHAPE)]), placed(shapely.LineString([(0, 0), (9, 9)]))]
    )
    path = write(tmp_path / "a.gpkg", [mixed], geometry_type="GeometryCollection")
    inside = whole(load_area(path, raster(), name="s.tif"), raster())
    np.testing.assert_array_equal(inside, centres_in(SHAPE, raster()))


def test_a_polygon_that_crosses_itself_is_mended(tmp_path):
    bow = shapely.Polygon([(10, 10), (30, 31.3), (30, 10), (10, 28.9)])
    path = write(tmp_path / "a.gpkg", [placed(bow)])
    inside = whole(load_area(path, raster(), name="s.tif"), raster())
    np.testing.assert_array_equal(inside, centres_in(shapely.make_valid(bow), raster()))


def test_the_bounds_just_hold_what_is_inside_and_end_with_the_raster(tmp_path):
    path = write(tmp_path / "a.gpkg", [placed(shapely.box(70.6, -10, 200, 20.4))])
    area = load_area(path, raster(), name="s.tif")
    assert (area.top, area.bottom, area.left, area.right) == (0, 20, 71, 80)
    assert not area.inside(-3, 20, 80, 90).any()
    assert not area.inside(-3, 0, 0, 90).any()


def test_areas_side_by_side_share_no_pixel_and_leave_none_out(tmp_path):
    meta = raster(40, 40)
    edge = [(20.5, -1), (20.5, 10.5), (13.5, 20.5), (21.5, 41)]
    left = shapely.Polygon([(-1, -1), *edge, (-1, 41)])
    right = shapely.Polygon([(41, -1), *edge, (41, 41)])
    masks = [
        whole(load_area(write(tmp_path / f"{n}.gpkg", [placed(side)]), meta, name="s.tif"), meta)
        for n, side in enumerate((left, right))
    ]
    assert (masks[0] ^ masks[1]).all()


windows = st.tuples(
    st.integers(-20, 70), st.integers(0, 40), st.integers(-20, 90), st.integers(0, 50)
)


@settings(deadline=None, max_examples=50)
@given(window=windows, seed=st.integers(0, 5))
def test_a_pixel_is_the_same_in_every_window(tmp_path_factory, window, seed):
    meta = raster()
    path = tmp_path_factory.getbasetemp() / f"area-{seed}.gpkg"
    if not path.exists():
        polygon = moved(placed(star((30, 35), 40, seed)), UTM, "OGC:CRS84")
        write(path, [polygon], "EPSG:4326")
    area = load_area(path, meta, name="s.tif")
    top, height, left, width = window
    around = np.zeros((200, 200), bool)
    around[50:110, 50:130] = whole(area, meta)
    expected = around[50 + top : 50 + top + height, 50 + left : 50 + left + width]
    inside = area.inside(top, top + height, left, left + width)
    np.testing.assert_array_equal(inside, expected)


def test_an_area_can_be_sent_to_another_process(tmp_path):
    area = load_area(write(tmp_path / "a.gpkg", [placed(SHAPE)]), raster(), name="s.tif")
    received = pickle.loads(pickle.dumps(area))
    np.testing.assert_array_equal(whole(received, raster()), whole(area, raster()))


def test_a_rotated_raster_has_the_area_in_its_own_pixels(tmp_path):
    turned = Affine.translation(500_000, 5_400_000) @ Affine.rotation(33) @ Affine.scale(7, -7)
    meta = raster(transform=turned)
    path = write(tmp_path / "a.gpkg", [placed(SHAPE, turned)])
    inside = whole(load_area(path, meta, name="s.tif"), meta)
    np.testing.assert_array_equal(inside, centres_in(SHAPE, meta))


def test_straight_edges_in_degrees_are_bent_as_they_are_on_the_raster(tmp_path):
    # A parallel of 20 degrees strays by far more than a pixel from its chord in UTM.
    meta = raster(300, 300, transform=Affine(5000, 0, -250_000, 0, -5000, 6_500_000))
    path = write(tmp_path / "a.gpkg", [shapely.box(5, 50, 25, 55)], "EPSG:4326")
    inside = whole(load_area(path, meta, name="s.tif"), meta)
    x, y = np.meshgrid(np.arange(300) + 0.5, np.arange(300) + 0.5)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    centres = [shapely.Point(p) for p in np.stack(meta.transform @ tuple(pixels.T), axis=1)]
    lon, lat = shapely.get_coordinates(moved(centres, UTM, "OGC:CRS84")).T
    expected = ((lon > 5) & (lon < 25) & (lat > 50) & (lat < 55)).reshape(300, 300)
    differ = inside != expected
    near_edge = shapely.distance(
        shapely.points(lon, lat), shapely.box(5, 50, 25, 55).boundary
    ).reshape(300, 300)
    assert expected.sum() > 10_000
    assert near_edge[differ].max(initial=0) < 0.5 * 5000 / 111_000 / np.cos(np.radians(55))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32601", "EPSG:3995"])
def test_an_area_as_large_as_the_world_holds_the_whole_raster(tmp_path, crs):
    world = shapely.box(-180, -90, 180, 90)
    transforms = {
        "EPSG:4326": Affine(0.01, 0, 10, 0, -0.01, 50),
        "EPSG:3857": Affine(100, 0, 10_000, 0, -100, 20_000),
        "EPSG:32601": Affine(10, 0, 166_000, 0, -10, 100_000),
        "EPSG:3995": Affine(100, 0, -4000, 0, -100, 3000),
    }
    meta = raster(crs=crs, transform=transforms[crs])
    path = write(tmp_path / "a.gpkg", [world], "OGC:CRS84")
    assert whole(load_area(path, meta, name="s.tif"), meta).all()


@pytest.mark.parametrize("west", [-180, 0, -300])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32601"])
def test_an_area_across_the_antimeridian_is_found_however_longitudes_are_counted(
    tmp_path, west, crs
):
    meta = raster(18, 36, "EPSG:4326", Affine(10, 0, west, 0, -10, 90))
    polygon = shapely.box(170, 0, 190, 20)
    if crs != "EPSG:4326":
        polygon = moved(shapely.segmentize(polygon, 0.1), "OGC:CRS84", crs)
    inside = whole(load_area(write(tmp_path / "a.gpkg", [polygon], crs), meta, name="s.tif"), meta)
    middles = (west + np.arange(36) * 10 + 5) % 360
    expected = np.zeros((18, 36), bool)
    expected[7:9] = (middles > 170) & (middles < 190)
    np.testing.assert_array_equal(inside, expected)


def test_an_area_split_at_the_antimeridian_lies_on_a_raster_across_it(tmp_path):
    meta = raster(100, 100, "EPSG:32701", Affine(300, 0, 151_000, 0, -300, 9_000_000))
    halves = shapely.MultiPolygon(
        [shapely.box(179, -12, 180, -8), shapely.box(-180, -12, -179, -8)]
    )
    one = write(tmp_path / "a.geojson", [halves], "EPSG:4326")
    other = write(tmp_path / "b.geojson", [shapely.box(179, -12, 181, -8)], "EPSG:4326")
    masks = [whole(load_area(path, meta, name="s.tif"), meta) for path in (one, other)]
    assert masks[0].all()
    np.testing.assert_array_equal(*masks)


def test_a_square_around_the_pole_is_refused_on_a_raster_in_degrees(tmp_path):
    path = write(tmp_path / "a.gpkg", [shapely.box(-1e5, -1e5, 1e5, 1e5)], "EPSG:3995")
    meta = raster(180, 360, "EPSG:4326", Affine(1, 0, -180, 0, -1, 90))
    with pytest.raises(InputError, match=r"a\.gpkg: cannot be brought .* goes around a pole"):
        load_area(path, meta, name="s.tif")


def test_a_cap_in_degrees_lies_on_a_raster_over_the_pole(tmp_path):
    meta = raster(100, 100, "EPSG:3995", Affine(10_000, 0, -500_000, 0, -10_000, 500_000))
    path = write(tmp_path / "a.gpkg", [shapely.box(-180, 87, 180, 90)], "EPSG:4326")
    inside = whole(load_area(path, meta, name="s.tif"), meta)
    x, y = np.meshgrid(np.arange(100) - 49.5, np.arange(100) - 49.5)
    (edge,), _ = transform_points("OGC:CRS84", "EPSG:3995", [90], [87])[:2]
    radius = abs(edge) / 10_000
    off = np.hypot(x, y) - radius
    assert radius > 30
    np.testing.assert_array_equal(inside[abs(off) > 0.5], (off < 0)[abs(off) > 0.5])


def test_gdal_rasterises_alike(tmp_path):
    meta = raster(300, 300)
    pixels = star((150, 150), 140, seed=3)
    path = write(tmp_path / "a.gpkg", [placed(pixels)])
    inside = whole(load_area(path, meta, name="s.tif"), meta)
    expected = rasterize([pixels], out_shape=(300, 300)) > 0
    assert np.count_nonzero(inside != expected) == 0


def _missing(_path: Path) -> None:
    pass


def _text(path: Path) -> None:
    path.write_text("sign in to continue")


def _points(path: Path) -> None:
    write(path, [placed(shapely.Point(3, 3))])


def _lines(path: Path) -> None:
    write(path, [placed(shapely.LineString([(0, 0), (9, 0), (9, 9), (0, 0)]))])


def _nowhere(path: Path) -> None:
    write(path.with_suffix(".shp"), [placed(SHAPE)], None)
    (path.with_suffix(".shp")).rename(path)


@pytest.mark.parametrize(
    ("make", "suffix", "message"),
    [
        (_missing, ".gpkg", "a.gpkg: no such file"),
        (_text, ".gpkg", "a.gpkg: is not a vector file that can be read"),
        (_text, ".json", "a.json: is not a vector file that can be read"),
        (_points, ".gpkg", "a.gpkg: holds no polygon; --aoi needs areas, not points or lines"),
        (_lines, ".geojson", "a.geojson: holds no polygon"),
        (_nowhere, ".shp", "a.shp: has no CRS"),
    ],
)
def test_what_is_no_area_is_refused_by_name(tmp_path, make, suffix, message):
    path = tmp_path / f"a{suffix}"
    make(path)
    with pytest.raises(InputError, match=message):
        load_area(path, raster(), name="s.tif")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"crs": None}, r"s\.tif: has no CRS with --aoi"),
        ({"transform": None}, r"s\.tif: has no transform .* with --aoi"),
    ],
)
def test_a_raster_with_no_place_is_refused(tmp_path, place, message):
    path = write(tmp_path / "a.gpkg", [placed(SHAPE)])
    with pytest.raises(InputError, match=message):
        load_area(path, raster(**place), name="s.tif")


@pytest.mark.parametrize("crs", ["EPSG:4326", UTM])
def test_an_area_elsewhere_is_refused_with_both_places_in_degrees(tmp_path, crs):
    here = shapely.box(10, 45, 11, 46)
    polygon = here if crs == "EPSG:4326" else moved(here, "OGC:CRS84", crs)
    path = write(tmp_path / "a.gpkg", [polygon], crs)
    message = (
        r"a\.gpkg: no pixel of s\.tif has its centre in the area, which spans longitude "
        r"(10\.0|9\.9)\d+ to 11\.\d+ and latitude 4\d\.\d+ to 46\.\d+; the raster spans longitude "
        r"15\.00000 to 15\.01088 and latitude 48\.74\d+ to 48\.75\d+"
    )
    with pytest.raises(InputError, match=message):
        load_area(path, raster(), name="s.tif")


def test_an_area_between_pixel_centres_is_refused(tmp_path):
    path = write(tmp_path / "a.gpkg", [placed(shapely.box(3.6, 3.6, 4.4, 4.4))])
    with pytest.raises(InputError, match=r"no pixel of s\.tif has its centre in the area"):
        load_area(path, raster(), name="s.tif")


def test_a_crs_that_cannot_be_tied_to_the_raster_s_is_refused(tmp_path):
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    path = write(tmp_path / "a.gpkg", [placed(SHAPE)], local)
    with pytest.raises(InputError, match=r"a\.gpkg: (cannot be brought to|its CRS)"):
        load_area(path, raster(), name="s.tif")
