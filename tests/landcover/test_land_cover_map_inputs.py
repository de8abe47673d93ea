"""What a land-cover model is shown: bands by any name, values in its unit, two sensors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent))

from map_scenes import (
    CLASSES,
    S1,
    S2,
    card,
    decibel,
    loaded,
    named,
    optical,
    plain_probabilities,
    radar,
    reflectance,
    saved,
)
from raster_factory import UTM_10M, write_raster

from eo_contrast.inference.finish import Finish
from eo_contrast.inference.raster_run import Runner
from eo_contrast.landcover.map_job import MapOptions
from eo_contrast.landcover.map_model import load_land_cover_model
from eo_contrast.landcover.mapping import land_cover_map
from eo_contrast.landcover.nets import load_land_cover
from eo_contrast.raster.reader import open_raster

HEIGHT, WIDTH = 90, 101
VALUES = reflectance(HEIGHT, WIDTH)
COUNTS = np.rint(VALUES * 1e4).astype(np.uint16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return saved(folder / "s2", card())


@pytest.fixture(scope="module")
def both(folder: Path) -> Path:
    return saved(folder / "both", card("s1", "s2"))


@pytest.fixture(scope="module")
def expected(folder: Path, model: Path) -> np.ndarray:
    source = optical(folder / "plain.tif", VALUES, hole=False)
    return mapped(source, folder / "plain_map.tif", model)


def mapped(source: Path, out: Path, model: Path, **options: Any) -> np.ndarray:
    """The numbers of the classes."""
    land_cover_map(
        source, out, loaded(model), MapOptions(**options), finish=Finish(stac=False), quiet=True
    )
    with rasterio.open(out) as dataset:
        return dataset.read(1)


def agreeing(one: np.ndarray, other: np.ndarray) -> float:
    """Share of equal pixels: values that were stored otherwise are not the same to the last bit."""
    return float((one == other).mean())


def describing(*names: str, **more: Any) -> Callable[[Any], None]:
    def edit(dataset: Any) -> None:
        dataset.descriptions = names
        for key, value in more.items():
            setattr(dataset, key, value)

    return edit


def with_tags(**tags: str) -> Callable[[Any], None]:
    def edit(dataset: Any) -> None:
        dataset.descriptions = S2
        dataset.update_tags(**tags)

    return edit


SPELLINGS = {
    "of another product": ("B2", "b3", "B4", "B8"),
    "common": ("blue", "green", "red", "nir"),
    "of GDAL": tuple(f"{band}, central wavelength 9 nm" for band in ("B2", "B3", "B4", "B8")),
    "of files": tuple(f"T31TDH_20200101T000000_{band}_10m" for band in S2),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_bands_are_found_by_any_of_their_names(spelling, model, expected, tmp_path):
    order = [2, 0, 3, 1]
    names = [SPELLINGS[spelling][k] for k in order]
    other = np.full((1, HEIGHT, WIDTH), 77, np.uint16)
    values = np.concatenate([COUNTS[order], other])
    source = write_raster(tmp_path / "a.tif", values, edit=named(*names, "SCL"), **UTM_10M)
    assert agreeing(mapped(source, tmp_path / "map.tif", model), expected) == 1


def test_bands_are_found_by_their_colours(folder, tmp_path):
    stated = card()
    three = stated.encoder.sensors["s2"].model_dump()
    three |= {key: three[key][:3] for key in ("bands", "lowest", "highest", "mean", "deviation")}
    encoder = stated.encoder.model_copy(update={"sensors": {"s2": type(SENSOR)(**three)}})
    model = saved(folder / "three", stated.model_copy(update={"encoder": encoder}))

    def coloured(dataset: Any) -> None:
        dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)

    by_colour = write_raster(tmp_path / "a.tif", COUNTS[[2, 1, 0]], edit=coloured, **UTM_10M)
    by_name = write_raster(tmp_path / "b.tif", COUNTS[:3], edit=named(*S2[:3]), **UTM_10M)
    one = mapped(by_colour, tmp_path / "a_map.tif", model)
    assert agreeing(one, mapped(by_name, tmp_path / "b_map.tif", model)) == 1


SENSOR = card().encoder.sensors["s2"]


def test_bands_without_names_are_taken_in_order_and_that_is_told(model, expected, tmp_path, capsys):
    source = write_raster(tmp_path / "a.tif", COUNTS, **UTM_10M)
    out = tmp_path / "map.tif"
    land_cover_map(source, out, loaded(model), finish=Finish(stac=False))
    assert "its bands have no names; taken for B02 B03 B04 B08, in this order" in (
        capsys.readouterr().err
    )
    with rasterio.open(out) as dataset:
        assert agreeing(dataset.read(1), expected) == 1


def test_one_name_for_all_bands_is_no_name(model, expected, tmp_path, capsys):
    source = write_raster(tmp_path / "a.tif", COUNTS, edit=named(*["bands"] * 4), **UTM_10M)
    out = tmp_path / "map.tif"
    land_cover_map(source, out, loaded(model), finish=Finish(stac=False))
    assert "its bands have no names; taken for B02 B03 B04 B08" in capsys.readouterr().err
    with rasterio.open(out) as dataset:
        assert agreeing(dataset.read(1), expected) == 1


def test_bands_are_those_that_are_asked_for(model, expected, tmp_path):
    source = write_raster(tmp_path / "a.tif", COUNTS[::-1], **UTM_10M)
    assert agreeing(mapped(source, tmp_path / "map.tif", model, bands="4,3,2,1"), expected) == 1


BASELINE_4 = "S2A_MSIL2A_20220301T103021_N0400_R108_T31TDH_20220301T140000.tif"


@pytest.mark.parametrize(
    ("name", "values", "profile", "options"),
    [
        ("float.tif", VALUES, {}, {}),
        (BASELINE_4, COUNTS + 1000, {}, {}),
        (BASELINE_4.replace("N0400", "N0300"), COUNTS, {}, {}),
        ("tags.tif", COUNTS + 1000, {"edit": with_tags(BOA_ADD_OFFSET="-1000")}, {}),
        ("processed.tif", COUNTS + 1000, {"edit": with_tags(PROCESSING_BASELINE="05.10")}, {}),
        (
            "stated.tif",
            COUNTS + 1000,
            {"edit": describing(*S2, scales=(1e-4,) * 4, offsets=(-0.1,) * 4)},
            {},
        ),
        (
            "hundredths.tif",
            np.rint(VALUES * 2e4).astype(np.int32),
            {"edit": describing(*S2, scales=(5e-5,) * 4)},
            {},
        ),
        ("by-hand.tif", COUNTS + 1000, {}, {"scaling": "1000,11000"}),
        ("counts.tif", COUNTS.astype(np.float32), {}, {"scaling": "0,10000"}),
    ],
)
def test_values_are_reflectance_however_they_are_stored(
    name, values, profile, options, model, expected, tmp_path
):
    source = write_raster(tmp_path / name, values, **{"edit": named(*S2), **UTM_10M, **profile})
    assert agreeing(mapped(source, tmp_path / "map.tif", model, **options), expected) > 0.998


def test_an_offset_that_seems_to_be_in_is_warned_of(model, tmp_path, capsys):
    counts = np.maximum(COUNTS, 200) + 830
    source = write_raster(tmp_path / "a.tif", counts, edit=named(*S2), **UTM_10M)
    land_cover_map(source, tmp_path / "map.tif", loaded(model), finish=Finish(stac=False))
    assert "give --scaling 1000,11000" in capsys.readouterr().err


def test_pictures_are_taken_as_0_to_1(folder, tmp_path):
    model = saved(folder / "rgb", card("rgb"))
    shares = reflectance(60, 60, 3)
    counts = np.rint(shares * 255).astype(np.uint8)
    stored = write_raster(tmp_path / "a.tif", counts, **UTM_10M)
    floats = write_raster(
        tmp_path / "b.tif",
        (counts / 255).astype(np.float32),
        edit=named("red", "green", "blue"),
        **UTM_10M,
    )
    one = mapped(stored, tmp_path / "a_map.tif", model)
    assert agreeing(one, mapped(floats, tmp_path / "b_map.tif", model)) > 0.998
    assert len(np.unique(one)) > 1


def moved(by_m: float, size_m: float = 10.0) -> dict[str, Any]:
    transform = Affine(size_m, 0, 500_000 + by_m, 0, -size_m, 5_400_000 - by_m)
    return {"crs": "EPSG:32633", "transform": transform}


def test_two_sensors_on_one_grid_are_seen_as_they_are(both, tmp_path):
    backscatter = decibel(HEIGHT, WIDTH)
    s2 = optical(tmp_path / "s2.tif", VALUES, hole=False)
    s1 = radar(tmp_path / "s1.tif", backscatter)
    told = mapped(s2, tmp_path / "a.tif", both, beside={"s1": s1})
    turned = mapped(s1, tmp_path / "b.tif", both, beside={"s2": s2})
    np.testing.assert_array_equal(told, turned)
    net, stated = load_land_cover(both)
    values = np.concatenate([backscatter, (COUNTS * np.float32(1e-4))])
    shares = plain_probabilities(net, stated, values, np.ones((HEIGHT, WIDTH), bool))
    top = np.sort(shares, axis=0)
    sure = top[-1] - top[-2] > 1e-4
    np.testing.assert_array_equal(told[sure], shares.argmax(0)[sure])
    assert len(np.unique(told)) > 1


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_a_sensor_that_is_missing_is_done_without(folder, tmp_path, drop, capsys):
    where = saved(folder / f"both{drop}", card("s1", "s2", drop_sensor=drop))
    backscatter = decibel(HEIGHT, WIDTH)
    model = load_land_cover_model(str(where), torch.device("cpu"), without=("s2",))
    out, finish = tmp_path / "a.tif", Finish(stac=False)
    s1 = radar(tmp_path / "s1.tif", backscatter)
    land_cover_map(s1, out, model, finish=finish)
    with rasterio.open(out) as dataset:
        told = dataset.read(1)
    net, stated = load_land_cover(where)
    alone = stated.model_copy(update={"sensors": ("s1",)})
    shares = plain_probabilities(net, alone, backscatter, np.ones((HEIGHT, WIDTH), bool))
    top = np.sort(shares, axis=0)
    sure = top[-1] - top[-2] > 1e-4
    np.testing.assert_array_equal(told[sure], shares.argmax(0)[sure])
    assert len(np.unique(told)) > 1
    assert ("never learnt to do without s2" in capsys.readouterr().err) == (drop == 0)


def test_workers_do_without_the_sensor_too(both, tmp_path):
    s1 = radar(tmp_path / "s1.tif", decibel(HEIGHT, WIDTH))
    model = load_land_cover_model(str(both), torch.device("cpu"), without=("s2",))
    for name, runner in (("one.tif", Runner()), ("two.tif", Runner(workers=2))):
        finish = Finish(stac=False)
        land_cover_map(s1, tmp_path / name, model, finish=finish, runner=runner, quiet=True)
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "two.tif").read_bytes()


def test_the_other_sensor_is_laid_on_the_first_one_s_grid(both, tmp_path):
    fine = decibel(2 * HEIGHT + 40, 2 * WIDTH + 40)  # 5 m, and 100 m more on each side
    s2 = optical(tmp_path / "s2.tif", VALUES, hole=False)
    s1 = radar(tmp_path / "s1.tif", fine, **moved(-100, 5.0))
    laid = fine[:, 20:-20, 20:-20].reshape(2, HEIGHT, 2, WIDTH, 2).mean((2, 4))
    on_grid = radar(tmp_path / "on_grid.tif", laid.astype(np.float32))
    one = mapped(s2, tmp_path / "a.tif", both, beside={"s1": s1})
    other = mapped(s2, tmp_path / "b.tif", both, beside={"s1": on_grid})
    assert (one != 255).all()
    assert agreeing(one, other) > 0.97


def test_another_projection_is_laid_on_the_grid_too(both, tmp_path):
    s2 = optical(tmp_path / "s2.tif", VALUES, hole=False)
    s1 = radar(tmp_path / "s1.tif", decibel(HEIGHT, WIDTH))
    with rasterio.open(s1) as dataset:
        from rasterio.warp import calculate_default_transform, reproject

        transform, width, height = calculate_default_transform(
            dataset.crs, "EPSG:4326", dataset.width, dataset.height, *dataset.bounds
        )
        turned = np.full((2, height, width), np.nan, np.float32)
        reproject(
            dataset.read(),
            turned,
            src_transform=dataset.transform,
            src_crs=dataset.crs,
            dst_transform=transform,
            dst_crs="EPSG:4326",
            dst_nodata=np.nan,
            resampling=rasterio.enums.Resampling.bilinear,
        )
    other = radar(tmp_path / "s1_wgs.tif", turned, crs="EPSG:4326", transform=transform)
    one = mapped(s2, tmp_path / "a.tif", both, beside={"s1": s1})
    two = mapped(s2, tmp_path / "b.tif", both, beside={"s1": other})
    inside = two != 255
    assert inside.mean() > 0.9
    assert (one == two)[inside].mean() > 0.95


def test_there_is_no_class_where_either_sensor_has_no_data(both, tmp_path):
    s2 = optical(tmp_path / "s2.tif", VALUES)
    backscatter = decibel(HEIGHT, WIDTH)
    backscatter[1, 60:70, 5:20] = np.nan
    s1 = radar(tmp_path / "s1.tif", backscatter[:, :80])  # ten rows are not covered
    told = mapped(s2, tmp_path / "a.tif", both, beside={"s1": s1})
    with rasterio.open(s2) as dataset:
        nothing = dataset.read(1) == 0
    nothing[60:70, 5:20] = True
    nothing[80:] = True
    np.testing.assert_array_equal(told == 255, nothing)
    assert (told[~nothing] < len(CLASSES)).all()


def test_what_is_read_of_the_other_sensor_does_not_depend_on_how_it_is_read(both, tmp_path):
    from eo_contrast.landcover.map_job import prepare_map

    s2 = optical(tmp_path / "s2.tif", reflectance(300, 60), hole=False)
    s1 = radar(tmp_path / "s1.tif", decibel(400, 90), **moved(-33.3, 9.1))
    with open_raster(s2) as (dataset, meta):
        options = MapOptions(beside={"s1": s1})
        job = prepare_map(loaded(both), options, False, dataset, meta, s2, "s2.tif")
    with job.opener() as source:
        whole = source.read(0, 300, 0, 60)
    with job.opener() as source:
        parts = [source.read(top, min(top + 23, 300), 0, 60) for top in range(0, 300, 23)]
    values = np.concatenate([part.values for part in parts], axis=1)
    assert values.tobytes() == whole.values.tobytes()
    assert whole.values.shape[0] == len(S1) + len(S2)
