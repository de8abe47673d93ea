"""Label sets and what they are merged into."""

from __future__ import annotations

import numpy as np
import pytest

from eo_contrast.landcover.label_sets import (
    BIGEARTHNET_19,
    CORINE,
    DFC2020_8,
    IGBP_10,
    IGNORED,
    commonest,
    eight_of_igbp,
    nineteen_of_corine,
    nineteen_of_names,
    shares_above,
    ten_of_igbp,
)


def test_codes_and_names_of_corine_are_merged_alike():
    for code, name, _ in CORINE:
        merged = nineteen_of_names([name])
        position = int(nineteen_of_corine(np.array(code)))
        assert (BIGEARTHNET_19[position : position + 1] == tuple(merged)) or position == IGNORED


def test_a_code_that_corine_does_not_have_is_ignored():
    found = nineteen_of_corine(np.array([0, 110, 999, -3, 65535]))
    assert found.tolist() == [IGNORED] * 5


def test_both_editions_of_bigearthnet_name_one_class():
    of_first = nineteen_of_names(["Transitional woodland/shrub"])
    assert of_first == nineteen_of_names(["Transitional woodland, shrub"])


def test_labels_that_merge_into_one_class_give_it_once():
    found = nineteen_of_names(["Water courses", "Vineyards", "Water bodies", "Airports"])
    assert found == ["Permanent crops", "Inland waters"]


def test_a_name_that_bigearthnet_lacks_is_an_error():
    with pytest.raises(KeyError, match="Lawn"):
        nineteen_of_names(["Lawn"])


def test_savanna_and_snow_are_ignored():
    assert eight_of_igbp(np.array([8, 9, 15])).tolist() == [IGNORED] * 3


def test_ten_classes_keep_savanna_and_snow():
    found = ten_of_igbp(np.array([5, 6, 8, 9, 14, 15, 17]))
    assert [IGBP_10[position] for position in found] == [
        "Forest", "Shrubland", "Savanna", "Savanna", "Croplands", "Snow", "Water",
    ]  # fmt: skip


def test_a_code_that_igbp_does_not_have_is_none_of_the_ten():
    assert ten_of_igbp(np.array([0, 18, 255, -1, 65535])).tolist() == [IGNORED] * 5


def test_the_ten_without_savanna_and_snow_are_the_eight():
    codes = np.arange(1, 18)
    ten = [IGBP_10[position] for position in ten_of_igbp(codes)]
    eight = eight_of_igbp(codes)
    assert [name for name, kept in zip(ten, eight, strict=True) if kept != IGNORED] == [
        DFC2020_8[position] for position in eight if position != IGNORED
    ]


def test_a_place_that_is_mostly_ignored_has_no_label():
    assert commonest(np.array([[IGNORED, IGNORED], [IGNORED, 3]], np.uint8)) == IGNORED


def test_exactly_a_tenth_is_enough():
    labels = np.full(400, 5, np.uint8)
    labels[:40], labels[40:79] = 1, 2
    assert shares_above(labels, 8).nonzero()[0].tolist() == [1, 5]


def test_shares_are_of_all_pixels_ignored_ones_among_them():
    labels = np.full(100, IGNORED, np.uint8)
    labels[:9] = 0
    assert not shares_above(labels, 8).any()
