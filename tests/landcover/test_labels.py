"""Classes of places, read off labels and off label maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sources import Source, coloured, mapped, splits_of

from eo_contrast.errors import InputError
from eo_contrast.landcover.label_sets import BIGEARTHNET_19, IGNORED
from eo_contrast.landcover.labels import LabelConfig, labelled_places


def named(labels: list[str], splits: list[str] | None = None) -> Source:
    pixels = np.zeros((len(labels), 3, 8, 8), np.int16)
    return Source({"rgb": pixels}, splits or splits_of(len(labels)), labels)


def of(source: Source, task="classification", products=("rgb",), **config):
    return labelled_places(source, task, LabelConfig(**config), products=products, side=16)


def test_classes_are_the_labels_in_alphabetical_order():
    found = of(named(["lake", "forest", "town", "lake"]))
    assert found.classes == ("forest", "lake", "town")
    assert found.targets("train").tolist() == [1, 0]
    assert found.splits["test"].places.tolist() == [3]


def test_places_without_a_label_are_left_out():
    found = of(named(["lake", "", "town", "lake"]))
    assert found.splits["train"].places.tolist() == [0]


def test_several_labels_a_place_are_zeros_and_ones():
    found = of(named(["lake;town", "town", "lake", "town"]), "multi-label")
    assert found.targets("train").tolist() == [[1, 1], [0, 1]]


def test_several_labels_are_no_classification():
    with pytest.raises(InputError, match=r"the labels lake and town, .* give task=multi-label"):
        of(named(["lake;town", "town", "lake", "town"]))


def test_labels_of_bigearthnet_are_merged_into_nineteen():
    labels = ["Vineyards;Airports", "Olive groves", "Pastures", "Water bodies"]
    found = of(named(labels), "multi-label", scheme="bigearthnet-19")
    assert found.classes == BIGEARTHNET_19
    assert found.targets("train").argmax(1).tolist() == [3, 3]


def test_a_label_that_bigearthnet_lacks_is_refused_by_name():
    with pytest.raises(InputError, match="place place/0: label 'Lawn' is none of BigEarthNet's"):
        of(named(["Lawn"] * 4), "multi-label", scheme="bigearthnet-19")


def test_a_split_without_labels_is_refused():
    with pytest.raises(InputError, match="no place of the split 'test' has a label"):
        of(named(["lake", "town", "lake", ""]))


def test_without_a_validation_split_some_training_places_are_held_out():
    source = named(["lake", "town"] * 20, ["train"] * 36 + ["test"] * 4)
    found = of(source, val=None)
    parts = {split: set(own.places.tolist()) for split, own in found.splits.items()}
    assert not parts["train"] & parts["val"]
    assert parts["train"] | parts["val"] == set(range(36))
    assert np.bincount(found.targets("val")).tolist() == [2, 2]


def test_of_few_places_one_is_held_out():
    source = named(["lake", "town", "lake", "town"], ["train"] * 3 + ["test"])
    found = of(source, val=None)
    assert [len(found.splits[split].places) for split in ("train", "val")] == [2, 1]


def test_a_share_of_the_labels_leaves_validation_and_test_whole():
    found = of(named(["lake"] * 40 + ["town"] * 40))
    tenth = found.share(0.1, seed=0)
    assert np.bincount(tenth.targets("train")).tolist() == [2, 2]
    assert len(tenth.splits["val"].places) == len(found.splits["val"].places)
    assert len(tenth.splits["test"].places) == len(found.splits["test"].places)


def test_a_class_that_only_the_test_has_is_told():
    assert of(named(["lake", "lake", "lake", "town"])).unlearnt() == ["town"]


def test_segmentation_has_a_class_for_each_code_of_the_maps():
    found = of(mapped(), "segmentation", products=("s2-l2a",))
    assert found.classes == ("1", "10")
    assert found.splits["train"].presence.all()


def test_codes_of_dfc2020_become_its_eight_classes():
    source = mapped()
    found = of(source, "segmentation", products=("s2-l2a",), scheme="dfc2020-8")
    seen = found.maps.whole(0)
    assert set(np.unique(seen)) == {0, 7}
    assert (seen == 7).sum() == (source.arrays["label"][0] == 10).sum()


def test_codes_without_a_class_are_ignored():
    source = mapped()
    source.arrays["label"][:, :, :4] = 3
    found = of(source, "segmentation", products=("s2-l2a",), scheme="dfc2020-8")
    assert (found.maps.whole(0)[:4] == IGNORED).all()


@pytest.mark.parametrize("task", ["segmentation", "classification", "multi-label"])
def test_codes_that_the_scheme_does_not_know_are_refused_unless_they_are_not_to_count(task):
    source = mapped()
    source.arrays["label"][5, :, :4] = 77
    asked = {"products": ("s2-l2a",), "scheme": "dfc2020-8"}
    with pytest.raises(InputError, match=r"data: place place/5: .* codes 77, which labels\.scheme"):
        of(source, task, **asked)
    found = of(source, task, **asked, ignore_unknown=True)
    assert 5 in found.splits["train"].places
    if found.maps:
        assert (found.maps.whole(5)[:4] == IGNORED).all()


@pytest.mark.parametrize("code", [0, 255])
def test_pixels_without_a_class_are_no_unknown_codes(code):
    source = mapped()
    source.arrays["label"][:, :, :4] = code
    found = of(source, "segmentation", products=("s2-l2a",), scheme="dfc2020-8")
    assert (found.maps.whole(0)[:4] == IGNORED).all()


def test_too_few_places_to_hold_one_out_are_refused():
    source = named(["lake", "town", "lake", "town"], ["train"] * 2 + ["test"] * 2)
    with pytest.raises(InputError, match="data: the split 'train' has too few places to hold"):
        of(source, val=None)


def test_a_split_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"data: no place in the split 'dev'.* test train val: "):
        of(named(["lake", "town", "lake", "town"]), val="dev")


def test_a_share_that_is_too_small_names_the_data():
    with pytest.raises(InputError, match=r"^data: label fraction 0\.01: leaves class 'lake'"):
        of(named(["lake"] * 40 + ["town"] * 40)).share(0.01, seed=0)


def test_the_label_of_a_place_is_its_maps_commonest_class():
    source = mapped()
    found = of(source, "classification", products=("s2-l2a",), scheme="dfc2020-8")
    water = (source.arrays["label"] == 10).mean((1, 2, 3))[found.splits["train"].places]
    assert found.targets("train").tolist() == torch.where(torch.tensor(water) > 0.5, 7, 0).tolist()


def test_labels_of_a_place_are_its_maps_classes_of_a_tenth():
    source = mapped()
    source.arrays["label"][0, 0] = 1
    source.arrays["label"][0, 0, 0, :1] = 10
    found = of(source, "multi-label", products=("s2-l2a",), scheme="dfc2020-8")
    assert found.targets("train")[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


def test_segmentation_without_maps_is_refused():
    with pytest.raises(InputError, match="data: has no label maps, but rgb"):
        of(coloured(), "segmentation")


def test_merging_labels_is_no_segmentation():
    with pytest.raises(InputError, match=r"give labels\.scheme=corine-19"):
        of(mapped(), "segmentation", products=("s2-l2a",), scheme="bigearthnet-19")


def test_of_several_bands_of_maps_one_is_to_be_chosen():
    source = mapped()
    arrays = {**source.arrays, "label": np.repeat(source.arrays["label"], 2, axis=1)}
    several = Source(arrays, source.splits, source.labels, label_bands=("igbp", "lccs"))
    with pytest.raises(InputError, match=r"the bands igbp lccs; choose one with labels\.band"):
        of(several, "segmentation", products=("s2-l2a",))
    assert of(several, "segmentation", products=("s2-l2a",), band="lccs").maps.band == 1


def test_more_codes_than_classes_can_be_are_refused():
    source = mapped()
    source.arrays["label"][:] = np.arange(source.arrays["label"].size).reshape(16, 1, 16, 16)
    with pytest.raises(InputError, match="label maps have 4096 different codes, more than 200"):
        of(source, "segmentation", products=("s2-l2a",))
