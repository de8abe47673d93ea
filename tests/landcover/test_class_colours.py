"""Colours of classes."""

from __future__ import annotations

import numpy as np
import pytest

from eo_contrast.landcover.class_colours import NO_LABEL, class_colours, painted
from eo_contrast.landcover.label_sets import BIGEARTHNET_19, DFC2020_8, IGBP_10, IGNORED


@pytest.mark.parametrize("count", [2, 10, 43])
def test_no_two_classes_have_one_colour(count):
    colours = class_colours([f"class {number}" for number in range(count)]).astype(int)
    apart = np.abs(colours[:, None] - colours).sum(-1) + 1000 * np.eye(count, dtype=int)
    assert apart.min() >= 12


@pytest.mark.parametrize("classes", [BIGEARTHNET_19, DFC2020_8, IGBP_10])
def test_a_known_legend_has_its_own(classes):
    colours = class_colours(classes)
    assert len(np.unique(colours, axis=0)) == len(classes)
    blue = colours[-1].astype(int)
    assert blue[2] > blue[0] + 100


def test_pixels_without_a_label_are_grey():
    maps = np.array([[0, 1], [IGNORED, 1]], np.uint8)
    shown = painted(maps, ("field", "town"))
    assert shown.shape == (2, 2, 3)
    assert tuple(shown[1, 0]) == NO_LABEL
    assert tuple(shown[0, 1]) == tuple(class_colours(("field", "town"))[1])
