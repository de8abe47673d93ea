"""Which of an encoder's sensors look at which of a catalogue's products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.errors import InputError
from eo_contrast.training.encoder_card import EncoderCard, check_bands

Eaters = Mapping[str, tuple[str, ...]]
"""By product, which of the card's sensors look at its images; their features stand in a row."""


def choose_eaters(
    card: EncoderCard, table: pa.Table, wanted: Sequence[str], catalogue: Path
) -> Eaters:
    """Which sensors of an encoder look at which of a catalogue's products.

    Args:
        wanted: names of sensors; empty: all that find their product.

    Raises: InputError: a sensor finds its satellite's images at another level or without its
        bands, one that was asked for finds none, or products would get vectors of unlike lengths.
    """
    layers = _layers(table)
    if not layers:
        raise InputError(f"{catalogue}: has no image; make another with eo-contrast ingest")
    found: dict[str, tuple[str, ...]] = {}
    for name in wanted or card.sensors:
        own = [layer for layer in layers if _eats(card, name, layer)]
        others = layers if wanted else _relatives(card, name, layers)
        for layer in own or others:
            check_bands(card, name, layer, where=str(catalogue))
        for product in {layer.product for layer in own}:
            found[product] = (*found.get(product, ()), name)
    if not found:
        check_bands(card, next(iter(card.sensors)), layers[0], where=str(catalogue))
    if len({len(names) for names in found.values()}) > 1:
        each = ", ".join(f"{product} by {' '.join(names)}" for product, names in found.items())
        raise InputError(
            f"{catalogue}: would get vectors of unlike lengths, {each}; choose with --sensor"
        )
    return found


def _layers(table: pa.Table) -> list[Layer]:
    """Each product and list of bands that a catalogue has, images before labels."""
    columns = (table.column(name).to_pylist() for name in ("product", "bands"))
    kinds = {(product, tuple(bands)) for product, bands in zip(*columns, strict=True)}
    ordered = sorted(kinds, key=lambda kind: (kind[0] in ("label", "map"), kind))
    return [
        Layer(product, file="", bands=bands, dates=1, storage=STORAGE[product])
        for product, bands in ordered
    ]


def _eats(card: EncoderCard, name: str, layer: Layer) -> bool:
    return name in card.sensors and card.sensors[name].product == layer.product


def _relatives(card: EncoderCard, name: str, layers: Sequence[Layer]) -> list[Layer]:
    """Images of a sensor's satellite at levels that none of the encoder's sensors eats."""
    eaten = {sensor.product for sensor in card.sensors.values()}
    satellite = _satellite(card.sensors[name].product)
    return [
        layer
        for layer in layers
        if satellite and _satellite(layer.product) == satellite and layer.product not in eaten
    ]


def _satellite(product: str) -> str:
    return PRODUCTS[product].sensor if product in PRODUCTS else ""
