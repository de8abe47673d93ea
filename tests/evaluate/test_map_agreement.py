"""Classes, their overlap and roads agree with scipy, torchmetrics and plain counting."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from torchmetrics.functional.classification import (
    multiclass_confusion_matrix,
    multiclass_jaccard_index,
)

from eo_contrast.data.image_pairs import find_image_pairs
from eo_contrast.errors import InputError
from eo_contrast.evaluate.map_agreement import (
    FLAT_DISTANCE,
    NEAR_DISTANCE,
    Palette,
    class_overlap,
    classify,
    commonest_colour,
    confusion,
    grown,
    load_palette,
    nearest_palette,
    ratio,
    road_mask,
    road_matches,
    road_scores,
    shipped_palettes,
)

SHIPPED = {palette.name: palette for palette in shipped_palettes()}
SPECIFIED_CLASSES = ["water", "park", "motorway", "road", "building", "background"]
# Neighbouring levels make colours equally near; the ends make the largest squares.
LEVELS = st.sampled_from([0, 1, 2, 3, 127, 128, 253, 254, 255])
COLOURS = st.tuples(LEVELS, LEVELS, LEVELS)
SIDES = st.integers(1, 9)
SHAPES = st.tuples(SIDES, SIDES)


@st.composite
def palettes(draw: st.DrawFn) -> Palette:
    colours = draw(st.lists(COLOURS, min_size=2, max_size=12, unique=True))
    cuts = draw(st.sets(st.integers(1, len(colours) - 1), min_size=1, max_size=4))
    ends = [0, *sorted(cuts), len(colours)]
    groups = itertools.pairwise(ends)
    return Palette(
        name="drawn", classes={f"c{start}": tuple(colours[start:end]) for start, end in groups}
    )


def images() -> st.SearchStrategy[NDArray[np.uint8]]:
    return SHAPES.flatmap(lambda shape: arrays(np.uint8, (*shape, 3), elements=LEVELS))


def masks(shape: tuple[int, int]) -> st.SearchStrategy[NDArray[np.bool_]]:
    return arrays(np.bool_, shape)


@st.composite
def two_class_maps(draw: st.DrawFn) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    classes = draw(st.integers(2, 6))
    shape = draw(SHAPES)
    one, other = (
        draw(arrays(np.intp, shape, elements=st.integers(0, classes - 1))) for _ in range(2)
    )
    return one, other, classes


def class_by_trees(image: NDArray[np.uint8], palette: Palette) -> NDArray[np.intp]:
    """One search tree a class; of equally near classes the first."""
    distances = [cKDTree(colours).query(image)[0] for colours in palette.classes.values()]
    return np.round(np.square(distances)).argmin(axis=0)


def within_distance(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    if not mask.any():
        return np.zeros_like(mask)  # the transform of nothing has no meaning
    return distance_transform_edt(~mask) <= radius


@settings(deadline=None)
@given(images(), palettes())
def test_a_pixel_has_the_class_that_a_search_tree_finds_nearest(image, palette):
    np.testing.assert_array_equal(classify(image, palette), class_by_trees(image, palette))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_palettes_class_noise_as_a_search_tree_does(name):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    expected = class_by_trees(noise, SHIPPED[name])
    np.testing.assert_array_equal(classify(noise, SHIPPED[name]), expected)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_palette_colour_is_of_its_own_class(name):
    for number, colours in enumerate(SHIPPED[name].classes.values()):
        image = np.array([colours], np.uint8)
        assert classify(image, SHIPPED[name]).tolist() == [[number] * len(colours)]


@pytest.mark.parametrize(("first", "second"), [((10, 0, 0), (12, 0, 0)), ((12, 0, 0), (10, 0, 0))])
def test_of_equally_near_colours_the_one_listed_first_wins(first, second):
    palette = Palette(name="tie", classes={"first": (first,), "second": (second,)})
    assert classify(np.array([[[11, 0, 0]]], np.uint8), palette).item() == 0


@settings(deadline=None)
@given(two_class_maps())
def test_confusion_and_overlap_are_those_of_torchmetrics(maps):
    real, fake, classes = maps
    confused = confusion(real, fake, classes)
    predicted, target = torch.from_numpy(fake.ravel()), torch.from_numpy(real.ravel())
    expected = multiclass_confusion_matrix(predicted, target, classes)
    np.testing.assert_array_equal(confused, expected.numpy())

    overlap = class_overlap(confused, [str(number) for number in range(classes)])
    each = multiclass_jaccard_index(predicted, target, classes, average=None).tolist()
    present = set(real.flat) | set(fake.flat)
    for number, expected_iou in enumerate(each):
        wanted = expected_iou if number in present else math.nan
        assert overlap[str(number)] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    mean = multiclass_jaccard_index(predicted, target, classes).item()
    assert overlap["mean_iou"] == pytest.approx(mean, abs=1e-6)


@given(two_class_maps())
def test_overlap_is_shared_positions_by_all_positions(maps):
    real, fake, classes = maps
    overlap = class_overlap(confusion(real, fake, classes), [str(n) for n in range(classes)])
    for number in range(classes):
        in_real = {place for place, value in np.ndenumerate(real) if value == number}
        in_fake = {place for place, value in np.ndenumerate(fake) if value == number}
        if in_real | in_fake:
            assert overlap[str(number)] == len(in_real & in_fake) / len(in_real | in_fake)
        else:
            assert math.isnan(overlap[str(number)])


@given(two_class_maps())
def test_rows_are_true_classes_and_columns_drawn_ones(maps):
    real, fake, classes = maps
    confused = confusion(real, fake, classes)
    assert confused.sum(axis=1).tolist() == [np.sum(real == n) for n in range(classes)]
    assert confused.sum(axis=0).tolist() == [np.sum(fake == n) for n in range(classes)]
    np.testing.assert_array_equal(confusion(fake, real, classes), confused.T)


def test_a_class_in_neither_map_has_no_overlap_and_no_part_in_the_mean():
    overlap = class_overlap(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), ["a", "b", "absent"])
    assert overlap == pytest.approx(
        {"a": 3 / 4, "b": 2 / 3, "absent": math.nan, "mean_iou": (3 / 4 + 2 / 3) / 2}, nan_ok=True
    )


def test_without_any_pixel_there_is_no_mean_overlap():
    assert math.isnan(class_overlap(np.zeros((2, 2), np.int64), ["a", "b"])["mean_iou"])


@settings(deadline=None)
@given(st.data(), SHAPES, st.integers(0, 12))
def test_grown_is_all_within_the_distance_transform(data, shape, radius):
    mask = data.draw(masks(shape))
    np.testing.assert_array_equal(grown(mask, radius), within_distance(mask, radius))


@pytest.mark.parametrize("radius", range(8))
def test_one_pixel_grows_to_a_disc(radius):
    mask = np.zeros((15, 15), bool)
    mask[7, 7] = True
    down, right = np.mgrid[-7:8, -7:8]
    np.testing.assert_array_equal(grown(mask, radius), np.hypot(down, right) <= radius)


def test_growing_leaves_its_argument_alone():
    mask = np.eye(5, dtype=bool)
    grown(mask, 2)
    np.testing.assert_array_equal(mask, np.eye(5, dtype=bool))


@settings(deadline=None)
@given(st.data(), SHAPES, st.integers(0, 5))
def test_road_matches_are_counts_within_the_distance_transform(data, shape, tolerance):
    real, fake = data.draw(masks(shape)), data.draw(masks(shape))
    expected = [
        (real & within_distance(fake, tolerance)).sum(),
        real.sum(),
        (fake & within_distance(real, tolerance)).sum(),
        fake.sum(),
    ]
    assert road_matches(real, fake, tolerance).tolist() == expected
    assert road_matches(fake, real, tolerance).tolist() == expected[2:] + expected[:2]


@pytest.mark.parametrize(("shift", "completeness"), [(0, 1), (2, 1), (3, 1), (4, 0)])
def test_a_road_drawn_aside_is_found_up_to_three_pixels_unless_told_otherwise(shift, completeness):
    real, fake = np.zeros((2, 12, 12), bool)
    real[4], fake[4 + shift] = True, True
    assert road_scores(road_matches(real, fake))["completeness"] == completeness


def test_completeness_is_of_true_road_and_correctness_of_drawn_road():
    assert road_scores(np.array([1, 4, 3, 5])) == {"completeness": 0.25, "correctness": 0.6}


@pytest.mark.parametrize(
    ("matches", "completeness", "correctness"),
    [([0, 0, 0, 5], math.nan, 0), ([0, 5, 0, 0], 0, math.nan), ([0] * 4, math.nan, math.nan)],
)
def test_a_score_of_roads_that_are_not_there_is_not_a_number(matches, completeness, correctness):
    expected = {"completeness": completeness, "correctness": correctness}
    assert road_scores(np.array(matches)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("name", SHIPPED)
def test_roads_are_the_road_and_motorway_pixels(name):
    classes = np.arange(6).reshape(2, 3)
    shown = np.array(SPECIFIED_CLASSES).reshape(2, 3)
    expected = np.isin(shown, ["road", "motorway"])
    np.testing.assert_array_equal(road_mask(classes, SHIPPED[name]), expected)


def test_a_palette_without_roads_shows_none():
    palette = Palette(name="roadless", classes={"a": ((0, 0, 0),), "road": ((1, 1, 1),)})
    assert not road_mask(np.array([[0, 1]]), palette).any()


@pytest.mark.parametrize(("part", "whole", "expected"), [(1, 4, 0.25), (0, 3, 0.0)])
def test_a_ratio_is_the_quotient(part, whole, expected):
    assert ratio(part, whole) == expected


def test_a_part_of_nothing_is_not_a_number():
    assert math.isnan(ratio(0, 0))


@settings(deadline=None, max_examples=25)
@given(st.lists(images(), min_size=1, max_size=4))
def test_the_commonest_colour_leads_a_counter_over_all_maps(maps):
    counts = Counter(tuple(pixel) for image in maps for pixel in image.reshape(-1, 3).tolist())
    found = tuple(commonest_colour(maps).tolist())
    assert counts[found] == max(counts.values())


def test_of_equally_common_greys_the_darkest_is_taken():
    image = np.array([[[200] * 3, [90] * 3, [90] * 3, [200] * 3, [0] * 3]], np.uint8)
    colour = commonest_colour([image])
    assert colour.dtype == np.uint8
    assert colour.tolist() == [90, 90, 90]


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (1, 2, 3)])
def test_the_commonest_colour_keeps_its_channels_apart(colour):
    assert tuple(commonest_colour([np.full((2, 2, 3), colour, np.uint8)]).tolist()) == colour


@settings(deadline=None)
@given(st.lists(images(), min_size=1, max_size=3), palettes(), palettes())
def test_the_nearest_palette_has_most_flat_pixels_and_then_covers_most(maps, one, other):
    pixels = np.concatenate([image.reshape(-1, 3) for image in maps])
    shares = []
    for palette in (one, other):
        tree = cKDTree([colour for colours in palette.classes.values() for colour in colours])
        squared = np.round(tree.query(pixels)[0] ** 2)
        shares.append((np.mean(squared <= FLAT_DISTANCE**2), np.mean(squared <= NEAR_DISTANCE**2)))
    found, covered = nearest_palette(maps, [one, other])
    best = 0 if shares[0] >= shares[1] else 1
    assert found is (one, other)[best]
    assert covered == pytest.approx(shares[best][1])


@pytest.mark.parametrize(("distance", "covered"), [(17, 1.0), (18, 1.0), (19, 0.0)])
def test_a_colour_covers_pixels_up_to_its_distance(distance, covered):
    palette = Palette(name="dark", classes={"a": ((0, 0, 0),), "b": ((255, 255, 255),)})
    image = np.full((3, 3, 3), (0, distance, 0), np.uint8)
    assert nearest_palette([image], [palette]) == (palette, covered)


def test_shipped_palettes_have_the_specified_classes_and_roads():
    assert list(SHIPPED) == ["osm16", "pix2pix-maps"]
    for palette in SHIPPED.values():
        assert list(palette.classes) == SPECIFIED_CLASSES
        assert palette.roads == ("road", "motorway")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_palette_is_loaded_by_its_shipped_name(name):
    assert load_palette(name) == SHIPPED[name]


def test_a_palette_is_loaded_from_a_file(tmp_path):
    assert load_palette(written(tmp_path)) == Palette(
        name="small", classes={"land": ((0, 0, 0),), "sea": ((0, 0, 9), (0, 0, 8))}, roads=("land",)
    )


def written(folder: Path, **changed: Any) -> str:
    """Path of a palette file whose keys are those of a good one, but for ``changed``."""
    good = {
        "name": "small",
        "classes": {"land": [[0, 0, 0]], "sea": [[0, 0, 9], [0, 0, 8]]},
        "roads": ["land"],
    }
    file = folder / "palette.yaml"
    file.write_text(yaml.safe_dump({**good, **changed}))
    return str(file)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"classes": {"land": [[1, 2, 3]], "sea": [[9, 9, 9], [1, 2, 3]]}},
            r"colour \[1, 2, 3\] is in 'land' and in 'sea'",
        ),
        ({"classes": {"land": [[1, 2, 3]], "sea": []}}, "class 'sea' has no colour"),
        ({"roads": ["land", "track"]}, "roads names 'track', .* classes are land, sea"),
        ({"classes": {"land": [[1, 2, 3]]}, "roads": []}, "'classes'.* at least 2 items"),
        ({"classes": {"land": [[0, 0, 256]], "sea": [[0, 0, 9]]}}, "256: .*less than or equal"),
        ({"classes": {"land": [[0, -1, 0]], "sea": [[0, 0, 9]]}}, "-1: .*greater than or equal"),
        ({"classes": {"land": [[0, 0]], "sea": [[0, 0, 9]]}}, r"'classes\.land\.0\.2' is missing"),
        ({"classes": {"mean_iou": [[1, 2, 3]], "sea": [[0, 0, 9]]}, "roads": []}, "'mean_iou'"),
        ({"colors": {}}, "unknown key 'colors'"),
    ],
)
def test_a_palette_that_decides_nothing_is_refused_with_file_and_fault(tmp_path, changed, told):
    file = written(tmp_path, **changed)
    with pytest.raises(InputError, match=told) as raised:
        load_palette(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_an_unknown_name_lists_the_shipped_palettes():
    with pytest.raises(InputError, match=r"did you mean 'osm16'.*osm16, pix2pix-maps"):
        load_palette("osm61")


@given(st.lists(COLOURS, min_size=2, max_size=6, unique=True), st.data())
def test_a_colour_given_to_two_classes_is_refused_wherever_it_stands(colours, data):
    cut = data.draw(st.integers(1, len(colours) - 1))
    repeated = data.draw(st.sampled_from(colours[:cut]))
    second = data.draw(st.permutations([*colours[cut:], repeated]))
    with pytest.raises(ValidationError, match="a colour belongs to one class"):
        Palette(name="twice", classes={"a": tuple(colours[:cut]), "b": tuple(second)})


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("test", "osm16"),
        ("maps-val", "pix2pix-maps"),
    ],
)
def test_real_maps_are_nearest_to_the_palette_of_their_style(shared, split, name):
    pairs = find_image_pairs(shared / "data" / "sat2map", split)
    palette, _ = nearest_palette(map(pairs.read, pairs.b[:16]), list(SHIPPED.values()))
    assert palette.name == name


def test_real_maps_have_the_class_shares_of_the_reference(shared):
    pairs = find_image_pairs(shared / "data" / "sat2map", "test")
    counts = sum(
        np.bincount(classify(pairs.read(ref), SHIPPED["osm16"]).ravel(), minlength=6)
        for ref in pairs.b
    )
    expected = {"water": 0.081, "park": 0.147, "motorway": 0.024, "road": 0.152}
    expected |= {"building": 0.093, "background": 0.503}
    shares = dict(zip(SPECIFIED_CLASSES, counts / counts.sum(), strict=True))
    assert shares == pytest.approx(expected, abs=5e-4)
