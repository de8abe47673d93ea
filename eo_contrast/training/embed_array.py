"""An encoder's features of an image that is in memory already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from eo_contrast.bands import positions
from eo_contrast.data.sensors import standardised
from eo_contrast.errors import InputError
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders


@torch.no_grad()
def embed_array(
    encoder: tuple[SensorEncoders, EncoderCard],
    values: ArrayLike,
    *,
    bands: Sequence[str],
    sensor: str | None = None,
) -> NDArray[np.float32]:
    """Features of images in their product's unit: reflectance, dB, or 0..1.

    >>> encoder = eo_contrast.load_encoder("encoder")
    >>> place = eo_contrast.open_place(
    ...     "catalogue.parquet", "folder/place00000", products=["s2-l2a"])
    >>> images = place.image.sel(band=list(encoder[1].sensors["s2"].bands))
    >>> eo_contrast.embed_array(encoder, images, bands=images.band.values.tolist()).shape
    (2, 512)

    Args:
        encoder: of :func:`load_encoder`.
        values: (..., bands, rows, columns), NaN where there is no data.
        bands: their names, in the order of the values; more than the encoder eats may be there.
        sensor: name of the encoder's; None: the only one.

    Returns: (..., features).
    Raises: InputError: a sensor that the encoder has not, bands that are missing, another number
        of bands than names, or images smaller than the encoder's network can take.
    """
    net, card = encoder
    name = _sensor(card, sensor)
    images = torch.from_numpy(np.array(values, dtype=np.float32))
    if images.ndim < 3 or images.shape[-3] != len(bands):
        raise InputError(
            f"values of shape {tuple(images.shape)}: want (..., {len(bands)} bands, rows, columns)"
        )
    own = card.sensors[name]
    missing = [band for band in own.bands if band not in bands]
    if missing:
        raise InputError(
            f"sensor {name}: eats {' '.join(own.bands)}, and {' '.join(missing)} are not among "
            f"{' '.join(bands)}"
        )
    chosen = images.reshape(-1, *images.shape[-3:])[:, positions(bands, own.bands)]
    seen = standardised(chosen.nan_to_num(0.0), ~chosen.isnan(), own)
    device = next(net.parameters()).device
    features = net.eval()(name, seen.to(device)).cpu()
    found: NDArray[np.float32] = features.reshape(*images.shape[:-3], -1).numpy()
    return found


def _sensor(card: EncoderCard, wanted: str | None) -> str:
    if wanted is None and len(card.sensors) == 1:
        return next(iter(card.sensors))
    if wanted not in card.sensors:
        raise InputError(
            f"sensor {wanted or 'is not given'}: the encoder has {' '.join(card.sensors)}; name one"
        )
    return wanted
