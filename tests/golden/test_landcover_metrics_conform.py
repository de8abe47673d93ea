"""Land-cover scores and label tables against scikit-learn and the official data loaders."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.evaluate import land_cover
from eo_contrast.landcover import label_sets

FLOAT32 = 1e-6
"""torchmetrics computes in float32, whatever it is given."""


def test_average_precision_with_an_absent_class_and_ties(pretraining):
    data = pretraining("metrics")
    found = land_cover.average_precision_by_class(data["ml_scores"], data["ml_targets"])
    assert found[5].isnan()
    torch.testing.assert_close(found[:5], data["ap_per_class"][:5], rtol=FLOAT32, atol=0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("micro_map", "map_micro"),
        ("macro_map", "map_macro_present"),
        ("micro_f1", "f1_micro"),
        ("macro_f1", "f1_macro"),
    ],
)
def test_scores_of_several_labels(pretraining, ours, theirs):
    data = pretraining("metrics")
    found = land_cover.multi_label_scores(data["ml_scores"], data["ml_targets"])
    assert found[ours] == pytest.approx(data[theirs].item(), rel=FLOAT32)


def test_an_absent_class_as_zero_is_the_other_macro_average_precision(pretraining):
    data = pretraining("metrics")
    found = land_cover.average_precision_by_class(data["ml_scores"], data["ml_targets"])
    mean = found.nan_to_num(0).mean().item()
    assert mean == pytest.approx(data["map_macro_all"].item(), rel=FLOAT32)


def test_the_confusion_matrix_leaves_out_what_is_ignored(pretraining):
    assert torch.equal(segmentation(pretraining), pretraining("metrics")["seg_confusion_rows_true"])


def test_overlap_recall_and_f1_by_class(pretraining):
    data, matrix = pretraining("metrics"), segmentation(pretraining)
    for found, key in (
        (land_cover.iou_by_class(matrix), "seg_iou_per_class"),
        (land_cover.recall_by_class(matrix), "recall_per_class"),
        (land_cover.f1_by_class(matrix), "seg_f1_per_class"),
    ):
        torch.testing.assert_close(found, data[key], rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ("seen", "miou_union_nonempty"),
        ("true", "miou_classes_in_target"),
        ("all", "miou_absent_as_zero"),
    ],
)
def test_the_three_conventions_of_mean_overlap(pretraining, over, key):
    matrix = segmentation(pretraining)
    found = land_cover.mean_over(land_cover.iou_by_class(matrix), matrix, over)
    assert found == pytest.approx(pretraining("metrics")[key].item(), rel=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("accuracy", "overall_accuracy"),
        ("average_accuracy", "average_accuracy_classes_in_target"),
        ("mean_iou", "miou_union_nonempty"),
        ("mean_iou_true", "miou_classes_in_target"),
        ("kappa", "cohen_kappa"),
    ],
)
def test_what_a_confusion_matrix_tells(pretraining, ours, theirs):
    found = land_cover.confusion_scores(segmentation(pretraining))
    assert found[ours] == pytest.approx(pretraining("metrics")[theirs].item(), rel=1e-9)


@pytest.mark.parametrize("bins", [10, 15])
def test_calibration_error(pretraining, bins):
    data = pretraining("metrics")
    found = land_cover.calibration_error(data["cal_probs"], data["cal_targets"], bins)
    assert found == pytest.approx(data[f"ece_{bins}bins"].item(), rel=FLOAT32)


def test_accuracy_and_likelihood_of_probabilities(pretraining):
    data = pretraining("metrics")
    found = land_cover.single_label_scores(data["cal_probs"], data["cal_targets"])
    assert found["accuracy"] == pytest.approx(data["top1"].item(), rel=1e-12)
    assert found["nll"] == pytest.approx(data["nll"].item(), rel=1e-12)


def segmentation(pretraining):
    data = pretraining("metrics")
    return land_cover.confusion(
        data["seg_pred"],
        data["seg_target"],
        int(data["seg_num_classes"]),
        ignore=int(data["seg_ignore"]),
    )


def test_the_simplified_classes_of_dfc2020(pretraining):
    data = pretraining("landcover_labels")
    igbp, dfc = torch.arange(18).numpy(), torch.arange(11).numpy()
    assert label_sets.dfc2020_of_igbp(igbp).tolist() == data["igbp_to_dfc10"].tolist()
    assert label_sets.eight_of_dfc2020(dfc).tolist() == data["dfc10_to_8"].tolist()
    assert label_sets.ten_of_igbp(igbp[1:]).tolist() == (data["igbp_to_dfc10"][1:] - 1).tolist()


def test_label_maps_of_dfc2020(pretraining):
    data = pretraining("landcover_labels")
    mapped = label_sets.eight_of_dfc2020(data["raw_dfc"].numpy())
    assert mapped.tolist() == data["mapped"].tolist()
    assert [label_sets.commonest(each) for each in mapped] == data["single_label"].tolist()
    several = [label_sets.shares_above(each, 8).astype(int).tolist() for each in mapped]
    assert several == data["multi_hot"].tolist()


def test_bigearthnet_is_merged_as_officially(pretraining):
    data = pretraining("landcover_labels").arrays
    table, names = data["bigearthnet_43_to_19"], data["bigearthnet_43_names"]
    for row, name in zip(table, names, strict=True):
        merged = label_sets.nineteen_of_names([str(name)])
        assert [label_sets.BIGEARTHNET_19.index(each) for each in merged] == row.nonzero()[
            0
        ].tolist()
    assert (table.sum(1) == 0).sum() == 11
    assert len(names) == len(label_sets.CORINE) - 1


def test_the_nineteen_are_named_as_officially(pretraining):
    names = [str(name) for name in pretraining("landcover_labels").arrays["bigearthnet_19_names"]]
    ours = [name.replace("woodland, shrub", "woodland/shrub") for name in label_sets.BIGEARTHNET_19]
    assert ours == names
