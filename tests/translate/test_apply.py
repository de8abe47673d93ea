"""Translation of rasters: identity to the bit, models by their cards, nothing lost on the way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import morecantile
import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import RGB, UTM_10M, random_values, write_raster
from tiny_run import small_model

from eo_contrast.errors import InputError
from eo_contrast.inference.plan import plan_inference
from eo_contrast.raster.reader import RasterSource, open_raster
from eo_contrast.training.card import InputScaling
from eo_contrast.translate.apply import translate_raster
from eo_contrast.translate.finish import Finish
from eo_contrast.translate.job import TranslateOptions
from eo_contrast.translate.tile_models import IDENTITY, Model, load_tile_model

CPU = torch.device("cpu")


def translated(source: Path, model: str | Model = IDENTITY, **choices: Any) -> Path:
    loaded = load_tile_model(model, CPU) if isinstance(model, str) else model
    out = source.parent / "out" / f"{source.stem}.tif"
    finish = Finish(format=choices.pop("format", "cog"))
    options = TranslateOptions(**choices)
    translate_raster(source, out, loaded, options, finish=finish, overwrite=True, quiet=True)
    return out


@pytest.fixture
def model(tmp_path: Path) -> str:
    return small_model(tmp_path / "run")


def scene(path: Path, height: int = 150, width: int = 200, **profile: Any) -> Path:
    """A smooth RGB picture."""
    rows, columns = np.mgrid[:height, :width] / 20
    waves = [np.sin(rows + columns), np.cos(rows), np.sin(columns)]
    values = (127 + 100 * np.stack(waves)).astype(np.uint8)
    return write_raster(path, values, **{**UTM_10M, **profile})


@pytest.mark.parametrize("overlap", [0, 64])
@pytest.mark.parametrize("size", [(1, 1), (6, 6), (255, 255), (256, 256), (257, 257), (300, 200)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_identity_copies_every_pixel_bit_for_bit(tmp_path, dtype, size, overlap):
    values = random_values(2, *size, dtype)
    source = write_raster(tmp_path / "a.tif", values)
    out = translated(source, tile=128, overlap=overlap, format="gtiff")
    with rasterio.open(out) as dataset:
        assert dataset.read().tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", ["int8", "uint32", "int64", "uint64", "float64"])
def test_identity_copies_types_that_no_network_takes(tmp_path, dtype):
    values = random_values(1, 40, 30, dtype)
    out = translated(write_raster(tmp_path / "a.tif", values))
    with rasterio.open(out) as dataset:
        assert dataset.read().tobytes() == values.tobytes()


def test_identity_copies_an_internal_mask_and_the_pixels_beneath_it(tmp_path):
    values = random_values(3, 300, 270)
    valid = np.random.default_rng(3).random((300, 270)) > 0.5
    source = write_raster(tmp_path / "a.tif", values, edit=lambda d: d.write_mask(valid))
    with rasterio.open(translated(source, tile=128)) as dataset:
        assert MaskFlags.per_dataset in dataset.mask_flag_enums[0]
        np.testing.assert_array_equal(dataset.dataset_mask() > 0, valid)
        np.testing.assert_array_equal(dataset.read(), values)


def test_identity_keeps_nodata_scales_names_and_tags(tmp_path):
    def describe(dataset: Any) -> None:
        dataset.descriptions, dataset.scales = ("B02", "B03"), (1e-4, 1e-4)
        dataset.update_tags(campaign="spring")
        dataset.update_tags(1, wavelength_nm="490")

    values = random_values(2, 30, 20, "uint16")
    source = write_raster(tmp_path / "a.tif", values, edit=describe, nodata=0, **UTM_10M)
    with rasterio.open(translated(source)) as dataset:
        assert dataset.nodata == 0
        assert dataset.descriptions == ("B02", "B03")
        assert dataset.scales == (1e-4, 1e-4)
        assert dataset.tags()["campaign"] == "spring"
        assert dataset.tags(1) == {"wavelength_nm": "490"}
        assert dataset.transform == UTM_10M["transform"]
        assert dataset.crs == UTM_10M["crs"]


def test_a_translated_raster_is_an_rgb_picture_on_the_same_ground(tmp_path, model):
    out = translated(scene(tmp_path / "a.tif"), model)
    with rasterio.open(out) as dataset:
        assert (dataset.width, dataset.height) == (200, 150)
        assert dataset.dtypes == ("uint8",) * 3
        assert dataset.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert dataset.descriptions == RGB
        assert dataset.crs == UTM_10M["crs"]
        assert dataset.transform == UTM_10M["transform"]
        assert dataset.read().std() > 5


def test_the_result_names_software_model_and_source_but_no_time(tmp_path, model):
    source = scene(tmp_path / "a.tif")
    first = translated(source, model).read_bytes()
    with rasterio.open(tmp_path / "out" / "a.tif") as dataset:
        tags = dataset.tags()
    assert tags["EO_CONTRAST_SOURCE"] == "a.tif"
    assert tags["EO_CONTRAST_SOFTWARE"].startswith("eo-contrast ")
    assert len(tags["EO_CONTRAST_MODEL_SHA256"]) == 64
    assert translated(source, model).read_bytes() == first


def test_the_source_s_nodata_becomes_a_mask(tmp_path, model):
    source = scene(tmp_path / "a.tif")
    with rasterio.open(source, "r+") as dataset:
        hole = dataset.read()
        hole[:, 40:60, 50:90] = 0
        dataset.write(np.maximum(hole, np.where(hole > 0, 1, 0)))
        dataset.nodata = 0
    with rasterio.open(translated(source, model)) as dataset:
        assert dataset.nodata is None
        assert (dataset.dataset_mask()[40:60, 50:90] == 0).all()
        assert (dataset.dataset_mask() == 0).sum() == 20 * 40
        assert (dataset.read()[:, 40:60, 50:90] == 0).all()


def test_a_scene_is_translated_alike_however_it_is_cut(tmp_path, model):
    source = scene(tmp_path / "a.tif", 220, 300)
    with rasterio.open(translated(source, model, tile=512)) as dataset:
        expected = dataset.read().astype(int)
    with rasterio.open(translated(source, model, tile=192)) as dataset:
        cut = dataset.read().astype(int)
    assert np.abs(cut - expected).max() <= 1


def test_normalising_by_each_tile_makes_the_cuts_show(tmp_path, model):
    source = scene(tmp_path / "a.tif", 220, 300)
    with rasterio.open(translated(source, model, tile=512, norm="tile")) as dataset:
        expected = dataset.read().astype(int)
    with rasterio.open(translated(source, model, tile=192, norm="tile")) as dataset:
        cut = dataset.read().astype(int)
    assert np.abs(cut - expected).max() > 5


@pytest.mark.parametrize("resolution", [23.0, 6.0])
def test_another_ground_resolution_is_met_and_the_result_laid_back_on_the_source_s_grid(
    tmp_path, capsys, resolution
):
    model = load_tile_model(small_model(tmp_path / "run", ground_resolution_m=resolution), CPU)
    source = scene(tmp_path / "a.tif")
    out = tmp_path / "b.tif"
    translate_raster(source, out, model, TranslateOptions())
    assert f"translated at the model's {resolution:.3g} m" in capsys.readouterr().err
    with rasterio.open(out) as dataset:
        assert (dataset.width, dataset.height) == (200, 150)
        assert dataset.transform == UTM_10M["transform"]
        assert dataset.read().std() > 2


def test_on_the_model_s_grid_the_result_has_its_resolution_and_the_source_s_bounds(tmp_path):
    model = small_model(tmp_path / "run", ground_resolution_m=20)
    source = scene(tmp_path / "a.tif")
    with rasterio.open(source) as dataset:
        bounds = dataset.bounds
    with rasterio.open(translated(source, model, grid="model")) as dataset:
        assert (dataset.width, dataset.height) == (100, 75)
        assert dataset.bounds == pytest.approx(bounds)


def test_a_resolution_within_a_tenth_is_left_alone(tmp_path, capsys):
    model = load_tile_model(small_model(tmp_path / "run", ground_resolution_m=10.9), CPU)
    result = translate_raster(
        scene(tmp_path / "a.tif"), tmp_path / "b.tif", model, TranslateOptions(grid="model")
    )
    assert (result["width"], result["height"]) == (200, 150)
    assert "translated at" not in capsys.readouterr().err


def test_without_a_crs_the_user_is_told_and_pixels_are_taken_as_they_are(tmp_path, capsys):
    model = load_tile_model(small_model(tmp_path / "run", ground_resolution_m=1.0), CPU)
    source = write_raster(tmp_path / "a.tif", random_values(3, 30, 20))
    result = translate_raster(source, tmp_path / "b.tif", model, TranslateOptions())
    assert (
        "raster (no CRS that says it) is not known; translated pixel for pixel"
        in capsys.readouterr().err
    )
    assert (result["width"], result["height"]) == (20, 30)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (9, 70)])
def test_rasters_smaller_than_any_tile_are_translated(tmp_path, model, size):
    source = write_raster(tmp_path / "a.tif", random_values(3, *size))
    with rasterio.open(translated(source, model)) as dataset:
        assert (dataset.height, dataset.width) == size


def test_sixteen_bit_pixels_are_refused_by_a_model_of_bytes(tmp_path, model):
    source = write_raster(tmp_path / "a.tif", random_values(3, 9, 9, "uint16"))
    with pytest.raises(InputError, match="uint16 with values up to 65535, the model takes 0 to"):
        translated(source, model)


def test_sixteen_bit_pixels_fit_a_model_of_reflectance_by_their_scale(tmp_path):
    def scale(dataset: Any) -> None:
        dataset.scales = (1e-4,) * 3

    scaling = InputScaling(minimum=0, maximum=0.3)
    model = small_model(tmp_path / "run", scaling=scaling)
    values = random_values(3, 40, 40, "uint16") // 16
    plain = write_raster(tmp_path / "plain.tif", values)
    with pytest.raises(InputError, match="--scaling LOW,HIGH in the raster"):
        translated(plain, model)
    with rasterio.open(
        translated(write_raster(tmp_path / "a.tif", values, edit=scale), model)
    ) as d:
        assert d.dtypes == ("uint8",) * 3


def test_bands_that_no_name_tells_are_refused_and_taken_when_given(tmp_path, model):
    source = write_raster(tmp_path / "a.tif", random_values(4, 40, 40), photometric="MINISBLACK")
    with pytest.raises(InputError, match="--bands 1,2,3"):
        translated(source, model)
    assert translated(source, model, bands="1,2,3").exists()


def test_an_existing_result_is_left_untouched(tmp_path):
    source = scene(tmp_path / "a.tif")
    out = tmp_path / "b.tif"
    out.write_text("mine")
    with pytest.raises(InputError, match="already exists; give --overwrite"):
        translate_raster(source, out, load_tile_model(IDENTITY, CPU), TranslateOptions())
    assert out.read_text() == "mine"


@pytest.mark.parametrize("name", ["a.tif", "b.png"])
def test_the_source_itself_or_another_format_is_no_place_for_the_result(tmp_path, name):
    source = scene(tmp_path / "a.tif")
    before = source.read_bytes()
    with pytest.raises(InputError, match=name):
        translate_raster(
            source,
            tmp_path / name,
            load_tile_model(IDENTITY, CPU),
            TranslateOptions(),
            overwrite=True,
        )
    assert source.read_bytes() == before


def test_a_dry_run_tells_the_size_and_writes_nothing(tmp_path, model):
    source = scene(tmp_path / "a.tif", 700, 900)
    result = translate_raster(
        source,
        tmp_path / "b.tif",
        load_tile_model(model, CPU),
        TranslateOptions(tile=512),
        dry_run=True,
    )
    assert (result["width"], result["height"], result["megapixels"]) == (900, 700, 0.63)
    assert result["tiles"] == 4
    assert not (tmp_path / "b.tif").exists()


def test_the_summary_counts_skipped_tiles_and_says_what_took_longest(tmp_path, model):
    values = random_values(3, 300, 300)
    values[:, :, 100:] = 0
    source = write_raster(tmp_path / "a.tif", values, nodata=0)
    result = translate_raster(
        source,
        tmp_path / "b.tif",
        load_tile_model(model, CPU),
        TranslateOptions(tile=128, overlap=0),
        quiet=True,
    )
    assert (result["tiles"], result["skipped_tiles"]) == (9, 6)
    assert set(result["seconds"]) == {"total", "read", "infer", "write"}
    assert result["limited_by"] in ("reading", "network", "writing")
    assert result["peak_rss_mib"] > 0


def test_of_a_tall_raster_of_400_mb_a_few_are_in_memory_at_a_time(tmp_path):
    shape = {"width": 1000, "height": 400_000, "count": 1, "dtype": "uint8"}
    source = tmp_path / "tall.tif"
    with rasterio.open(source, "w", driver="GTiff", tiled=True, sparse_ok=True, **shape):
        pass

    with open_raster(source) as (dataset, meta):
        plan = plan_inference(
            RasterSource(dataset, meta, [1]), load_tile_model(IDENTITY, CPU).tiles
        )
    assert plan.strip_bytes < 8 << 20


@pytest.mark.parametrize("name", ["zurich_1091-322_00", "naip_m_4709963_se_14_1_20180716"])
def test_real_scenes_are_translated_whole(tmp_path, shared, name):
    source = shared / "data" / "scenes" / f"{name}.tif"
    model = load_tile_model(small_model(tmp_path / "run", ground_resolution_m=8.0), CPU)
    out = tmp_path / "b.tif"
    translate_raster(source, out, model, TranslateOptions(bands="1,2,3"), quiet=True)
    with rasterio.open(source) as before, rasterio.open(out) as after:
        assert (after.shape, after.crs) == (before.shape, before.crs)
        assert after.transform == before.transform
        assert isinstance(after.transform, Affine)
        assert after.read().std() > 2


def test_a_picture_named_by_a_quadkey_lies_on_its_tile(tmp_path):
    name = "0212300211313121"
    source = tmp_path / f"{name}.png"
    Image.fromarray(np.zeros((16, 32, 3), np.uint8)).save(source)
    column = int("".join(str(int(digit) & 1) for digit in name), 2)
    row = int("".join(str(int(digit) >> 1) for digit in name), 2)
    grid = morecantile.tms.get("WebMercatorQuad")
    wanted = grid.xy_bounds(morecantile.Tile(column, row, len(name)))
    with rasterio.open(translated(source)) as raster:
        assert raster.crs.to_epsg() == 3857
        assert tuple(raster.bounds) == pytest.approx(tuple(wanted), abs=1e-6)


def test_a_picture_with_an_everyday_number_for_a_name_has_no_place(tmp_path):
    source = tmp_path / "1003.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(source)
    with rasterio.open(translated(source)) as raster:
        assert raster.crs is None


def test_a_picture_placed_by_its_name_says_so(tmp_path, capsys):
    source = tmp_path / "16_10493_22826.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(source)
    out = tmp_path / "b.tif"
    translate_raster(source, out, load_tile_model(IDENTITY, CPU), TranslateOptions())
    assert "placed as web-map tile 16/10493/22826 by its name" in capsys.readouterr().err


@pytest.mark.parametrize(("resolution", "whose"), [(None, "the model"), (8.0, "says it)")])
def test_without_metres_a_raster_is_seen_as_the_training_tiles_were(
    tmp_path, capsys, resolution, whose
):
    source = tmp_path / "a.png"
    draws = np.random.default_rng(0)
    Image.fromarray(draws.integers(0, 256, (32, 48, 3), np.uint8)).save(source)
    folder = small_model(tmp_path / "run", zoom=0.5, ground_resolution_m=resolution)
    out = tmp_path / "b.tif"
    translate_raster(source, out, load_tile_model(folder, CPU), TranslateOptions(grid="model"))
    told = f"{whose} is not known; translated at 0.5 of its size (24 x 16"
    assert told in capsys.readouterr().err
    with rasterio.open(out) as raster:
        assert (raster.width, raster.height) == (24, 16)
