"""Random encoders and small catalogues, for what uses a pretrained encoder."""

from __future__ import annotations

from pathlib import Path

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.sensors import SensorInput, sensor_input
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders, save_encoder

RGB = ("red", "green", "blue")


def eats(product: str, *bands: str) -> SensorInput:
    """What a sensor's encoder eats: these bands of a product, or all of them."""
    named = bands or (PRODUCTS[product].bands if product in PRODUCTS else RGB)
    return sensor_input(Layer(product, "", named, 1, STORAGE[product]))


def saved_encoder(path: Path, sensors: dict[str, SensorInput], *, size: int = 24) -> Path:
    """A ResNet-18 with random weights, in a file with its card."""
    card = EncoderCard(
        architecture=EncoderConfig(name="resnet18"),
        sensors=sensors,
        size=size,
        trained={"method": "none", "steps": 0},
    )
    save_encoder(SensorEncoders(card, seed=0), card, path)
    return path


def small_catalogue(
    folder: Path, layout: str, *, places: int = 3, dates: int = 2, size: int = 32
) -> Path:
    """The synthetic world in a layout, listed in a catalogue."""
    plan = ArchivePlan(places=places, dates=dates, size=size)
    write_archive(folder / layout, layout, plan, lambda _done, _what="": None)
    ingest(folder / layout, folder / f"{layout}.parquet")
    return folder / f"{layout}.parquet"
