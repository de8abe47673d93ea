"""Features of arrays are those that the encoder gives, whatever order their bands have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.sensors import sensor_input, standardised
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.embed_array import embed_array
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders

BANDS = PRODUCTS["s2-l2a"].bands[:4]


@pytest.fixture(scope="module")
def encoder() -> tuple[SensorEncoders, EncoderCard]:
    layer = Layer("s2-l2a", "", BANDS, 1, STORAGE["s2-l2a"])
    card = EncoderCard(
        architecture=EncoderConfig(name="resnet18", stem="small"),
        sensors={"s2": sensor_input(layer)},
        size=16,
    )
    return SensorEncoders(card, seed=0).eval(), card


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 0.4, (*shape, 4, 16, 16)).astype(np.float32)


def test_features_are_the_encoders(encoder):
    values = images(3)
    net, card = encoder
    whole = torch.ones(values.shape, dtype=torch.bool)
    with torch.no_grad():
        wanted = net("s2", standardised(torch.from_numpy(values), whole, card.sensors["s2"]))
    np.testing.assert_array_equal(embed_array(encoder, values, bands=BANDS), wanted.numpy())


def test_bands_go_by_their_names(encoder):
    values = images(2)
    order = [2, 0, 3, 1]
    more = np.concatenate([values[:, order], values[:, :1]], axis=1)
    names = [*(BANDS[at] for at in order), "other"]
    found = embed_array(encoder, more, bands=names)
    np.testing.assert_array_equal(found, embed_array(encoder, values, bands=BANDS))


def test_leading_axes_stay(encoder):
    values = images(2, 3)
    found = embed_array(encoder, values, bands=BANDS)
    assert found.shape == (2, 3, 512)
    one = embed_array(encoder, values[1, 2], bands=BANDS)
    assert one.shape == (512,)
    np.testing.assert_allclose(found[1, 2], one, rtol=1e-4, atol=1e-5)


def test_pixels_without_data_count_as_the_mean(encoder):
    values = images(1)
    holes, mean = values.copy(), values.copy()
    holes[0, 1, :4] = np.nan
    mean[0, 1, :4] = encoder[1].sensors["s2"].mean[1]
    found, wanted = (embed_array(encoder, each, bands=BANDS) for each in (holes, mean))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"bands": BANDS[:3]}, "want"),
        ({"bands": ("x", *BANDS[1:])}, f"{BANDS[0]} are not among x"),
        ({"sensor": "s1"}, "the encoder has s2; name one"),
    ],
)
def test_what_does_not_fit_is_refused(encoder, changed, says):
    with pytest.raises(InputError, match=says):
        embed_array(encoder, images(1), **{"bands": BANDS, **changed})
