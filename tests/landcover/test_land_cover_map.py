"""Land-cover maps: what the windows say, wherever they were cut; nodata, names and colours."""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import torch

sys.path.insert(0, str(Path(__file__).parent))

from map_scenes import (
    CLASSES,
    HOLE,
    S2,
    WINDOW,
    card,
    loaded,
    named,
    optical,
    plain_probabilities,
    reflectance,
    saved,
)
from raster_factory import UTM_10M, write_raster

from eo_contrast.inference.finish import Finish
from eo_contrast.landcover.class_colours import class_colours
from eo_contrast.landcover.map_job import MapOptions
from eo_contrast.landcover.mapping import land_cover_map
from eo_contrast.landcover.nets import load_land_cover

HEIGHT, WIDTH = 150, 117
TOLERANCE = 1e-4
"""Of probabilities: fixed point, and what rounding makes of another order of sums."""
STEP = 0.004
MODELS = {
    "pixels": card(),
    "places": card(kind="classification"),
    "tokens": card(name="vit_small"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Path]:
    return {name: saved(folder / name, stated) for name, stated in MODELS.items()}


@pytest.fixture(scope="module")
def scene(folder: Path) -> Path:
    return optical(folder / "scene.tif", reflectance(HEIGHT, WIDTH))


def mapped(
    source: Path, out: Path, model: Path, *, finish: Any = None, **options: Any
) -> dict[str, Any]:
    return land_cover_map(
        source,
        out,
        loaded(model),
        MapOptions(**options),
        finish=Finish(stac=False, **(finish or {})),
        overwrite=True,
        quiet=True,
    )


def classes_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def shares_of(path: Path) -> np.ndarray:
    """(classes, rows, columns), by the scale that the file states."""
    with rasterio.open(path) as dataset:
        return dataset.read() * np.array(dataset.scales)[:, None, None]


def stated_values(scene: Path) -> tuple[np.ndarray, np.ndarray]:
    with rasterio.open(scene) as dataset:
        counts = dataset.read()
    return (counts * np.float32(1e-4)).astype(np.float32), (counts != 0).all(0)


def clear(shares: np.ndarray, margin: float) -> np.ndarray:
    """Where the likeliest class leads the next by more than a margin."""
    top = np.sort(shares, axis=0)[-2:]
    return top[1] - top[0] > margin


@pytest.mark.parametrize("kind", MODELS)
def test_a_map_is_what_its_windows_say(kind, models, scene, tmp_path):
    out, probabilities = tmp_path / "map.tif", tmp_path / "p.tif"
    mapped(scene, out, models[kind], finish={"probabilities": str(probabilities)})
    values, valid = stated_values(scene)
    net, stated = load_land_cover(models[kind])
    expected = plain_probabilities(net, stated, values, valid)
    told, shares = classes_of(out), shares_of(probabilities)
    sure = clear(expected, TOLERANCE) & valid
    assert sure.sum() > 0.95 * valid.sum()
    np.testing.assert_array_equal(told[sure], expected.argmax(0)[sure])
    assert np.abs(shares - expected)[:, valid].max() < STEP / 2 + TOLERANCE
    assert (told[~valid] == 255).all() and (told[valid] < len(CLASSES)).all()
    assert len(np.unique(told[valid])) > 2


@pytest.mark.parametrize("kind", MODELS)
def test_the_size_of_a_tile_does_not_matter(kind, models, scene, tmp_path):
    made = {}
    for tile in (None, 1, 77, 400):
        out, probabilities = tmp_path / f"{tile}.tif", tmp_path / f"p{tile}.tif"
        mapped(scene, out, models[kind], tile=tile, finish={"probabilities": str(probabilities)})
        made[tile] = classes_of(out), shares_of(probabilities)
    first, shares = made[None]
    for told, others in made.values():
        assert np.abs(others - shares).max() < 1.5 * STEP  # a rounding to the next step
        sure = clear(shares, STEP + TOLERANCE)
        np.testing.assert_array_equal(told[sure], first[sure])


@pytest.mark.parametrize("kind", ["pixels", "tokens"])
def test_the_number_of_threads_does_not_matter(kind, models, scene, tmp_path):
    before = torch.get_num_threads()
    made = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            probabilities = tmp_path / f"p{threads}.tif"
            finish = {"probabilities": str(probabilities)}
            mapped(scene, tmp_path / f"{threads}.tif", models[kind], finish=finish)
            assert torch.get_num_threads() == threads
            made.append(probabilities.read_bytes() + (tmp_path / f"{threads}.tif").read_bytes())
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1]


def test_a_class_of_a_place_fills_the_middle_of_its_window(models, folder, tmp_path):
    source = optical(tmp_path / "a.tif", reflectance(96, 96), hole=False)
    mapped(source, tmp_path / "map.tif", models["places"], overlap=24)  # blocks of 8
    told = classes_of(tmp_path / "map.tif")
    blocks = told[12:84, 12:84].reshape(9, 8, 9, 8)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert len(np.unique(told)) > 1


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (31, 33), (32, 32), (17, 16)])
@pytest.mark.parametrize("kind", ["pixels", "places"])
def test_a_source_smaller_than_a_window(kind, size, models, tmp_path):
    source = optical(tmp_path / "a.tif", reflectance(*size), hole=False)
    told = mapped(source, tmp_path / "map.tif", models[kind])
    assert (told["width"], told["height"]) == size[::-1]
    numbers = classes_of(tmp_path / "map.tif")
    assert numbers.shape == size
    assert (numbers < len(CLASSES)).all()


def test_pixels_without_data_have_no_class_and_all_others_one(models, scene, tmp_path):
    told = mapped(scene, tmp_path / "map.tif", models["pixels"])
    numbers = classes_of(tmp_path / "map.tif")
    assert (numbers[HOLE] == 255).all()
    holes = (HOLE[0].stop - HOLE[0].start) * (HOLE[1].stop - HOLE[1].start)
    assert (numbers == 255).sum() == holes
    counted = {name: int((numbers == k).sum()) for k, name in enumerate(CLASSES)}
    assert told["classes"] == counted
    assert sum(told["classes"].values()) == HEIGHT * WIDTH - holes


def test_what_a_hole_held_changes_nothing_around_it(models, tmp_path):
    made = []
    for name, rubbish in (("a", 0), ("b", 65_535)):
        values = np.rint(reflectance(80, 90) * 1e4).astype(np.uint16)
        values[:, 30:40, 50:60] = rubbish
        source = write_raster(
            tmp_path / f"{name}.tif", values, nodata=rubbish, edit=named(*S2), **UTM_10M
        )
        mapped(source, tmp_path / f"{name}_map.tif", models["pixels"])
        made.append(classes_of(tmp_path / f"{name}_map.tif"))
    np.testing.assert_array_equal(*made)


def test_a_raster_without_any_data_is_a_map_without_any_class(models, tmp_path):
    source = optical(tmp_path / "a.tif", np.zeros((40, 50), np.float32) * np.ones((4, 1, 1)))
    told = mapped(source, tmp_path / "map.tif", models["pixels"])
    assert told["classes"] == dict.fromkeys(CLASSES, 0)
    assert told["skipped_tiles"] == told["tiles"]
    assert (classes_of(tmp_path / "map.tif") == 255).all()


def test_the_map_lies_where_its_source_does(models, scene, tmp_path):
    mapped(scene, tmp_path / "map.tif", models["pixels"])
    with rasterio.open(scene) as source, rasterio.open(tmp_path / "map.tif") as dataset:
        assert (dataset.crs, dataset.transform) == (source.crs, source.transform)
        assert (dataset.count, dataset.dtypes, dataset.nodata) == (1, ("uint8",), 255)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_colours_and_names_are_in_the_file(models, scene, tmp_path):
    mapped(scene, tmp_path / "map.tif", models["pixels"])
    with rasterio.open(tmp_path / "map.tif") as dataset:
        table = dataset.colormap(1)
        assert dataset.colorinterp[0].name == "palette"
        tags = dataset.tags()
    expected = [tuple(each) for each in class_colours(CLASSES).tolist()]
    assert [table[number][:3] for number in range(len(CLASSES))] == expected
    assert json.loads(tags["EO_CONTRAST_CLASSES"]) == list(CLASSES)


def gdal() -> ctypes.CDLL:
    """GDAL itself, which knows of legends what rasterio does not tell."""
    place = Path(rasterio.__file__).parent.parent / "rasterio.libs"
    found = sorted(place.glob("libgdal*"))
    if not found:
        pytest.skip("this rasterio brings no GDAL of its own")
    library = ctypes.CDLL(str(found[0]))
    for name, result, arguments in (
        ("GDALOpen", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]),
        ("GDALClose", None, [ctypes.c_void_p]),
        ("GDALGetRasterBand", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
        ("GDALGetRasterCategoryNames", ctypes.POINTER(ctypes.c_char_p), [ctypes.c_void_p]),
        ("GDALGetDefaultRAT", ctypes.c_void_p, [ctypes.c_void_p]),
        ("GDALRATGetRowCount", ctypes.c_int, [ctypes.c_void_p]),
        ("GDALRATGetColOfUsage", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
        ("GDALRATGetValueAsString", ctypes.c_char_p, [ctypes.c_void_p] + 2 * [ctypes.c_int]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def legend_in_gdal(path: Path) -> tuple[list[str], list[list[str]]]:
    """Category names, and value, name, count, red, green and blue of each row of the table."""
    library = gdal()
    library.GDALAllRegister()
    dataset = library.GDALOpen(str(path).encode(), 0)
    band = library.GDALGetRasterBand(dataset, 1)
    table = library.GDALGetDefaultRAT(band)  # GDAL reads what lies beside when it is first needed
    names: list[str] = []
    pointer = library.GDALGetRasterCategoryNames(band)
    while pointer and pointer[len(names)] is not None:
        names.append(pointer[len(names)].decode())
    columns = [library.GDALRATGetColOfUsage(table, usage) for usage in (5, 2, 1, 6, 7, 8)]
    rows = [
        [library.GDALRATGetValueAsString(table, row, column).decode() for column in columns]
        for row in range(library.GDALRATGetRowCount(table))
    ]
    library.GDALClose(dataset)
    return names, rows


def test_gdal_shows_the_classes_as_a_legend(folder, scene, tmp_path):
    names = ("Pastures & meadows", "Eau <salée>", "Urban", "Croplands")
    model = saved(folder / "named", card(classes=names))
    told = mapped(scene, tmp_path / "map.tif", model)
    shown, rows = legend_in_gdal(tmp_path / "map.tif")
    assert tuple(shown) == names
    colours = class_colours(names).tolist()
    for number, (value, name, count, *colour) in enumerate(rows):
        assert (value, name) == (str(number), names[number])
        assert float(count) == told["classes"][name]
        assert [int(part) for part in colour] == colours[number]


def test_probabilities_have_names_and_a_scale_and_add_up(models, scene, tmp_path):
    path = tmp_path / "p.tif"
    mapped(scene, tmp_path / "map.tif", models["pixels"], finish={"probabilities": str(path)})
    with rasterio.open(path) as dataset:
        assert dataset.descriptions == CLASSES
        assert set(dataset.dtypes) == {"uint8"}
        assert dataset.scales == (STEP,) * len(CLASSES)
        assert dataset.nodatavals == (255.0,) * len(CLASSES)
        valid = dataset.dataset_mask() > 0
        shares = dataset.read() * STEP
    assert (valid == (classes_of(tmp_path / "map.tif") != 255)).all()
    total = shares.sum(0)[valid]
    assert np.abs(total - 1).max() <= len(CLASSES) * STEP / 2 + 1e-9


def test_polygons_carry_the_classes_names_and_colours(models, scene, tmp_path):
    vector = tmp_path / "map.gpkg"
    told = mapped(scene, tmp_path / "map.tif", models["places"], finish={"vector": str(vector)})
    frame = pyogrio.raw.read(vector)
    columns = dict(zip(frame[0]["fields"], frame[3], strict=True))
    assert set(columns["class"]) == {name for name, count in told["classes"].items() if count}
    hexes = {
        name: "#{:02x}{:02x}{:02x}".format(*colour)
        for name, colour in zip(CLASSES, class_colours(CLASSES).tolist(), strict=True)
    }
    assert [hexes[name] for name in columns["class"]] == list(columns["colour"])
    # Blocks are larger than what gives way to its neighbours: areas are those of the pixels.
    for name, count in told["classes"].items():
        area = columns["area_m2"][columns["class"] == name].sum()
        assert area == pytest.approx(100 * count, rel=0.02)


def test_what_lies_outside_an_area_has_no_class(models, scene, tmp_path):
    area = tmp_path / "area.geojson"
    ring = [[500_100, 5_399_900], [500_600, 5_399_900], [500_600, 5_399_000], [500_100, 5_399_000]]
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    area.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    told = mapped(scene, tmp_path / "map.tif", models["pixels"], aoi=area)
    assert (told["width"], told["height"]) == (50, 90)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.transform.c == 500_100


@pytest.mark.parametrize("kind", ["pixels", "places"])
def test_a_raster_of_other_pixels_is_seen_at_the_model_s_and_mapped_on_its_own(kind, tmp_path):
    stated = MODELS[kind].model_copy(update={"ground_resolution_m": 20.0})
    model = saved(tmp_path / "m", stated)
    source = optical(tmp_path / "a.tif", reflectance(128, 120))
    mapped(source, tmp_path / "own.tif", model)
    told = mapped(source, tmp_path / "model.tif", model, grid="model")
    assert (told["width"], told["height"]) == (60, 64)
    own, coarse = classes_of(tmp_path / "own.tif"), classes_of(tmp_path / "model.tif")
    assert own.shape == (128, 120)
    _, valid = stated_values(source)
    np.testing.assert_array_equal(own == 255, ~valid)
    # Probabilities are laid back, not numbers: between 0 and 2 there is no 1.
    inside = (own != 255) & (np.kron(coarse, np.ones((2, 2), np.uint8)) != 255)
    assert set(np.unique(own[inside])) <= set(np.unique(coarse))
    same = own == np.kron(coarse, np.ones((2, 2), np.uint8))
    assert same[inside].mean() > 0.8


def test_places_that_were_enlarged_in_training_are_enlarged_here(tmp_path):
    stated = card(size=64, seen=WINDOW)
    model = loaded(saved(tmp_path / "m", stated))
    assert model.tiles.window == WINDOW
    source = optical(tmp_path / "a.tif", reflectance(WINDOW, WINDOW), hole=False)
    land_cover_map(source, tmp_path / "map.tif", model, finish=Finish(stac=False), quiet=True)
    assert classes_of(tmp_path / "map.tif").shape == (WINDOW, WINDOW)


@pytest.mark.parametrize("name", ["map.png", "map.mbtiles"])
def test_maps_are_pictures_and_tiles_as_well(name, models, scene, tmp_path):
    kind = {"map.png": "png", "map.mbtiles": "mbtiles"}[name]
    told = mapped(scene, tmp_path / name, models["pixels"], finish={"format": kind})
    assert sum(told["classes"].values()) > 0
    with rasterio.open(tmp_path / name) as dataset:
        assert dataset.count in (1, 4)


def test_a_dry_run_tells_what_it_would_take_and_writes_nothing(models, scene, tmp_path):
    told = land_cover_map(
        scene, tmp_path / "map.tif", loaded(models["pixels"]), dry_run=True, quiet=True
    )
    assert told["expected"]["seconds"] >= 0
    assert list(tmp_path.iterdir()) == []
