"""What encoders eat: bands by name, brought to mean 0 and deviation 1."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis.strategies import floats
from pydantic import ValidationError

from eo_contrast.bands import L1C, PRODUCTS
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.published_inputs import PUBLISHED, published_input
from eo_contrast.data.sensors import SensorInput, sensor_input, standardised
from eo_contrast.errors import InputError

TWO = SensorInput(
    product="s1-grd",
    bands=("VV", "VH"),
    unit="dB",
    lowest=(-25.0, -30.0),
    highest=(0.0, -1.0),
    mean=(-12.0, -20.0),
    deviation=(5.0, 4.0),
)


def layer(product: str, *bands: str) -> Layer:
    return Layer(product, "", bands, 1, STORAGE[product])


def pixels(*values: float) -> torch.Tensor:
    """One image of one pixel."""
    return torch.tensor(values).reshape(1, -1, 1, 1)


def test_the_mean_is_zero_and_a_deviation_above_it_one() -> None:
    valid = torch.ones(1, 2, 1, 1, dtype=torch.bool)
    assert standardised(pixels(-12.0, -16.0), valid, TWO).flatten().tolist() == [0.0, 1.0]


def test_values_are_clipped_to_the_bands_own_range() -> None:
    valid = torch.ones(1, 2, 1, 1, dtype=torch.bool)
    clipped = standardised(pixels(-99.0, 99.0), valid, TWO)
    torch.testing.assert_close(clipped.flatten(), torch.tensor([-13 / 5, 19 / 4]))


@given(value=floats(width=32))
def test_what_is_not_valid_counts_for_nothing(value: float) -> None:
    valid = torch.tensor([False, True]).reshape(1, 2, 1, 1)
    seen = standardised(pixels(value, -20.0), valid, TWO)
    assert seen.flatten().tolist() == [0.0, 0.0]


def test_other_numbers_of_bands_are_refused() -> None:
    with pytest.raises(InputError, match="images of 3 bands: s1-grd is scaled for VV VH"):
        standardised(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2, dtype=torch.bool), TWO)


def test_a_layer_is_scaled_by_its_products_statistics() -> None:
    eats = sensor_input(layer("s2-l1c", *L1C), ["B04", "B02"])
    statistics = PRODUCTS["s2-l1c"].statistics
    assert eats.bands == ("B04", "B02")
    assert eats.mean == (statistics["B04"].mean, statistics["B02"].mean)
    assert eats.deviation == (statistics["B04"].deviation, statistics["B02"].deviation)
    assert eats.unit == "reflectance"


def test_all_bands_are_taken_in_the_layers_order() -> None:
    assert sensor_input(layer("s1-grd", "VH", "VV")).bands == ("VH", "VV")


def test_pictures_are_scaled_about_the_middle() -> None:
    eats = sensor_input(layer("rgb", "red", "green", "blue"))
    assert (eats.unit, eats.mean[0], eats.deviation[0]) == ("0..1", 0.5, 0.25)


def test_a_band_that_the_layer_lacks_is_named() -> None:
    with pytest.raises(InputError, match="bands B8A: not among those stored, B02 B03"):
        sensor_input(layer("s2-l2a", "B02", "B03"), ["B02", "B8A"])


def test_labels_are_nothing_to_eat() -> None:
    with pytest.raises(InputError, match="product label: an encoder sees s2-l1c"):
        sensor_input(layer("label", "class"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"mean": (1.0,)}, "mean has 1 numbers for 2 bands"),
        ({"deviation": (1.0, 0.0)}, "deviation: is to be above 0"),
        ({"bands": ("VV", "VV")}, "one is named twice"),
        ({"lowest": (0.0, -30.0)}, "lowest: is to be below highest"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        SensorInput.model_validate({**TWO.model_dump(), **change})


def test_radar_of_ssl4eo_goes_from_0_to_1() -> None:
    eats = PUBLISHED["ssl4eo-s1"]
    valid = torch.ones(1, 2, 1, 1, dtype=torch.bool)
    edges = [standardised(pixels(value, value), valid, eats).flatten() for value in (-90.0, 90.0)]
    torch.testing.assert_close(torch.stack(edges), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))


def test_seco_stretches_8_bits_and_scales_as_imagenet() -> None:
    eats = PUBLISHED["seco"]
    red = (60.0 / 129.0 - 0.485) / 0.229
    blue = ((60.0 - 3.0) / 85.0 - 0.406) / 0.225
    valid = torch.ones(1, 3, 1, 1, dtype=torch.bool)
    seen = standardised(pixels(*[60 / 255] * 3), valid, eats).flatten()
    torch.testing.assert_close(seen[[0, 2]], torch.tensor([red, blue]))


def test_an_unknown_published_input_is_refused() -> None:
    with pytest.raises(InputError, match="input 'best': unknown; known ones are imagenet seco"):
        published_input("best")
