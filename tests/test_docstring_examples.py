"""The example in every public function's docstring runs, and gives what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
import torch

import eo_contrast
from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.sensors import sensor_input
from eo_contrast.landcover.nets import build_land_cover
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.synth.sat2map import Sat2mapPlan, write_sat2map
from eo_contrast.training.card import Card, save_model
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders, save_encoder
from eo_contrast.training.land_cover_card import LandCoverCard

# An options object and a version are explained where they are used.
WITHOUT = {"__version__", "MapOptions", "TranslateOptions"}
NAMES = sorted(set(eo_contrast.__all__) - WITHOUT)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """What the examples open: a catalogue, an encoder, other models, tiles and a scene."""
    folder = tmp_path_factory.mktemp("examples")
    plan = ArchivePlan(places=8, dates=2, size=32)
    write_archive(folder / "archive", "folder", plan, lambda *_: None)
    ingest(folder / "archive", folder / "catalogue.parquet")
    layer = Layer("s2-l2a", "", PRODUCTS["s2-l2a"].bands, 1, STORAGE["s2-l2a"])
    card = EncoderCard(
        architecture=EncoderConfig(name="resnet18"), sensors={"s2": sensor_input(layer)}, size=32
    )
    (folder / "encoder").mkdir()
    save_encoder(SensorEncoders(card), card, folder / "encoder" / "model.safetensors")
    save_land_cover(folder / "classes")
    small = GeneratorConfig(width=4, blocks=1)
    (folder / "translator").mkdir()
    save_model(
        ResnetGenerator(small),
        Card(architecture=small),
        folder / "translator" / "model.safetensors",
    )
    pairs = Sat2mapPlan(pairs=6, size=32, scene_size=128)
    write_sat2map(folder / "sat2map", pairs, lambda *_: None)
    return folder


def save_land_cover(folder: Path) -> None:
    """A land-cover model of pictures, with random weights."""
    layer = Layer("rgb", "", ("red", "green", "blue"), 1, STORAGE["rgb"])
    encoder = EncoderCard(
        architecture=EncoderConfig(name="resnet18"), sensors={"rgb": sensor_input(layer)}, size=64
    )
    card = LandCoverCard(
        kind="segmentation",
        mode="linear",
        encoder=encoder,
        sensors=("rgb",),
        size=64,
        classes=("field", "town"),
    )
    folder.mkdir()
    save_model(build_land_cover(card), card, folder / "model.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_gives_what_it_says(name, workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    known = {"eo_contrast": eo_contrast, "Path": Path, "torch": torch}
    (example,) = doctest.DocTestFinder(recurse=False).find(
        getattr(eo_contrast, name), name, globs=known
    )
    assert example.examples
    told: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(example, out=told.append).failed
    assert not failed, "".join(told)
