"""The encoder that a fine-tuning run starts from: a saved one, or a random one for the data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.packed import Layer
from eo_contrast.data.place_sources import PlaceSource
from eo_contrast.data.sensors import RGB, SensorInput, sensor_input
from eo_contrast.errors import InputError
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.nets.weights import position_of
from eo_contrast.training.card import model_file
from eo_contrast.training.encoder_card import (
    EncoderCard,
    SensorEncoders,
    check_bands,
    load_encoder,
    read_encoder_card,
)
from eo_contrast.training.start import load_adapted

RANDOM = "random"
UNTRAINED = "random:"
"""Before a model's path: one of its kind with random weights."""
LIKE = 1.1
"""Ground resolutions that differ by no more than this factor are alike."""


@dataclass(frozen=True)
class Start:
    """The encoder that a run starts from.

    Attributes:
        net: with its weights; None: random ones, drawn by the run's seed.
        card: what it eats in this run.
        sensors: of the card's, that are seen.
        identity: of its weights: ``random``, ``random:`` and a digest of the kind, or a digest.
    """

    net: SensorEncoders | None
    card: EncoderCard
    sensors: tuple[str, ...]
    identity: str


def starting_encoder(
    encoder: str,
    config: FinetuneConfig,
    source: PlaceSource,
    *,
    where: str,
    say: Callable[[str], None] = lambda text: None,
) -> Start:
    """The encoder that ``--encoder`` means, checked against the data's bands and what is asked.

    Args:
        encoder: a model or its run folder, ``random``, or ``random:`` and a model: one of that
            kind, untrained.
        where: what the source is of, for messages.
        say: told what is changed for the data, and what does not fit them well.

    Raises: InputError: no encoder, or one whose bands the data lacks, unless a change of bands is
        allowed; one that takes no images of ``data.size``, or has no such map as ``head.maps`` has.
    """
    if not _image_products(source):
        raise InputError(f"{where}: has no images, but {' '.join(source.layers)}")
    path = encoder.removeprefix(UNTRAINED)
    card = _random(config, source, where) if encoder == RANDOM else read_encoder_card(path)
    _check_size(card.architecture, config.data.size)
    _check_maps(card.architecture, config.head.maps)
    if encoder == RANDOM:
        return Start(None, card, tuple(card.sensors), RANDOM)
    asked = config.data.sensors
    change = config.data.allow_band_change
    sensors = _called(card, asked) if asked else _seen(card, source, change)
    changed = _changed(card, sensors, change, source, where)
    if encoder.startswith(UNTRAINED):
        untrained = {
            "sensors": {**card.sensors, **changed},
            "ground_resolution_m": source.ground_resolution_m,
            "trained": {"method": RANDOM, "seed": config.seed},
        }
        card = card.model_copy(update=untrained)
        return Start(None, card, sensors, UNTRAINED + kind_of(card))
    _tell_resolution(card, source, where, say)
    if changed:
        net, card, remarks = load_adapted(encoder, changed, allow_band_change=True)
        for remark in remarks:
            say(remark)
    else:
        net, card = load_encoder(encoder)
    digest = hashlib.sha256(model_file(encoder).read_bytes()).hexdigest()[:16]
    return Start(net, card, sensors, digest)


def kind_of(card: EncoderCard) -> str:
    """A digest of network, heads and what they eat, however and wherever they were trained."""
    told = card.model_copy(update={"trained": {}, "ground_resolution_m": None, "size": 0})
    return hashlib.sha256(told.model_dump_json().encode()).hexdigest()[:16]


def _check_size(architecture: EncoderConfig, size: int | None) -> None:
    least = architecture.least_size
    fixed = architecture.multiple is not None
    if size is not None and (size < least or (fixed and size != least)):
        raise InputError(
            f"data.size is {size}, and the encoder's {architecture.name} "
            f"{'is built for' if fixed else 'needs at least'} {least} pixels a side; give "
            f"data.size={least}, or leave it out"
            f"{f'; a random one is built for {size} by encoder.size={size}' if fixed else ''}"
        )


def _check_maps(architecture: EncoderConfig, maps: tuple[int, ...] | None) -> None:
    count = architecture.map_count
    if maps is not None and max(maps) > count:
        raise InputError(
            f"head.maps has {max(maps)}, and the encoder has {count} maps; give 1 to {count}, or "
            "leave it out"
        )


def _called(card: EncoderCard, names: tuple[str, ...]) -> tuple[str, ...]:
    """The encoder's sensors of those names, else its only ones of those products or satellites."""
    found: dict[str, None] = {}
    for name in names:
        fitting = [
            own
            for own, eats in card.sensors.items()
            if name in (eats.product, _sensor_of(eats.product))
        ]
        known = name in card.sensors or len(fitting) != 1
        found[name if known else fitting[0]] = None
    return tuple(found)


def _seen(card: EncoderCard, source: PlaceSource, change: bool) -> tuple[str, ...]:
    """The sensors that the data have images for, or could have; at least one, to be refused."""
    there = [
        name
        for name, own in card.sensors.items()
        if own.product in source.layers or (change and _shared(own, _nearest(own, source)))
    ]
    return tuple(there) or tuple(card.sensors)[:1]


def _changed(
    card: EncoderCard, sensors: tuple[str, ...], change: bool, source: PlaceSource, where: str
) -> dict[str, SensorInput]:
    """What sensors are to eat that is not what they were trained on.

    Raises: InputError: there is such a sensor, and no change is allowed or no band is shared.
    """
    found = {}
    for name in sensors:
        own = card.sensors.get(name)
        layer = source.layers[_image_products(source)[0]] if own is None else _nearest(own, source)
        shared = () if own is None else _shared(own, layer)
        try:
            check_bands(card, name, layer, where=where)
        except InputError as error:
            if not shared:
                raise
            if not change:
                raise InputError(
                    f"{error}; or keep its kernels band by band here, with "
                    "--set data.allow_band_change=true"
                ) from error
            found[name] = sensor_input(layer, shared)
    return found


def _shared(own: SensorInput, layer: Layer) -> tuple[str, ...]:
    """The layer's bands that the encoder has kernels for, in the encoder's order."""
    places = [position_of(band, layer.bands) for band in own.bands]
    return tuple(layer.bands[at] for at in places if at is not None)


def _nearest(own: SensorInput, source: PlaceSource) -> Layer:
    """Of the product that the encoder eats; else of its sensor's, else with most of its bands."""
    images = _image_products(source)
    sensor = _sensor_of(own.product)
    chosen = max(
        images,
        key=lambda each: (
            each == own.product,
            _sensor_of(each) == sensor,
            len(_shared(own, source.layers[each])),
        ),
    )
    return source.layers[chosen]


def _tell_resolution(
    card: EncoderCard, source: PlaceSource, where: str, say: Callable[[str], None]
) -> None:
    trained, here = card.ground_resolution_m, source.ground_resolution_m
    if trained and here and not 1 / LIKE <= here / trained <= LIKE:
        say(
            f"{where}: has {here:g} m a pixel, and the encoder was pretrained at {trained:g} m; "
            "shapes are of another size than it knows"
        )


def _random(config: FinetuneConfig, source: PlaceSource, where: str) -> EncoderCard:
    """What a random encoder for the data eats.

    Raises: InputError: no images of a sensor, or of more than one that its name may mean.
    """
    images = _image_products(source)
    wanted = config.data.sensors or tuple(dict.fromkeys(_sensor_of(each) for each in images))
    inputs: dict[str, SensorInput] = {}
    for name in wanted:
        fitting = [each for each in images if name in (each, _sensor_of(each))]
        if not fitting:
            raise InputError(f"{where}: sensor {name}: there are images of {' '.join(images)}")
        if len(fitting) > 1:
            raise InputError(
                f"{where}: sensor {name} may be {' or '.join(fitting)}, which are not the same; "
                f"choose one with data.sensors=[{fitting[0]}]"
            )
        inputs[name] = sensor_input(source.layers[fitting[0]])
    architecture = config.encoder
    fixed = architecture.multiple is not None
    return EncoderCard(
        architecture=architecture,
        sensors=inputs,
        size=architecture.built_size if fixed else config.data.size or source.size,
        ground_resolution_m=source.ground_resolution_m,
        trained={"method": RANDOM, "seed": config.seed},
    )


def _image_products(source: PlaceSource) -> list[str]:
    return [product for product in source.layers if product in PRODUCTS or product == RGB]


def _sensor_of(product: str) -> str:
    return PRODUCTS[product].sensor if product in PRODUCTS else product
