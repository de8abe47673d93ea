"""Scores by name, unit and direction."""

from __future__ import annotations

import math

from eo_contrast.report.score_table import class_names, flat_scores, table_of

EVALUATED = {
    "n": 3,
    "psnr": 21.456,
    "within_5": 0.25,
    "agreement": {"water": 0.5, "mean_iou": 0.4},
    "road": {"completeness": 0.8, "correctness": math.nan},
    "frechet": None,
}


def test_what_evaluate_gives_gets_the_names_of_the_training_log() -> None:
    flat = flat_scores(EVALUATED)
    assert flat["iou/water"] == 0.5
    assert flat["iou/mean_iou"] == 0.4
    assert flat["road/completeness"] == 0.8
    assert "frechet" not in flat


def test_map_classes_are_told_from_their_mean() -> None:
    assert class_names([flat_scores(EVALUATED), {"iou/road": 0.1}]) == ["iou/water", "iou/road"]


def test_shares_are_shown_in_percent_and_unknown_ones_as_a_dash() -> None:
    table = table_of({"ours": flat_scores(EVALUATED)}, ["psnr", "within_5", "road/correctness"])
    assert table.rows == [("ours", ["21.46", "25.0", "–"])]
    assert [column.unit for column in table.columns] == ["dB", "%", "%"]


def test_a_score_that_no_row_has_makes_no_column() -> None:
    table = table_of({"ours": {"psnr": 20.0}}, ["psnr", "ssim"])
    assert [column.label for column in table.columns] == ["PSNR"]


def test_the_highest_of_each_column_is_marked_whoever_has_it() -> None:
    ours, other = {"psnr": 20.0, "ssim": 0.4}, {"psnr": 15.0, "ssim": 0.6}
    assert table_of({"ours": ours, "other": other}, ["psnr", "ssim"]).best == [
        [True, False],
        [False, True],
    ]
    assert table_of({"other": other, "ours": ours}, ["psnr", "ssim"]).best == [
        [False, True],
        [True, False],
    ]


def test_a_single_row_and_a_column_of_unknowns_have_no_best() -> None:
    assert table_of({"ours": {"psnr": 20.0}}, ["psnr"]).best == [[False]]
    unknown = {"ours": {"psnr": math.nan}, "other": {"psnr": math.nan}}
    assert table_of(unknown, ["psnr"]).best == [[False], [False]]
