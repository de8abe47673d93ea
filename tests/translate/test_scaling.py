"""Declared input scaling: one for a whole raster, never one a tile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster
from tiny_run import small_model

from eo_contrast.errors import InputError
from eo_contrast.inference.scaling import Scaling, parse_scaling, percentiles_of
from eo_contrast.raster.reader import Pixels, open_raster
from eo_contrast.training.card import InputScaling
from eo_contrast.translate.apply import Runner, translate_raster
from eo_contrast.translate.job import TranslateOptions, prepare_job
from eo_contrast.translate.tile_models import Model, load_tile_model

L1C_NAME = "S2A_MSIL1C_20230101T105441_N0509_R051_T31TDH_20230101T124911.tif"
L2A_NAME = "S2A_MSIL2A_20180101T105441_N0206_R051_T31TDH_20180101T124911.tif"


@pytest.fixture
def picture_model(tmp_path: Path) -> Model:
    return saved_model(tmp_path / "run")


def saved_model(folder: Path, **card: Any) -> Model:
    return load_tile_model(small_model(folder, **card), torch.device("cpu"))


def counts(path: Path, values: Any = None, **profile: Any) -> Path:
    """A scene of 16-bit counts: a rough landscape of 300 to 3,300."""
    if values is None:
        rows, columns = np.mgrid[:150, :200] / 20
        waves = [np.sin(rows + columns), np.cos(rows), np.sin(columns)]
        values = (1800 + 1500 * np.stack(waves)).astype(np.uint16)
    return write_raster(path, values, **{**UTM_10M, **profile})


def seen(path: Path, model: Model, scaling: str, *, edit_bands: str | None = None) -> Pixels:
    """What the model is shown of the whole raster, in its card's unit."""
    with open_raster(path) as (dataset, meta):
        job = prepare_job(
            dataset, meta, model, TranslateOptions(scaling=scaling, bands=edit_bands), path
        )
    with job.opener() as source:
        return source.read(0, source.height, 0, source.width)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("card", Scaling("card")),
        ("dtype", Scaling("dtype")),
        ("product", Scaling("product")),
        ("percentiles", Scaling("percentiles", 2, 98)),
        ("percentiles:0.5,99", Scaling("percentiles", 0.5, 99)),
        ("-200,3000", Scaling("range", -200, 3000)),
    ],
)
def test_scalings_are_written_in_these_ways(text, expected):
    assert parse_scaling(text) == expected


@pytest.mark.parametrize(
    "text", ["", "scene", "percentiles:2", "percentiles:98,2", "percentiles:-1,99", "5,5", "a,b",
             "0,inf", "range:0,1", "percentiles:2,98,99"]
)  # fmt: skip
def test_any_other_text_is_refused(text):
    with pytest.raises(InputError, match=r"is none of card, dtype"):
        parse_scaling(text)


def test_dtype_takes_the_whole_range_of_the_type_for_the_card_s(tmp_path, picture_model):
    path = counts(tmp_path / "a.tif")
    expected = rasterio.open(path).read() / 65535 * 255
    np.testing.assert_allclose(seen(path, picture_model, "dtype").values, expected, rtol=1e-6)


def test_a_float_has_no_largest_value_to_scale_by(tmp_path, picture_model):
    path = counts(tmp_path / "a.tif", random_values(3, 40, 40, "float32"))
    with pytest.raises(InputError, match="band 1 is float32, a type without a largest value"):
        seen(path, picture_model, "dtype")


def test_a_range_is_in_the_raster_s_values_by_its_own_scale_and_offset(tmp_path, picture_model):
    def scale(dataset: Any) -> None:
        dataset.scales, dataset.offsets = (1e-4,) * 3, (-0.1,) * 3

    path = counts(tmp_path / "a.tif", edit=scale)
    reflectance = rasterio.open(path).read() * 1e-4 - 0.1
    expected = reflectance / 0.3 * 255
    values = seen(path, picture_model, "0,0.3").values
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-3)


def test_percentiles_are_each_band_s_over_the_scene(tmp_path, picture_model):
    path = counts(tmp_path / "a.tif")
    stored = rasterio.open(path).read().astype(float)
    low, high = np.percentile(stored, (2, 98), axis=(1, 2), keepdims=True)
    expected = (stored - low) / (high - low) * 255
    values = seen(path, picture_model, "percentiles").values
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-3)


def test_percentiles_leave_nodata_out(tmp_path, picture_model):
    values = random_values(3, 60, 60, "uint16") // 40 + 300
    holed = values.copy()
    holed[:, :20] = 0
    path = counts(tmp_path / "a.tif", holed, nodata=0)
    low, high = np.percentile(values[:, 20:].astype(float), (2, 98), axis=(1, 2), keepdims=True)
    pixels = seen(path, picture_model, "percentiles")
    assert not pixels.valid[:20].any()
    expected = (values[:, 20:] - low) / (high - low) * 255
    np.testing.assert_allclose(pixels.values[:, 20:], expected, rtol=1e-4, atol=1e-2)


def test_a_band_of_one_value_is_no_division_by_zero(tmp_path, picture_model):
    values = random_values(3, 30, 30, "uint16") // 40
    values[1] = 7
    pixels = seen(counts(tmp_path / "a.tif", values), picture_model, "percentiles")
    assert np.isfinite(pixels.values).all()
    assert (pixels.values[1] == 0).all()


@given(
    low=st.floats(0, 49), high=st.floats(51, 100), seed=st.integers(0, 99), split=st.integers(1, 9)
)
def test_percentiles_do_not_depend_on_how_the_sample_is_cut(low, high, seed, split):
    values = np.random.default_rng(seed).integers(0, 5000, (2, 90))
    scaling = Scaling("percentiles", low, high)
    whole = percentiles_of([values], scaling)
    cut = percentiles_of([values[:, : 9 * split], values[:, 9 * split :]], scaling)
    assert whole == cut
    assert all(0 <= first <= last < 5000 for first, last in whole)


def test_a_product_of_counts_is_shown_as_its_true_colour_image(tmp_path, picture_model):
    values = random_values(3, 30, 30, "uint16") // 12 + 1001
    values[:, 0, 0] = 0
    path = counts(tmp_path / L1C_NAME, values)
    pixels = seen(path, picture_model, "product")
    expected = (values.astype(float) - 1000) / 3558 * 255
    assert not pixels.valid[0, 0]
    assert pixels.valid.sum() == 899
    held = pixels.valid[None].repeat(3, 0)
    np.testing.assert_allclose(pixels.values[held], expected[held], rtol=1e-5, atol=1e-2)


def test_a_product_s_level_and_baseline_decide(tmp_path, picture_model):
    values = random_values(3, 30, 30, "uint16") // 12 + 1
    path = counts(tmp_path / L2A_NAME, values)
    expected = values / 2000 * 255
    values = seen(path, picture_model, "product").values
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-2)


def test_a_product_is_reflectance_to_a_card_of_reflectance(tmp_path):
    model = saved_model(tmp_path / "run", scaling=InputScaling(minimum=0, maximum=0.4))
    values = random_values(3, 30, 30, "uint16") // 12 + 1
    pixels = seen(counts(tmp_path / L2A_NAME, values), model, "product")
    np.testing.assert_allclose(pixels.values, values / 10_000, rtol=1e-5)


def test_gdal_s_tags_of_a_product_are_believed_before_its_name(tmp_path, picture_model):
    def tag(dataset: Any) -> None:
        dataset.update_tags(PRODUCT_TYPE="S2MSI2A", BOA_QUANTIFICATION_VALUE="10000")
        for band in (1, 2, 3):
            dataset.update_tags(band, BOA_ADD_OFFSET="-1000")

    values = random_values(3, 30, 30, "uint16") // 12 + 1001
    path = counts(tmp_path / "a.tif", values, edit=tag)
    expected = (values.astype(float) - 1000) / 2000 * 255
    values = seen(path, picture_model, "product").values
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-2)


def test_what_is_no_known_product_is_refused(tmp_path, picture_model):
    with pytest.raises(InputError, match=r"a\.tif: neither its name nor its tags say"):
        seen(counts(tmp_path / "a.tif"), picture_model, "product")


@pytest.mark.parametrize("factor", [1 / 255, 400])
def test_floats_in_another_unit_than_the_card_s_are_refused(tmp_path, picture_model, factor):
    values = random_values(3, 40, 40).astype(np.float32) * np.float32(factor)
    with pytest.raises(InputError, match=r"largest value in a sample is .* --scaling percentiles"):
        seen(counts(tmp_path / "a.tif", values), picture_model, "card")


def test_floats_in_the_card_s_unit_pass_as_they_are(tmp_path, picture_model):
    values = random_values(3, 40, 40).astype(np.float32)
    np.testing.assert_array_equal(
        seen(counts(tmp_path / "a.tif", values), picture_model, "card").values, values
    )


def test_a_copy_keeps_its_values(tmp_path):
    identity = load_tile_model("identity", torch.device("cpu"))
    with pytest.raises(InputError, match="a copy keeps its values"):
        seen(counts(tmp_path / "a.tif"), identity, "percentiles")


def test_the_result_is_that_of_the_raster_scaled_beforehand(tmp_path, picture_model):
    path = counts(tmp_path / "a.tif")
    before = (rasterio.open(path).read().astype(np.float32) - 300) / 3000 * 255
    scaled = write_raster(tmp_path / "b.tif", before.astype(np.float32), **UTM_10M)
    for source, scaling in ((path, "300,3300"), (scaled, "card")):
        options = TranslateOptions(scaling=scaling)
        translate_raster(source, tmp_path / f"out_{source.name}", picture_model, options)
    one, other = (rasterio.open(tmp_path / f"out_{name}.tif").read() for name in "ab")
    assert abs(one.astype(int) - other).max() <= 1


def test_the_result_says_how_it_was_scaled_and_is_the_same_by_two_processes(
    tmp_path, picture_model
):
    path = counts(tmp_path / "a.tif")
    for name, workers in (("one", 1), ("two", 2)):
        translate_raster(
            path,
            tmp_path / f"{name}.tif",
            picture_model,
            TranslateOptions(scaling="percentiles", tile=64, overlap=0),
            runner=Runner(workers=workers),
            quiet=True,
        )
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "two.tif").read_bytes()
    told = rasterio.open(tmp_path / "one.tif").tags()["EO_CONTRAST_SCALING"]
    assert told.count(" to ") == 4
    assert told.endswith("are the model's 0 to 255")
