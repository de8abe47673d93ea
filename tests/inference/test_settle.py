"""What becomes of blended values: the likeliest class's number, and probabilities as bytes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from eo_contrast.inference.settle import ClassNumbers, settled
from eo_contrast.raster.class_map import NO_CLASS, PROBABILITY_ONE
from eo_contrast.raster.reader import Pixels

SHARES = torch.tensor([[0.2, 0.5, 0.25], [0.2, 0.5, 0.5], [0.6, 0.0, 0.25]])[:, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pixel_has_the_number_of_its_likeliest_class_the_first_of_equals(dtype):
    given = ClassNumbers(3)(SHARES.to(dtype))
    assert given.dtype == torch.uint8
    assert given.tolist() == [[[2, 0, 1]]]


def test_probabilities_stand_behind_the_numbers():
    settle = ClassNumbers(3, probabilities=True)
    given = settle(SHARES)
    assert len(given) == settle.bands == 4
    np.testing.assert_array_equal(given[1:], (SHARES * PROBABILITY_ONE).round())
    # More than 1 by rounding is 1 still, and not what means no data.
    assert int(settle(SHARES * 1.3)[1:].max()) == round(0.6 * 1.3 * PROBABILITY_ONE)
    assert int(settle(SHARES * 2)[1:].max()) == PROBABILITY_ONE


def test_pixels_without_data_say_so_by_their_value():
    valid = np.array([[True, False, True]])
    given = settled(Pixels(values=SHARES.numpy(), valid=valid), ClassNumbers(3, True))
    assert (given.values[:, 0, 1] == NO_CLASS).all()
    assert given.values[0].tolist() == [[2, NO_CLASS, 1]]


def test_it_is_the_same_in_another_process():
    settle = ClassNumbers(3, True)
    assert pickle.loads(pickle.dumps(settle)) == settle
