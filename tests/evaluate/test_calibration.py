"""How often predictions of a confidence are right."""

from __future__ import annotations

import math

import pytest
import torch

from eo_contrast.evaluate.calibration import reliability
from eo_contrast.evaluate.land_cover import calibration_error


def test_bins_count_what_falls_into_them():
    confidence = torch.tensor([0.05, 0.15, 0.19, 1.0])
    found = reliability(confidence, torch.tensor([True, False, True, True]), bins=10)
    assert found.counts.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found.accuracy[[0, 1, 9]].tolist() == [1.0, 0.5, 1.0]
    assert found.confidence[1].item() == pytest.approx(0.17)
    assert math.isnan(found.accuracy[2])


def test_its_error_is_the_expected_calibration_error():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(500, 6, generator=generator).mul(2).softmax(1)
    true = torch.randint(6, (500,), generator=generator)
    confidence, predicted = probabilities.max(1)
    found = reliability(confidence, predicted == true)
    assert found.error == pytest.approx(calibration_error(probabilities, true), abs=1e-5)


def test_parts_add_up():
    confidence, right = torch.rand(2, 8, 8), torch.rand(2, 8, 8) < 0.5
    parts = [reliability(confidence[n], right[n]).sums for n in (0, 1)]
    torch.testing.assert_close(sum(parts), reliability(confidence, right).sums)
