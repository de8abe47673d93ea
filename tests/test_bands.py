"""Names, orders and meanings of Sentinel bands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eo_contrast import bands
from eo_contrast.errors import InputError


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("B1", "B01"),
        ("B01", "B01"),
        ("b8a", "B8A"),
        ("B08A", "B8A"),
        ("B10", "B10"),
        (" vh ", "VH"),
    ],
)
def test_a_band_is_known_however_a_data_set_spells_it(spelled, name):
    assert bands.band_name(spelled) == name


@pytest.mark.parametrize("spelled", ["", "B0", "B13", "B1A", "B001", "B9A", "HH", "red"])
def test_an_unknown_band_is_named(spelled):
    with pytest.raises(InputError, match=f"band '{spelled}'.*B8A"):
        bands.band_name(spelled)


def test_surface_reflectance_has_no_cirrus_band():
    assert len(bands.L1C) == 13
    assert set(bands.L1C) - set(bands.L2A) == {"B10"}


def test_eurosat_stores_the_narrow_infrared_band_last():
    order = bands.ORDERS["eurosat-ms"]
    assert order[-1] == "B8A"
    assert order[8:12] == ("B09", "B10", "B11", "B12")
    assert bands.positions(order, ("B8A", "B02")) == [12, 1]


@pytest.mark.parametrize("order", bands.ORDERS.values(), ids=bands.ORDERS)
def test_every_order_has_known_bands_once_each(order):
    assert len(set(order)) == len(order)
    assert all(bands.band_name(name) == name for name in order)


@pytest.mark.parametrize("product", bands.PRODUCTS.values(), ids=bands.PRODUCTS)
def test_every_band_of_a_product_has_statistics_within_its_range(product):
    for name in product.bands:
        assert bands.BANDS[name].ground_m in (10, 20, 60)
        assert product.lowest[name] < product.statistics[name].mean < product.highest[name]
        assert product.statistics[name].deviation > 0


@given(st.permutations(bands.L1C), st.sets(st.sampled_from(bands.L1C), min_size=1))
def test_bands_are_found_by_name_in_any_order(stored, wanted):
    chosen = sorted(wanted)
    assert [stored[place] for place in bands.positions(stored, chosen)] == chosen


def test_a_band_that_is_not_there_or_there_twice_is_refused():
    with pytest.raises(InputError, match="bands B10: not among those stored, B01 B02"):
        bands.positions(["B01", "B02"], ["B10"])
    with pytest.raises(InputError, match="bands B02: stored twice"):
        bands.positions(["B02", "B01", "B02"], ["B01"])


def test_unknown_products_are_refused():
    assert bands.product("s2-l1c").bands == bands.L1C
    with pytest.raises(InputError, match=r"product 's2-l3'.*s2-l2a"):
        bands.product("s2-l3")


@pytest.mark.parametrize(
    ("name", "baseline", "offset"),
    [
        ("S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE", 2.06, 0),
        ("S2B_MSIL2A_20220126T105229_N0400_R051_T31TDH_20220126T125014.SAFE", 4.0, -1000),
        ("S2A_MSIL2A_20160601T105032_N0500_R051_T31TDH_20231019T010203.SAFE", 5.0, -1000),
        ("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57", 99.99, 0),
        ("T31TDH_20220126T105229_B02.jp2", None, 0),
    ],
)
def test_the_baseline_and_not_the_date_decides_about_the_offset(name, baseline, offset):
    assert bands.baseline_of(name) == baseline
    assert bands.offset_of(bands.baseline_of(name)) == offset


@given(arrays(np.uint16, (3, 4)), st.sampled_from([0, -1000]))
def test_reflectance_is_the_count_with_its_offset_over_ten_thousand(counts, offset):
    values, valid = bands.reflectance(counts, offset=offset)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(valid, counts > 0)
    expected = np.where(counts > 0, (counts.astype(np.float64) + offset) / 10_000, 0)
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-7)


def test_products_of_both_baselines_agree_after_reading():
    before = np.array([0, 1, 800, 3000], np.uint16)
    after = np.where(before > 0, before + 1000, 0).astype(np.uint16)
    one, _ = bands.reflectance(before)
    other, valid = bands.reflectance(after, offset=bands.offset_of(4.0))
    np.testing.assert_allclose(one, other, atol=1e-7)
    np.testing.assert_array_equal(valid, [False, True, True, True])


@given(arrays(np.float32, (5,), elements=st.floats(-60, 20, width=32)))
def test_decibel_undoes_the_power_of_ten(decibels):
    values, valid = bands.decibel(10 ** (decibels.astype(np.float64) / 10))
    assert valid.all()
    np.testing.assert_allclose(values, decibels, atol=1e-4)


def test_what_has_no_logarithm_is_no_data():
    power = np.array([1.0, 0.0, -0.1, np.nan, np.inf, 0.5])
    values, valid = bands.decibel(power, nodata=0.5)
    np.testing.assert_array_equal(valid, [True, False, False, False, False, False])
    assert np.isfinite(values).all()


def test_linear_power_is_told_from_decibel():
    rng = np.random.default_rng(0)
    decibels = rng.normal(-12.5, 5, 1000)
    assert not bands.looks_linear(decibels)
    assert bands.looks_linear(10 ** (decibels / 10))
    assert not bands.looks_linear(np.full(3, np.nan))
    assert not bands.looks_linear(np.zeros(3))
