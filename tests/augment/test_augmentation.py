"""Augmentation: exact where nothing is resampled, each sample by its key alone, masks respected."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as reference

from eo_contrast.augment.config import MEANINGLESS_ON_DECIBEL, AugmentConfig, for_unit
from eo_contrast.augment.geometry import draw_geometry, warp
from eo_contrast.augment.pipeline import augmented

FULL = AugmentConfig(
    crop_area=(0.2, 1),
    flip_horizontal=0.5,
    flip_vertical=0.5,
    quarter_turns=True,
    jitter_probability=0.8,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    tint=0.1,
    gamma=0.2,
    grey=0.2,
    blur=0.5,
    solarise=0.2,
    band_dropout=0.1,
    noise=0.01,
    speckle_looks=8,
    cutout=0.5,
)
EACH = {
    "crop_area": (0.2, 0.5),
    "flip_horizontal": 1.0,
    "flip_vertical": 1.0,
    "quarter_turns": True,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "tint": 0.3,
    "gamma": 0.4,
    "grey": 1.0,
    "blur": 1.0,
    "solarise": 1.0,
    "band_dropout": 0.9,
    "noise": 0.1,
    "speckle_looks": 4.0,
    "cutout": 1.0,
}


def squares(count: int = 4, bands: int = 3, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(count, bands, side, side, generator=generator)
    return values, torch.ones_like(values, dtype=torch.bool)


def keys_of(count: int, view: int = 0, first: int = 0) -> list[tuple[int, ...]]:
    return [(7, first + number, view) for number in range(count)]


def run(values, valid, config, *, side=None, unit="reflectance", first=0, crop=None):
    count, bands = values.shape[:2]
    changed, there = augmented(
        values,
        valid,
        config=config,
        side=side or values.shape[-1],
        unit=unit,
        groups=[[band] for band in range(bands)],
        keys=keys_of(count, 0, first),
        crop_keys=crop or keys_of(count, 1, first),
    )
    return changed, torch.ones_like(changed, dtype=torch.bool) if there is None else there


def test_nothing_chosen_changes_nothing():
    values, valid = squares()
    same, there = run(values, valid, AugmentConfig())
    assert torch.equal(same, values)
    assert there.all()


@pytest.mark.parametrize("name", EACH)
def test_each_choice_does_something(name):
    values, valid = squares()
    changed, there = run(values, valid, AugmentConfig(**{name: EACH[name]}))
    assert not torch.equal(changed, values)
    assert changed.shape == values.shape
    assert (changed[~there] == 0).all()


@pytest.mark.parametrize("count", [1, 3])
def test_a_sample_is_the_same_in_any_batch(count):
    values, valid = squares(4)
    whole, _ = run(values, valid, FULL)
    some, _ = run(values[1 : 1 + count], valid[1 : 1 + count], FULL, first=1)
    torch.testing.assert_close(some, whole[1 : 1 + count], rtol=0, atol=1e-6)


def test_other_keys_are_other_draws():
    values, valid = squares(1)
    one, _ = run(values, valid, FULL)
    other, _ = run(values, valid, FULL, first=1)
    assert not torch.equal(one, other)


@given(
    mirrored=st.sampled_from([0.0, 1.0]),
    upside_down=st.sampled_from([0.0, 1.0]),
    turned=st.booleans(),
    side=st.integers(1, 9),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_flips_and_turns_only_move_pixels(mirrored, upside_down, turned, side, seed):
    config = AugmentConfig(
        flip_horizontal=mirrored, flip_vertical=upside_down, quarter_turns=turned
    )
    values = torch.arange(2 * side * side, dtype=torch.float32).reshape(1, 2, side, side)
    valid = torch.ones_like(values, dtype=torch.bool)
    moved, _ = run(values, valid, config, first=seed)
    expected = values
    if mirrored:
        expected = expected.flip(3)
    if upside_down:
        expected = expected.flip(2)
    turns = draw_geometry(config, keys_of(1, 1, seed), side, side).turns[0]
    assert torch.equal(moved, torch.rot90(expected, int(turns), (2, 3)))


def test_a_window_of_the_results_size_is_copied():
    values, valid = squares(side=16)
    config = AugmentConfig(crop_area=(0.25, 0.25), crop_aspect=(1, 1))
    geometry = draw_geometry(config, keys_of(4), 16, 8)
    cut, _ = warp(values, valid, geometry, 8)
    for number in range(4):
        top, left = geometry.top[number], geometry.left[number]
        assert torch.equal(cut[number], values[number, :, top : top + 8, left : left + 8])


@pytest.mark.parametrize("side", [8, 16, 24])
def test_resampling_is_torchvisions_of_the_window(side):
    values, valid = squares(side=20)
    geometry = draw_geometry(AugmentConfig(crop_area=(0.2, 1)), keys_of(4), 20, side)
    cut, _ = warp(values, valid, geometry, side)
    for number in range(4):
        window = [
            int(each[number])
            for each in (geometry.top, geometry.left, geometry.height, geometry.width)
        ]
        wanted = reference.resized_crop(values[number], *window, [side, side], antialias=True)
        torch.testing.assert_close(cut[number], wanted, rtol=0, atol=2e-6)


def test_windows_have_the_areas_and_aspects_asked_for():
    config = AugmentConfig(crop_area=(0.2, 0.6))
    geometry = draw_geometry(config, keys_of(2000), 100, 64)
    area = geometry.height * geometry.width / 100**2
    aspect = geometry.width / geometry.height
    assert 0.19 < area.min() < 0.22
    assert 0.58 < area.max() < 0.62
    assert abs(area.mean() - 0.4) < 0.01
    assert 0.73 < aspect.min() < 0.77
    assert 1.3 < aspect.max() < 1.37
    assert abs(np.log(aspect).mean()) < 0.01
    assert ((geometry.top >= 0) & (geometry.top + geometry.height <= 100)).all()


def test_sensors_of_one_crop_show_one_window():
    config = AugmentConfig(crop_area=(0.2, 0.8), flip_horizontal=0.5, quarter_turns=True)
    values, valid = squares(6, bands=1)
    several = values.expand(-1, 5, -1, -1)
    one, _ = run(values, valid, config, unit="dB", crop=keys_of(6, 9))
    other, _ = run(several, valid.expand_as(several), config, crop=keys_of(6, 9))
    torch.testing.assert_close(one.expand_as(other), other, rtol=0, atol=1e-6)


def test_what_has_no_data_does_not_bleed():
    values, valid = squares(side=16)
    values = torch.full_like(values, 0.5)
    valid[:, :, :, 8:] = False
    cut, there = run(values * valid, valid, AugmentConfig(crop_area=(0.5, 1)), side=24)
    torch.testing.assert_close(cut[there], torch.full_like(cut[there], 0.5))
    assert (cut[~there] == 0).all()
    assert 0 < there.float().mean() < 1


def test_statistics_count_what_has_data():
    values, valid = squares()
    valid[:, :, :8] = False
    values = (0.5 + 0.1 * values) * valid  # so that none falls below 0 and is clipped
    config = AugmentConfig(contrast=0.5)
    changed, _ = run(values, valid, config)
    before, after = (images[:, :, 8:].mean((2, 3)) for images in (values, changed))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)


def test_on_decibel_brightness_is_added_and_the_rest_means_nothing():
    values, valid = squares()
    decibel = -20 * values
    changed, _ = run(decibel, valid, AugmentConfig(brightness=0.4), unit="dB")
    added = (changed - decibel).flatten(1)
    torch.testing.assert_close(added, added[:, :1].expand_as(added), rtol=0, atol=1e-4)
    assert 10 * np.log10(0.6) <= added.min() < added.max() <= 10 * np.log10(1.4)
    strong = dict.fromkeys(MEANINGLESS_ON_DECIBEL, 1.0)
    same, _ = run(decibel, valid, AugmentConfig(**strong), unit="dB")
    assert torch.equal(same, decibel)
    assert for_unit(AugmentConfig(**strong), "dB") == AugmentConfig()


def test_grey_makes_every_band_the_mean():
    values, valid = squares()
    grey, _ = run(values, valid, AugmentConfig(grey=1.0))
    torch.testing.assert_close(grey, values.mean(1, keepdim=True).expand_as(values))


def test_blur_is_torchvisions():
    values, valid = squares(1, side=40)
    blurred, _ = run(values, valid, AugmentConfig(blur=1.0, blur_sigma=(1.3, 1.3)))
    wanted = reference.gaussian_blur(values, [5, 5], [1.3, 1.3])
    torch.testing.assert_close(blurred, wanted, rtol=0, atol=1e-5)


def test_solarise_is_torchvisions():
    values, valid = squares()
    solarised, _ = run(values, valid, AugmentConfig(solarise=1.0))
    torch.testing.assert_close(solarised, reference.solarize(values, 0.5))


def test_speckle_keeps_the_mean_power():
    values, valid = squares(8, side=64)
    speckled, _ = run(torch.ones_like(values), valid, AugmentConfig(speckle_looks=4))
    assert abs(float(speckled.mean()) - 1) < 0.01
    assert abs(float(speckled.var()) - 1 / 4) < 0.01


def test_a_cut_square_has_the_share_asked_for():
    values, valid = squares(8, side=40)
    _, there = run(values, valid, AugmentConfig(cutout=1.0, cutout_share=0.25))
    assert (~there).float().mean() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("field", "value"),
    [("crop_area", (0.5, 0.2)), ("crop_area", (0.5, 1.2)), ("crop_area", (0, 1)), ("blur", 1.1)],
)
def test_ranges_that_mean_nothing_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        AugmentConfig(**{field: value})
