"""Changes of intensity: masks, published definitions, decibel, draws that do not shift."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.augment.draws import uniforms
from eo_contrast.augment.photometry import BRIGHTNESS, CONTRAST, SATURATION
from eo_contrast.augment.pipeline import augmented

SIMCLR = AugmentConfig(
    crop_area=(0.08, 1),
    flip_horizontal=0.5,
    jitter_probability=0.8,
    brightness=0.8,
    contrast=0.8,
    saturation=0.8,
    tint=0.2,
    grey=0.2,
    blur=0.5,
)
GROUPS = [[0, 1], [2]]


def keys_of(samples: list[int], what: int = 0) -> list[tuple[int, ...]]:
    return [(7, sample, what, 0) for sample in samples]


def squares(count: int = 4, bands: int = 3, side: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(count, bands, side, side, generator=generator)
    return values, torch.ones_like(values, dtype=torch.bool)


def with_holes(values: Tensor) -> tuple[Tensor, Tensor]:
    """No data in the right half of the last sample."""
    valid = torch.ones_like(values, dtype=torch.bool)
    valid[-1, :, :, values.shape[-1] // 2 :] = False
    return values * valid, valid


def run(values, valid, config, *, unit="reflectance", samples=None):
    samples = samples or list(range(len(values)))
    groups = GROUPS if values.shape[1] == 3 else [[band] for band in range(values.shape[1])]
    changed, there = augmented(
        values,
        valid,
        config=config,
        side=values.shape[-1],
        unit=unit,
        groups=groups,
        keys=keys_of(samples),
        crop_keys=keys_of(samples, 1),
    )
    return changed, torch.ones_like(changed, dtype=torch.bool) if there is None else there


def drawn_factor(strength: float, column: int, sample: int = 0) -> float:
    drawn = uniforms(keys_of([sample]), column + 1)[0, column]
    return float(1 - strength + 2 * strength * drawn)


@pytest.mark.parametrize(("unit", "level"), [("reflectance", 0.5), ("dB", -15.0)])
def test_blur_takes_nothing_from_pixels_without_data(unit, level):
    values, valid = with_holes(torch.full((2, 2, 40, 40), level))
    blurred, _ = run(values, valid, AugmentConfig(blur=1.0, blur_sigma=(2, 2)), unit=unit)
    torch.testing.assert_close(blurred, values, rtol=1e-5, atol=1e-5)


def test_a_neighbour_without_data_changes_nothing():
    values, valid = with_holes(squares(6, side=32)[0])
    whole, _ = run(values, valid, SIMCLR)
    alone, _ = run(values[:5], valid[:5], SIMCLR)
    torch.testing.assert_close(alone, whole[:5], rtol=0, atol=1e-6)


def test_the_order_of_a_batch_is_the_order_of_its_results():
    values, valid = with_holes(squares(5)[0])
    order = [3, 0, 4, 2, 1]
    straight, _ = run(values, valid, SIMCLR)
    shuffled, _ = run(values[order], valid[order], SIMCLR, samples=order)
    torch.testing.assert_close(shuffled, straight[order], rtol=0, atol=1e-6)


def test_two_processes_make_what_one_makes():
    values, valid = with_holes(squares(6)[0])
    one, there = run(values, valid, SIMCLR)
    shares = [
        run(values[rank::2], valid[rank::2], SIMCLR, samples=[rank, rank + 2, rank + 4])
        for rank in (0, 1)
    ]
    for rank, (share, share_there) in enumerate(shares):
        torch.testing.assert_close(share, one[rank::2], rtol=0, atol=1e-6)
        assert torch.equal(share_there, there[rank::2])


def test_what_was_given_is_left_as_it_was():
    values, valid = with_holes(squares()[0])
    before = values.clone(), valid.clone()
    config = AugmentConfig(
        brightness=0.4, contrast=0.4, gamma=0.2, grey=0.5, blur=0.5, noise=0.1, cutout=1.0
    )
    run(values, valid, config)
    assert torch.equal(values, before[0])
    assert torch.equal(valid, before[1])


def test_another_choice_does_not_shift_the_draws_of_the_first():
    values, valid = squares(8)
    first = AugmentConfig(crop_area=(0.2, 1), brightness=0.4, contrast=0.4)
    both = first.model_copy(update={"cutout": 0.5, "band_dropout": 0.2})
    alone, _ = run(values, valid, first)
    together, there = run(values, valid, both)
    assert torch.equal(together[there], alone[there])


def test_samples_that_are_not_jittered_keep_their_bits():
    values, valid = squares(64, side=4)
    config = AugmentConfig(jitter_probability=0.5, brightness=0.4, contrast=0.4, saturation=0.4)
    changed, _ = run(values, valid, config)
    kept = (changed == values).flatten(1).all(1)
    assert 16 < int(kept.sum()) < 48


@given(
    seed=st.integers(0, 999), side=st.integers(1, 20), holes=st.floats(0, 1), decibel=st.booleans()
)
@settings(max_examples=30, deadline=None)
def test_results_are_finite_and_0_without_data(seed, side, holes, decibel):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(2, 3, side, side, generator=generator) * (-30 if decibel else 1)
    valid = torch.rand(values.shape, generator=generator) >= holes
    config = SIMCLR.model_copy(
        update={"gamma": 0.4, "solarise": 0.5, "noise": 0.1, "speckle_looks": 1.0}
    )
    unit = "dB" if decibel else "reflectance"
    changed, there = run(values * valid, valid, config, unit=unit, samples=[seed, seed + 1])
    assert changed.isfinite().all()
    assert (changed[~there] == 0).all()


def test_brightness_is_torchvisions():
    values, valid = squares(1)
    values = values / 2  # torchvision clips at 1
    changed, _ = run(values, valid, AugmentConfig(brightness=0.4))
    wanted = reference.adjust_brightness(values, drawn_factor(0.4, BRIGHTNESS))
    torch.testing.assert_close(changed, wanted)


def test_contrast_of_one_band_is_torchvisions():
    values, valid = squares(1, bands=1)
    values = 0.4 + values / 5
    changed, _ = run(values, valid, AugmentConfig(contrast=0.4))
    wanted = reference.adjust_contrast(values, drawn_factor(0.4, CONTRAST))
    torch.testing.assert_close(changed, wanted)


def test_saturation_is_torchvisions_where_luma_is_the_bands_mean():
    red, green = squares(1, bands=2)[0].mul(0.2).add(0.4).unbind(1)
    blue = ((0.2989 - 1 / 3) * red + (0.587 - 1 / 3) * green) / (1 / 3 - 0.114)
    values = torch.stack([red, green, blue], 1)
    changed, _ = run(values, torch.ones_like(values, dtype=torch.bool), AugmentConfig(saturation=1))
    wanted = reference.adjust_saturation(values, drawn_factor(1, SATURATION))
    torch.testing.assert_close(changed, wanted, rtol=0, atol=2e-4)


def test_a_tint_is_one_factor_a_group_of_bands():
    values, valid = squares(4)
    values = values + 0.5
    changed, _ = run(values, valid, AugmentConfig(tint=0.3))
    factors = (changed / values).flatten(2)
    torch.testing.assert_close(factors, factors[..., :1].expand_as(factors))
    torch.testing.assert_close(factors[:, 0], factors[:, 1])
    assert ((factors[:, 0, 0] - factors[:, 2, 0]).abs() > 1e-3).all()
    assert 0.7 <= factors.min() < factors.max() <= 1.3 + 1e-5


def test_bands_of_a_group_are_dropped_together_as_often_as_asked():
    values, valid = squares(400, side=2)
    _, there = run(values, valid, AugmentConfig(band_dropout=0.25))
    kept = there.flatten(2).float().mean(2)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(kept[:, 0], kept[:, 1])
    assert (1 - kept).mean(0).tolist() == pytest.approx([0.25] * 3, abs=0.07)


def test_noise_has_the_deviation_asked_for():
    values, valid = squares(8, side=64)
    noisy, _ = run(values, valid, AugmentConfig(noise=0.05))
    assert float((noisy - values).std()) == pytest.approx(0.05, rel=0.02)


def test_on_decibel_contrast_keeps_the_mean_of_what_has_data():
    values, valid = with_holes(squares()[0] * -20)
    changed, _ = run(values, valid, AugmentConfig(contrast=0.5), unit="dB")
    count = valid.sum((2, 3))
    torch.testing.assert_close(changed.sum((2, 3)) / count, values.sum((2, 3)) / count)
    assert not torch.equal(changed, values)


def test_on_decibel_speckle_keeps_the_mean_power():
    values = torch.full((8, 2, 64, 64), -15.0)
    valid = torch.ones_like(values, dtype=torch.bool)
    speckled, _ = run(values, valid, AugmentConfig(speckle_looks=4), unit="dB")
    assert float(torch.pow(10, speckled / 10).mean()) == pytest.approx(10**-1.5, rel=0.01)
