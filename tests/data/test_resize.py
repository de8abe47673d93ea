"""Images at another scale, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eo_contrast.data.loader import CropConfig, zoom_of
from eo_contrast.data.resize import at_zoom, resized

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 6), np.uint8)


def test_every_three_bands_are_resized_by_pils_bicubic_filter():
    got = resized(PIXELS, 12, 10)
    for first in (0, 3):
        part = Image.fromarray(np.ascontiguousarray(PIXELS[..., first : first + 3]))
        wanted = np.asarray(part.resize((10, 12), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(got[..., first : first + 3], wanted)


def test_the_own_size_changes_nothing():
    assert resized(PIXELS, 20, 30) is PIXELS


@given(height=st.integers(1, 40), width=st.integers(1, 40), zoom=st.floats(0.05, 3))
def test_work_sees_the_zoomed_size_and_the_result_has_the_images_own(height, width, zoom):
    seen = []
    image = np.full((height, width, 3), 77, np.uint8)
    result = at_zoom(image, zoom, lambda scaled: seen.append(scaled.shape) or scaled)
    assert result.shape == image.shape
    assert seen == [(max(round(height * zoom), 1), max(round(width * zoom), 1), 3)]
    assert (result == 77).all()


@pytest.mark.parametrize(("load_size", "zoom"), [(None, 1.0), (128, 0.5), (512, 2.0)])
def test_zoom_of_a_crop_is_its_load_size_by_the_files_side(load_size, zoom):
    assert zoom_of(CropConfig(load_size=load_size, crop_size=64), 256) == zoom
